// Both figures: Python decided their looks, the points fill them, a card of our own tells a mark.

const webgl = document.createElement("canvas").getContext("webgl") !== null;
const config = { displayModeBar: false, responsive: true, doubleClick: "reset" };
const hiddenRoles = new Set();

function style(name) {
  return structuredClone(data.figures[dark.matches ? "dark" : "light"][name]);
}

function rowsOf(role, front) {
  if (role === "front") return front;
  const onFront = new Set(front);
  const rows = [];
  points.kind.forEach((kind, row) => {
    if (shownAs(row) === role && points.state[row] === "scored" && points.score[row] !== null
      && !onFront.has(row)) rows.push(row);
  });
  return rows;
}

function fill(trace, metric) {
  const rows = rowsOf(trace.meta, fronts()[metric.key])
    .filter((row) => points[metric.key][row] !== null && points[data.plane.upright.key][row] !== null);
  const mode = trace.meta === "front" && !isLine(metric) ? "markers" : trace.mode;
  const bars = trace.error_y ? { error_y: { ...trace.error_y,
    array: rows.map((row) => data.parts.spread[row]) } } : {};
  return { ...trace, ...bars, mode, type: webgl ? trace.type : "scatter", visible: !hiddenRoles.has(trace.meta),
    x: rows.map((row) => points[metric.key][row] / metric.divisor),
    y: rows.map((row) => points[data.plane.upright.key][row] / data.plane.upright.divisor),
    customdata: rows, hoverinfo: "none" };
}

// Whether the front is a line on this axis; else its networks are marked and no line pretends.
function isLine(metric) { return data.plane.lines.includes(metric.key); }

function spread(traces) {
  const all = traces.flatMap((trace) => trace.x).filter((x) => x > 0);
  return all.reduce((a, b) => Math.max(a, b), 0) / all.reduce((a, b) => Math.min(a, b), Infinity);
}

const LOG_TICKS = [-3, -2, -1, 0, 1, 2, 3, 4].flatMap((power) => [1, 2, 5]
  .map((digit) => Number(`${digit}e${power}`)));

function drawFront() {
  const chart = byId("front");
  const metric = data.plane.across[state.axis];
  const look = style("front");
  const traces = look.data.map((trace) => fill(trace, metric));
  const limit = data.budgets[metric.key];
  const log = spread(traces) > 20;
  const layout = look.layout;
  layout.yaxis.title.text = scoreTitle(layout.yaxis.title.text);
  layout.xaxis.type = log ? "log" : "linear";
  if (log) Object.assign(layout.xaxis, { tickmode: "array", tickvals: LOG_TICKS,
    ticktext: LOG_TICKS.map(String) });
  layout.xaxis.title.text = metric.title + (log ? ", log scale" : "");
  layout.xaxis.nticks = chart.clientWidth < 500 ? 5 : 9;
  layout.dragmode = matchMedia("(pointer: coarse)").matches ? false : "zoom";
  layout.uirevision = `${metric.key} ${shownRung()}`;
  const budget = limit === undefined ? null
    : { x: limit.limit / metric.divisor, text: `budget ${limit.text}` };
  if (budget !== null) {
    layout.shapes = [{ type: "line", layer: "below", x0: budget.x, x1: budget.x, y0: 0, y1: 1,
      yref: "paper",
      line: { color: dark.matches ? data.figures.dark.ink : data.figures.light.ink, width: 1,
        dash: "4px,4px" } }];
  }
  state.overlay = () => drawOverlay(chart, traces, budget);
  Plotly.react(chart, traces, layout, config);
  legend(byId("front-legend"), traces);
  byId("front-note").textContent = frontNote(traces, metric);
}

// Does a baseline lie beyond the front? Then the page says so.
function frontNote(traces, metric) {
  const front = fronts()[metric.key];
  const aims = data.plane.turns ? [["score", "maximize"], [metric.key, metric.better === "higher" ? "maximize" : "minimize"]]
    : data.objectives;
  const reaches = (rival, row) => aims.every(([key, way]) => (way === "maximize"
    ? points[key][rival] >= points[key][row] : points[key][rival] <= points[key][row]));
  let above = 0;
  for (const trace of traces) {
    if (trace.meta !== "random" && trace.meta !== "shipped") continue;
    for (const row of trace.customdata) {
      if (aims.some(([key]) => points[key][row] === null)) continue;
      if (!front.some((rival) => reaches(rival, row))) above += 1;
    }
  }
  const whole = isLine(metric) ? ""
    : `The front is of ${data.plane.words}, not of the two numbers drawn here. `;
  const hint = whole + (matchMedia("(pointer: coarse)").matches ? "Tap a mark to see its network."
    : "Click a mark to see its network; drag to zoom, double-click to come back.");
  if (above === 0) return hint;
  const words = above === 1 ? "One baseline network lies" : `${above} baseline networks lie`;
  if (!data.plane.turns) {
    const all = aims.length === 1 ? data.plane.upright.label.toLowerCase() : "every objective";
    return `${words} beyond the front: the search has none that is as good in ${all}. ${hint}`;
  }
  return `${words} beyond the front: the search has none that scores as high for the same or `
    + `${metric.better} ${word(metric)}. ${hint}`;
}

