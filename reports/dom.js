"use strict";
// The page's one document of data, elements made from text (never from markup), and number words.

const data = JSON.parse(document.getElementById("data").textContent);
const points = data.points;
const narrow = matchMedia("(max-width: 1080px)");
const dark = matchMedia("(prefers-color-scheme: dark)");

function make(tag, attributes, ...children) {
  const svg = ["svg", "line", "text", "circle", "path"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function byId(id) { return document.getElementById(id); }

// Four significant digits for scores, three for counts, never an exponent for ordinary numbers.
function digits(value, significant) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e7)) return minus(value.toExponential(significant - 1));
  const places = size === 0 ? 0 : significant - 1 - Math.floor(Math.log10(size));
  return minus(value.toFixed(Math.min(6, Math.max(0, places))));
}

function minus(text) { return text.replace("-", "\u2212"); }

function cost(metric, row) {
  const value = points[metric.key][row];
  if (value === null) return "–";
  return metric.divisor === 1 && Number.isInteger(value) ? String(value) : digits(value / metric.divisor, 3);
}

function costWithUnit(metric, row) {
  const text = cost(metric, row);
  return text === "–" || metric.key === "depth" ? text : `${text} ${metric.short}`;
}

function word(metric) { return metric.label === "FLOPs" ? metric.label : metric.label.toLowerCase(); }

function title(row) { return points.title[row]; }

function stages(row) { return points.stages[row] ? points.stages[row].split(" | ") : []; }

function kindWords(row) {
  const kind = { search: "Search", random: "Random baseline",
    shipped: data.rules === null ? "Shipped network" : "Published rule", larger: "One size up" };
  const words = [kind[points.kind[row]] ?? points.kind[row].replace("rung", "Rung ")];
  if (points.state[row] !== "scored") words.push(points.state[row]);
  else if (fronts()[state.axis].includes(row)) words.push("on the front");
  return words.join(", ");
}

async function copy(text, button) {
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch { // no permission, or an old browser: select the text and copy it by command
    const area = make("textarea", { style: "position: fixed; opacity: 0" });
    area.value = text;
    document.body.append(area);
    area.select();
    done = document.execCommand("copy");
    area.remove();
  }
  const word = button.dataset.word || button.textContent;
  button.dataset.word = word;
  button.textContent = done ? "Copied" : "Copy failed";
  setTimeout(() => { button.textContent = word; }, 1600);
}
