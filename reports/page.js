// The state of the page and what changes it.

const state = { axis: data.axis, rung: data.ladder === null ? "search" : data.ladder.top, selected: null, sort: { column: 0, ascending: true }, overlay: null };

function select(row, open = true) {
  state.selected = row;
  drawPanel(row);
  markRow();
  state.overlay();
  if (open) byId("panel").classList.add("open");
}

function showAxis(axis) {
  state.axis = axis;
  for (const input of document.querySelectorAll("[name=axis]")) input.checked = input.value === axis;
  for (const place of document.querySelectorAll("[data-axis-label]")) {
    place.textContent = word(data.plane.across[axis]);
  }
  const { length } = fronts()[axis];
  byId("front-size").textContent = length;
  byId("front-word").textContent = length === 1 ? "network" : "networks";
  drawFront();
  drawTable();
}

function start() {
  showAxis(state.axis);
  drawHistory();
  const chart = byId("front");
  chart.on("plotly_afterplot", () => state.overlay());
  listen(chart, (event, row) => kindWords(row));
  listen(byId("history"), (event) => `best after ${event.points[0].x} scored trials`);
  const front = ranked(fronts()[state.axis]);
  if (front.length > 0) select(front[0], false);
  else byId("panel").append(make("p", { class: "note" }, "No trial was scored, so there is no front."));
  if (front.length > 0) state.overlay();

  startRules();
  startClimb();
  for (const input of document.querySelectorAll("[name=axis]")) {
    input.addEventListener("change", () => showAxis(input.value));
  }
  for (const button of document.querySelectorAll("[data-axis]")) {
    button.addEventListener("click", () => {
      showAxis(button.dataset.axis);
      byId("front-title").scrollIntoView({ behavior: "smooth" });
    });
  }
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", () => copy(button.dataset.copy, button));
  }
  for (const button of document.querySelectorAll("[data-row]")) {
    button.addEventListener("click", () => {
      select(Number(button.dataset.row));
      if (!narrow.matches) byId("panel").scrollIntoView({ behavior: "smooth", block: "nearest" });
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") byId("panel").classList.remove("open");
  });
  dark.addEventListener("change", () => { drawFront(); drawHistory(); drawRules(); drawClimb(); });
}

start();
