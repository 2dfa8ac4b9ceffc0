// The front as a table: rank is by the objectives, the score first; a click on a heading sorts, on a row chooses the network.
// Of a long front the rows come as the table is scrolled.

// Memory traffic follows the activations closely, so it is told only where it is an objective.
const COUNTED = ["flops", "params", "activations", "depth", "traffic", "latency", "throughput"]
  .filter((key) => key !== "traffic" || data.objectives.some(([aim]) => aim === key));

const COLUMNS = [
  ["Rank", (row, rank) => rank.get(row), (row, rank) => String(rank.get(row))],
  ["Trial", (row) => points.number[row], (row) => String(points.number[row])],
  ["Score", (row) => points.score[row], (row) => digits(points.score[row], 4)],
  ...COUNTED.filter((key) => data.metrics[key]).map((key) => {
    const metric = data.metrics[key];
    const unit = key === "depth" ? "" : `, ${metric.short}`;
    const head = key === "flops" ? metric.short : metric.label + unit;
    return [head, (row) => points[key][row], (row) => cost(metric, row)];
  }),
  ["Resolution", (row) => parseInt(points.resolution[row], 10), (row) => points.resolution[row]],
];

const SLICE = 60; // rows; more than the table's window holds

// The best first: of the first objective, of equals that of the next.
function ranked(rows) {
  const apart = ([key, way]) => (a, b) => (points[key][a] - points[key][b]) * (way === "maximize" ? -1 : 1);
  const orders = data.objectives.map(apart);
  return [...rows].sort((a, b) => orders.map((order) => order(a, b)).find((gap) => gap !== 0) ?? 0);
}

function drawTable() {
  const table = byId("table");
  const rows = [...fronts()[state.axis]];
  const rank = new Map(ranked(rows).map((row, index) => [row, index + 1]));
  const { column, ascending } = state.sort;
  const key = COLUMNS[column][1];
  rows.sort((a, b) => ((key(a, rank) ?? 0) - (key(b, rank) ?? 0)) * (ascending ? 1 : -1));
  table.parentElement.classList.toggle("long", rows.length > 24);
  const heads = COLUMNS.map(([name], index) => {
    const chosen = index === column;
    const button = make("button", { type: "button" }, name + (chosen ? (ascending ? " ↑" : " ↓") : ""));
    button.addEventListener("click", () => {
      state.sort = { column: index, ascending: chosen ? !ascending : index !== 2 };
      drawTable();
    });
    return make("th", { scope: "col", class: "figure",
      "aria-sort": chosen ? (ascending ? "ascending" : "descending") : null }, button);
  });
  table.tHead.replaceChildren(make("tr", {}, ...heads, make("th", { scope: "col" }, "Stages")));
  table.tBodies[0].replaceChildren();
  const pane = table.parentElement;
  pane.scrollTop = 0;
  pane.onscroll = () => {
    if (pane.scrollTop + 2 * pane.clientHeight > pane.scrollHeight) drawRows(rows, rank);
  };
  drawRows(rows, rank);
}

function drawRows(rows, rank) {
  const body = byId("table").tBodies[0];
  const next = rows.slice(body.rows.length, body.rows.length + SLICE);
  body.append(...next.map((row) => {
    const cells = COLUMNS.map(([, , show]) => make("td", { class: "figure" }, show(row, rank) ?? "–"));
    const stage = make("td", { class: "stages" },
      make("div", { class: stages(row).every((text) => text.length <= 16) ? "short" : "" },
        ...stages(row).map((text) => make("span", { title: text }, text))));
    const line = make("tr", { tabindex: 0, "data-row": row,
      "aria-selected": String(row === state.selected) }, ...cells, stage);
    line.addEventListener("click", () => select(row));
    line.addEventListener("keydown", (event) => { if (event.key === "Enter") select(row); });
    return line;
  }));
}

function markRow() {
  for (const line of byId("table").tBodies[0].rows) {
    line.setAttribute("aria-selected", String(Number(line.dataset.row) === state.selected));
  }
}
