// Where scaling rules were searched: the triangle of shares, one size up, and the chosen rule.

const CONSTANTS = { depth: "α, depth", width: "β, width", resolution: "γ, resolution" };

// Constants of a rule whose FLOPs double a phi; none of one that goes from point to point.
function ruleFacts(row) {
  if (data.rules === null) return [];
  return Object.entries(CONSTANTS)
    .map(([knob, name]) => [name, data.rules.constants[knob][row]])
    .filter(([, value]) => value !== null)
    .map(([name, value]) => [name, digits(value, 4)]);
}

// Rules beside each other have one base, whose name a mark need not repeat.
function markName(row) {
  return data.rules === null ? title(row) : title(row).replace(`${data.rules.base} by `, "");
}

function ruleParts(row) {
  if (data.rules === null || data.rules.texts[row] === null) return [];
  const text = data.rules.texts[row];
  const parts = [make("div", { class: "title" }, make("h3", {}, "Rule"),
    make("span", {}, copyButton(text, "Copy the rule"))), make("div", { class: "code" }, yaml(text))];
  const file = points.kind[row] === "search" ? data.rules.files[points.number[row]] : undefined;
  if (file !== undefined) {
    const command = `archspec scale ${shellWord(data.rules.source)} --rule ${shellWord(file)} `
      + `--to ${data.rules.to}`;
    parts.push(make("div", { class: "code command" }, make("pre", {}, command),
      copyButton(command, `Copy ${command}`)));
  }
  return parts;
}

function drawRules() {
  if (data.rules === null) return;
  for (const name of ["shares", "larger"]) {
    const chart = byId(`rules-${name}`);
    if (chart === null) continue;
    const figure = structuredClone(data.rules.figures[dark.matches ? "dark" : "light"][name]);
    figure.layout.dragmode = false;
    Plotly.react(chart, figure.data, figure.layout, config);
  }
}

function startRules() {
  drawRules();
  if (data.rules === null) return;
  for (const name of ["shares", "larger"]) {
    const chart = byId(`rules-${name}`);
    if (chart !== null) listen(chart, (event, row) => kindWords(row));
  }
  // Plotly tells of no click on a triangle that cannot be dragged, only of what is pointed at.
  const triangle = byId("rules-shares");
  let pointed = null;
  triangle.on("plotly_hover", (event) => { pointed = event.points[0].customdata; });
  triangle.on("plotly_unhover", () => { pointed = null; });
  triangle.addEventListener("click", () => {
    if (pointed === null) return;
    byId("tip").hidden = true;
    select(pointed);
  });
}
