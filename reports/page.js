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
    const { label } = data.metrics[axis];
    place.textContent = label === "FLOPs" ? label : label.toLowerCase();
  }
  byId("front-size").textContent = fronts()[axis].length;
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
  const front = fronts()[state.axis];
  if (front.length > 0) select(front[front.length - 1], false); // the dearest is the best
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