function drawHistory() {
  const chart = byId("history");
  const look = style("history");
  for (const trace of look.data) {
    const { steps, scored } = data.histories[trace.meta];
    const ends = steps.concat(steps.length ? [[scored, ...steps[steps.length - 1].slice(1)]] : []);
    Object.assign(trace, { x: ends.map((end) => end[0]), y: ends.map((end) => end[3] / data.plane.upright.divisor),
      customdata: ends.map((end) => end[1]),
      visible: !hiddenRoles.has(`history ${trace.meta}`), hoverinfo: "none" });
  }
  look.layout.dragmode = false;
  look.layout.xaxis.rangemode = "tozero";
  Plotly.react(chart, look.data, look.layout, config);
  legend(byId("history-legend"), look.data, "history ");
}

const MARKS = { search: "M8 2.5a3.5 3.5 0 1 0 .01 0z", random: "M5 3h6v6h-6z",
  front: "M8 2a4 4 0 1 0 .01 0z", shipped: "M8 .5l5.5 5.5l-5.5 5.5l-5.5 -5.5z" };

function glyph(trace) {
  const svg = make("svg", { width: 20, height: 12, viewBox: "-2 0 20 12" });
  const line = trace.mode.includes("lines");
  if (line) {
    svg.append(make("line", { x1: -2, x2: 18, y1: 6, y2: 6, stroke: trace.line.color,
      "stroke-width": 2, "stroke-dasharray": trace.line.dash === "solid" ? null
        : trace.line.dash?.replaceAll("px", "") }));
  }
  if (!line || trace.marker.size > 5) {
    const open = String(trace.marker.symbol || "").endsWith("open");
    svg.append(make("path", { d: MARKS[trace.meta], fill: open ? "none" : trace.marker.color,
      stroke: open ? trace.marker.color : "none", "stroke-width": 1.4 }));
  }
  return svg;
}

function legend(place, traces, prefix = "") {
  const order = ["front", "search", "random", "shipped"];
  const shown = traces.filter((trace) => trace.x.length > 0)
    .sort((a, b) => order.indexOf(a.meta) - order.indexOf(b.meta));
  place.replaceChildren(...shown.map((trace) => {
    const role = prefix + trace.meta;
    const button = make("button", { type: "button", "aria-pressed": String(!hiddenRoles.has(role)) },
      glyph(trace), trace.name);
    button.addEventListener("click", () => {
      if (!hiddenRoles.delete(role)) hiddenRoles.add(role);
      if (prefix) drawHistory(); else drawFront();
    });
    return button;
  }));
}

function tell(event, lead) {
  const row = event.points[0].customdata;
  const facts = [["Score", digits(points.score[row], 4)], ...ruleFacts(row),
    ...Object.values(data.metrics).map((metric) => [metric.label, costWithUnit(metric, row)])];
  const tip = byId("tip");
  tip.replaceChildren(make("strong", {}, title(row)), make("div", { class: "kind" }, lead(event, row)),
    make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
    make("ol", {}, ...stages(row).map((stage) => make("li", {}, stage))));
  tip.hidden = false;
  const { clientX, clientY } = event.event;
  const left = clientX + 18 + tip.offsetWidth > innerWidth ? clientX - 18 - tip.offsetWidth
    : clientX + 18;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${Math.max(8, Math.min(clientY - 24, innerHeight - tip.offsetHeight - 8))}px`;
}

function listen(chart, lead) {
  chart.on("plotly_hover", (event) => tell(event, lead));
  chart.on("plotly_unhover", () => { byId("tip").hidden = true; });
  chart.on("plotly_click", (event) => { byId("tip").hidden = true; select(event.points[0].customdata); });
}
