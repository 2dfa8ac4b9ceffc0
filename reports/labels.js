// What lies over the main figure: names of shipped networks, the budget's words, the ring around
// the chosen point. Plotly's own labels overlap; here each name takes the freest place near its mark.

const CHARACTER = 6.9; // mean width of a character of the 12.5 px label, in px
const HEIGHT = 15;

function pixel(chart, x, y) {
  const { xaxis, yaxis } = chart._fullLayout;
  return { x: xaxis._offset + xaxis.d2p(x), y: yaxis._offset + yaxis.d2p(y) };
}

function area(chart) {
  const { xaxis, yaxis } = chart._fullLayout;
  return { left: xaxis._offset, top: yaxis._offset,
    right: xaxis._offset + xaxis._length, bottom: yaxis._offset + yaxis._length };
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
  for (const radius of [12, 26, 44, 66, 92]) {
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

function bestPlace(spot, width, frame, taken, marks) {
  let best = null;
  for (const place of places(spot, width)) {
    const { box } = place;
    if (box.left < frame.left || box.right > frame.right) continue;
    if (box.top < frame.top || box.bottom > frame.bottom) continue;
    let price = place.cost;
    for (const other of taken) price += 40 * overlap(box, other);
    for (const mark of marks) price += inside(box, mark) ? mark.price : 0;
    if (best === null || price < best.price) best = { ...place, price };
  }
  return best;
}

function drawOverlay(chart, traces, budget) {
  chart.querySelector(".overlay")?.remove();
  const overlay = make("svg", { class: "overlay", "aria-hidden": "true" });
  const frame = area(chart);
  const taken = [];
  if (budget !== null) {
    const spot = pixel(chart, budget.x, 0);
    if (spot.x >= frame.left && spot.x <= frame.right) {
      const width = budget.text.length * CHARACTER + 8;
      const left = spot.x + width > frame.right ? spot.x - width : spot.x + 7;
      taken.push({ left: Math.min(left, spot.x - 3), right: left + width,
        top: frame.top, bottom: frame.top + HEIGHT });
      overlay.append(make("text", { class: "budget", x: left, y: frame.top + 11 }, budget.text));
    }
  }
  const prices = { front: 30, shipped: 60, random: 12, search: 8 };
  const marks = [];
  const named = [];
  for (const trace of traces) {
    if (trace.visible === false) continue;
    trace.x.forEach((x, index) => {
      const spot = pixel(chart, x, trace.y[index]);
      if (!inside(frame, spot)) return;
      marks.push({ ...spot, price: prices[trace.meta] });
      const row = trace.customdata[index];
      if (trace.meta === "shipped") named.push({ spot, row });
      if (row === state.selected) {
        overlay.append(make("circle", { cx: spot.x, cy: spot.y, r: 9.5 }));
      }
    });
  }
  for (const { spot } of named) {
    taken.push({ left: spot.x - 7, right: spot.x + 7, top: spot.y - 7, bottom: spot.y + 7 });
  }
  for (const { spot, row } of named.sort((a, b) => a.spot.y - b.spot.y)) {
    const name = title(row).length > 30 ? `${title(row).slice(0, 29)}…` : title(row);
    const place = bestPlace(spot, name.length * CHARACTER, frame, taken, marks);
    if (place === null) continue;
    taken.push(place.box);
    if (place.leader) {
      overlay.append(make("line", { x1: spot.x, y1: spot.y, x2: place.end.x, y2: place.end.y }));
    }
    overlay.append(make("text", { x: place.box.left + 2, y: place.box.bottom - 3.5 }, name));
  }
  chart.append(overlay);
}
