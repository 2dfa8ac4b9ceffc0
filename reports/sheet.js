// Figures as Python drew them, in the colours of the surroundings; names are laid over where asked.

const config = { displayModeBar: false, responsive: true };

function fitting() { return data[dark.matches ? "dark" : "light"]; }

// Names beside the marks of a trace whose meta is "named"; its customdata holds them as plain text.
function drawNames(chart) {
  chart.querySelector(".overlay")?.remove();
  const named = chart.data.filter((trace) => trace.meta === "named" && trace.visible !== "legendonly");
  if (named.length === 0) return;
  const overlay = make("svg", { class: "overlay", "aria-hidden": "true" });
  const frame = area(chart);
  const spots = named.flatMap((trace) => trace.x.map((x, index) => (
    { ...pixel(chart, x, trace.y[index]), name: trace.customdata[index], price: 90 })));
  const taken = spots.map(({ x, y }) => ({ left: x - 7, right: x + 7, top: y - 7, bottom: y + 7 }));
  for (const spot of spots.sort((a, b) => a.y - b.y)) {
    const name = spot.name.length > 30 ? `${spot.name.slice(0, 29)}…` : spot.name;
    const place = bestPlace(spot, textWidth(name), frame, taken, spots, spots);
    if (place === null) continue;
    taken.push(place.box);
    if (place.leader) {
      overlay.append(make("line", { x1: spot.x, y1: spot.y, x2: place.end.x, y2: place.end.y }));
    }
    overlay.append(make("text", { x: place.box.left + 2, y: place.box.bottom - 4.5 }, name));
  }
  chart.append(overlay);
}

function drawAll() {
  for (const [id, figure] of Object.entries(structuredClone(fitting()))) {
    const chart = byId(id);
    if (figure.layout.height) chart.style.height = `${figure.layout.height}px`;
    Plotly.react(chart, figure.data, figure.layout, config);
    drawNames(chart);
  }
}

function start() {
  drawAll();
  for (const id of Object.keys(data.light)) {
    byId(id).on("plotly_afterplot", () => drawNames(byId(id)));
  }
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", () => copy(button.dataset.copy, button));
  }
  dark.addEventListener("change", drawAll);
}

start();
