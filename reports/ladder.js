// Where a search climbed a ladder: whose scores are shown, and who was dropped where.

// The kind whose trials are the search's now: scores of two rungs do not compare.
function shownRung() { return data.ladder === null ? "search" : state.rung; }

function fronts() { return data.ladder === null ? data.fronts : data.ladder.fronts[state.rung]; }

// Which series of the main figure a row belongs to; the baselines have the lowest rung's score.
function shownAs(row) {
  const kind = points.kind[row];
  if (kind === shownRung()) return "search";
  return shownRung() === "search" && !kind.startsWith("rung") ? kind : null;
}

function rungWords(kind) { return kind.startsWith("rung") ? `Rung ${kind.slice(4)}` : undefined; }

function scoreTitle(title) {
  if (data.ladder === null || data.plane.upright.key !== "score") return title;
  return data.ladder.rungs.find((rung) => rung.kind === state.rung).title;
}

// Of a network that climbed: its score on each rung.
function climbLines(row) {
  if (data.ladder === null || shownAs(row) === "random" || shownAs(row) === "shipped") return [];
  const climb = data.ladder.climbs[points.number[row]];
  if (climb === undefined || !(points.kind[row] === "search" || points.kind[row].startsWith("rung"))) return [];
  return climb.map((one, place) => line(`On rung ${place + 1}`,
    one === null ? "no score" : digits(one[0], 4), one === null ? "" : `#${one[1]}`));
}

function drawClimb() {
  if (data.ladder === null) return;
  const chart = byId("climb");
  const figure = structuredClone(data.ladder.figures[dark.matches ? "dark" : "light"]);
  figure.layout.dragmode = false;
  if (chart.clientWidth < 560) {
    figure.layout.xaxis.ticktext = data.ladder.rungs.map((rung) => `Rung ${rung.number}`);
  }
  Plotly.react(chart, figure.data, figure.layout, config);
}

function showRung(kind) {
  state.rung = kind;
  for (const input of document.querySelectorAll("[name=rung]")) input.checked = input.value === kind;
  showAxis(state.axis);
}

function startClimb() {
  drawClimb();
  if (data.ladder === null) return;
  listen(byId("climb"), (event, row) => kindWords(row));
  for (const input of document.querySelectorAll("[name=rung]")) {
    input.addEventListener("change", () => showRung(input.value));
  }
}
