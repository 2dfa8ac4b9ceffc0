// The chosen network: its figures, its knobs, its exact YAML, and what to run next.

function specText(row) {
  const lines = data.specs[row];
  return lines === null ? null : lines.map((line) => data.lines[line]).join("\n");
}

// Light colouring, line by line; a piece that is not understood stays plain text.
function yaml(text) {
  const pre = make("pre", { class: "yaml", tabindex: 0 });
  const token = /(#.*$)|([\w.*-]+)(?=:(?:\s|$))|(?<![\w.])(-?\d[\d_.]*(?:e[+-]?\d+)?[A-Z]?)(?![\w.])/gm;
  let end = 0;
  for (const found of text.matchAll(token)) {
    pre.append(text.slice(end, found.index));
    const kind = found[1] ? "comment" : found[2] ? "key" : "number";
    pre.append(make("span", { class: kind }, found[0]));
    end = found.index + found[0].length;
  }
  pre.append(text.slice(end));
  return pre;
}

function copyButton(text, label) {
  const button = make("button", { type: "button", class: "quiet", "aria-label": label }, "Copy");
  button.addEventListener("click", () => copy(text, button));
  return button;
}

function saveButton(text, file) {
  const button = make("button", { type: "button", class: "quiet" }, "Save");
  button.addEventListener("click", () => {
    const address = URL.createObjectURL(new Blob([text], { type: "text/yaml" }));
    make("a", { href: address, download: file }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  });
  return button;
}

function line(name, value, share) {
  return make("tr", {}, make("th", { scope: "row" }, name),
    make("td", {}, value, share ? make("small", {}, share) : null));
}

const PARTS = { spread: "Deviation over seeds" };

// One line a seed: accuracy after each epoch.
function curves(seeds) {
  const all = seeds.flat();
  const [low, high] = [all.reduce((a, b) => Math.min(a, b)), all.reduce((a, b) => Math.max(a, b))];
  const longest = seeds.reduce((most, seed) => Math.max(most, seed.length), 2);
  const svg = make("svg", { class: "curves", width: 96, height: 24, viewBox: "-2 -2 100 28",
    role: "img", "aria-label": `from ${low}% to ${high}%` });
  for (const seed of seeds) {
    const spots = seed.map((value, place) => `${(96 * place / (longest - 1)).toFixed(1)} `
      + `${(24 * (high - value) / (high - low || 1)).toFixed(1)}`);
    svg.append(make("path", { d: `M${spots.join("L")}`, fill: "none", stroke: "currentColor",
      "stroke-width": 1.4, "stroke-linejoin": "round" }));
  }
  return svg;
}

function trainedLines(row) {
  if (data.trained === null) return [];
  const { accuracies, rungs, epochs } = data.trained;
  const lines = [];
  if (accuracies[row] !== null && accuracies[row].length > 1) {
    lines.push(line("By seed, %", accuracies[row].map((value) => digits(value, 4)).join(", ")));
  }
  if (rungs[row] !== null && rungs[row].flat().length > 0) {
    const done = rungs[row][rungs[row].length - 1].length;
    lines.push(line("By epoch", curves(rungs[row]), `${done} of ${epochs[row]} epochs`));
  }
  return lines;
}

function costTable(row) {
  const table = make("table", {});
  if (points.score[row] !== null) table.append(line("Score", digits(points.score[row], 4)));
  table.append(...climbLines(row));
  table.append(...ruleFacts(row).map(([name, value]) => line(name, value)));
  for (const [name, values] of Object.entries(data.parts)) {
    if (values[row] === null) continue;
    table.append(line(PARTS[name] ?? `Score, ${name}`, digits(values[row], 4)));
  }
  table.append(...trainedLines(row));
  for (const metric of Object.values(data.metrics)) {
    const limit = data.budgets[metric.key];
    const value = points[metric.key][row];
    const share = limit && value !== null ? `${(100 * value / limit.limit).toFixed(1)}%` : "";
    table.append(line(metric.label, costWithUnit(metric, row), share && `${share} of budget`));
  }
  if (points.resolution[row] !== null) table.append(line("Resolution", points.resolution[row]));
  return table;
}

function knobTable(row) {
  const knobs = Object.entries(data.knobs).filter(([, values]) => values[row] !== null);
  if (knobs.length === 0) return null;
  const table = make("table", { class: "knobs" },
    ...knobs.map(([path, values]) => line(path, String(values[row]))));
  return make("details", knobs.length <= 8 ? { open: "" } : {},
    make("summary", {}, `${knobs.length} knobs`), table);
}

function shellWord(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\"'\"'")}'`;
}

function fileName(row) { return `${title(row).toLowerCase().replace(/[^a-z0-9]+/g, "-")}.yaml`; }

function nextSteps(row) {
  const known = { [data.ladder === null ? "search" : data.ladder.top]: data.files[points.number[row]], shipped: data.trained?.small || data.rules !== null ? undefined : title(row) }[points.kind[row]];
  const file = known ?? fileName(row);
  const parts = [make("h3", {}, "Go on")];
  if (known === undefined) parts.push(make("p", { class: "note" }, `Save the YAML as ${file} first.`));
  for (const command of data.commands) {
    const text = command.replaceAll("FILE", shellWord(file));
    parts.push(make("div", { class: "code command" }, make("pre", {}, text),
      copyButton(text, `Copy ${text}`)));
  }
  return parts;
}

function drawPanel(row) {
  const panel = byId("panel");
  const close = make("button", { type: "button", class: "quiet close" }, "Close");
  close.addEventListener("click", () => panel.classList.remove("open"));
  const parts = [close, make("p", { class: "eyebrow" }, kindWords(row)), make("h2", {}, title(row))];
  if (points.reason[row] !== null) parts.push(make("p", { class: "why" }, points.reason[row]));
  parts.push(make("h3", {}, "Cost"), costTable(row), knobTable(row), ...ruleParts(row));
  const text = specText(row);
  if (text === null) {
    parts.push(make("p", { class: "note" }, "No spec was recorded for this trial."));
  } else {
    parts.push(make("div", { class: "title" }, make("h3", {}, "Exact spec"),
      make("span", {}, copyButton(text, "Copy the YAML"), " ",
        saveButton(text, fileName(row)))),
    make("div", { class: "code" }, yaml(text)), ...nextSteps(row));
  }
  panel.replaceChildren(...parts.filter((part) => part !== null));
  panel.scrollTop = 0;
}
