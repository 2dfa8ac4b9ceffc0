// One cost at a time; a chart that was hidden has no width.

function showAxis(axis) {
  for (const part of document.querySelectorAll("[data-axis]")) {
    part.hidden = part.dataset.axis !== axis;
    if (!part.hidden) Plotly.Plots.resize(part.querySelector(".chart"));
  }
}

for (const input of document.querySelectorAll("[name=axis]")) {
  input.addEventListener("change", () => showAxis(input.value));
}
const chosen = document.querySelector("[name=axis]:checked"); // a browser keeps it over a reload
if (chosen !== null) showAxis(chosen.value);
