// What lies over the main figure: names of shipped networks, the budget's words, the ring around
// the chosen point. Plotly's own labels overlap; here each name takes the freest place near its mark.

const HEIGHT = 17;
const REACH = 92; // pixels from a mark to the end of a name's furthest leader line
const pen = document.createElement("canvas").getContext("2d");

function textWidth(text) {
  pen.font = `12.5px ${getComputedStyle(document.body).fontFamily}`; // as .overlay text in page.css
  return pen.measureText(text).width + 4;
}

function pixel(chart, x, y) {
  const { xaxis, yaxis } = chart._fullLayout;
  return { x: xaxis._offset + xaxis.d2p(x), y: yaxis._offset + yaxis.d2p(y) };
}

function area(chart) {
  const { xaxis, yaxis } = chart._fullLayout;
  return { left: xaxis._offset, top: yaxis._offset,
    right: xaxis._offset + xaxis._length, edge: chart.clientWidth, bottom: yaxis._offset + yaxis._length };
}

function inside(box, spot) {
  return spot.x >= box.left && spot.x <= box.right && spot.y >= box.top && spot.y <= box.bottom;
}

function overlap(a, b) {
  const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  return width > 0 && height > 0 ? width * height : 0;
}

// Places for a label around a mark: near ones first, then rings that need a leader line.
function places(spot, width) {
  const found = [];
  for (const radius of [12, 26, 44, 66, REACH]) {
    for (let turn = 0; turn < 12; turn += 1) {
      const angle = (turn * Math.PI) / 6;
      const x = spot.x + radius * Math.cos(angle);
      const y = spot.y + radius * Math.sin(angle);
      const left = Math.cos(angle) > 0.1 ? x : Math.cos(angle) < -0.1 ? x - width : x - width / 2;
      const box = { left, right: left + width, top: y - HEIGHT / 2, bottom: y + HEIGHT / 2 };
      found.push({ box, end: { x, y }, leader: radius > 20, cost: radius * 1.5 + (turn ? 6 : 0) });
    }
  }
  return found;
}

// Distance from a spot to the leader line that would run from `from` to `to`.
function distance(spot, from, to) {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const along = ((spot.x - from.x) * dx + (spot.y - from.y) * dy) / (dx * dx + dy * dy);
  const part = Math.max(0, Math.min(1, along));
  return Math.hypot(spot.x - from.x - part * dx, spot.y - from.y - part * dy);
}

function bestPlace(spot, width, frame, taken, marks, rivals) {
  let best = null;
  for (const place of places(spot, width)) {
    const { box } = place;
    if (box.left < frame.left || box.right > frame.edge) continue;
    if (box.top < frame.top || box.bottom > frame.bottom) continue;
    let price = place.cost;
    for (const other of taken) price += 40 * overlap(box, other);
    for (const mark of marks) price += inside(box, mark) ? mark.price : 0;
    for (const rival of place.leader ? rivals : []) {
      if (rival !== spot && distance(rival, spot, place.end) < 9) price += 150;
    }
    if (best === null || price < best.price) best = { ...place, price };
  }
  return best;
}

// The front is drawn across, then up or down: spots along that line, which names should leave free.
function stepBetween(from, to) {
  const spots = [];
  for (let x = from.x; x < to.x; x += 8) spots.push({ x, y: from.y, price: 25 });
  for (let y = Math.min(from.y, to.y); y < Math.max(from.y, to.y); y += 8) spots.push({ x: to.x, y, price: 25 });
  return spots;
}

function drawOverlay(chart, traces, budget) {
  chart.querySelector(".overlay")?.remove();
  const overlay = make("svg", { class: "overlay", "aria-hidden": "true" });
  const frame = area(chart);
  const taken = [];
  if (budget !== null) {
    const spot = pixel(chart, budget.x, 0);
    if (spot.x >= frame.left && spot.x <= frame.right) {
      const half = textWidth(budget.text) / 2;
      const middle = Math.min(spot.x, chart.clientWidth - half);
      taken.push({ left: spot.x - 3, right: spot.x + 3, top: frame.top, bottom: frame.bottom });
      overlay.append(make("text", { class: "budget", x: middle, y: frame.top - 8,
        "text-anchor": "middle" }, budget.text));
    }
  }
  const prices = { front: 70, shipped: 90, random: 40, search: 25 };
  const marks = [];
  const named = [];
  for (const trace of traces) {
    if (trace.visible === false) continue;
    trace.x.forEach((x, index) => {
      const spot = pixel(chart, x, trace.y[index]);
      if (!inside(frame, spot)) return;
      marks.push({ ...spot, role: trace.meta, price: prices[trace.meta] });
      const row = trace.customdata[index];
      if (trace.meta === "shipped") named.push({ spot, row });
      if (row === state.selected) {
        overlay.append(make("circle", { cx: spot.x, cy: spot.y, r: 9.5 }));
      }
    });
  }
  const front = marks.filter((mark) => mark.role === "front");
  if (isLine(data.plane.across[state.axis])) front.slice(1).forEach((mark, index) => marks.push(...stepBetween(front[index], mark)));
  for (const { spot } of named) {
    taken.push({ left: spot.x - 7, right: spot.x + 7, top: spot.y - 7, bottom: spot.y + 7 });
  }
  const rivals = named.map(({ spot }) => spot);
  for (const { spot, row } of named.sort((a, b) => a.spot.y - b.spot.y)) {
    const whole = markName(row);
    const name = whole.length > 30 ? `${whole.slice(0, 29)}…` : whole;
    const width = textWidth(name);
    // of ten thousand marks few are where the name could lie
    const near = marks.filter((mark) => Math.abs(mark.x - spot.x) < REACH + width
      && Math.abs(mark.y - spot.y) < REACH + HEIGHT);
    const place = bestPlace(spot, width, frame, taken, near, rivals);
    if (place === null) continue;
    taken.push(place.box);
    if (place.leader) {
      overlay.append(make("line", { x1: spot.x, y1: spot.y, x2: place.end.x, y2: place.end.y }));
    }
    overlay.append(make("text", { x: place.box.left + 2, y: place.box.bottom - 4.5 }, name));
  }
  chart.append(overlay);
}
