const figure = document.querySelector("[data-points]");
const svg = figure.querySelector("svg");
const data = JSON.parse(figure.dataset.points);
const tip = document.querySelector(".tip");
const said = () => [tip.hidden, ...[...tip.children].map((line) => line.textContent)];
const aim = (type, row, dot) => {
  const at = new DOMPoint(data.x[0] + data.x[1] * data.values[row][dot], data.y[0] + data.y[1] * (row + data.heights[dot]))
    .matrixTransform(svg.getScreenCTM());
  figure.dispatchEvent(new PointerEvent(type, { clientX: at.x, clientY: at.y, pointerType: type === "pointerdown" ? "touch" : "mouse" }));
};
const key = (name) => figure.dispatchEvent(new KeyboardEvent("keydown", { key: name, cancelable: true }));
seen.before = said();
aim("pointermove", 1, 3); seen.pointed = said();
aim("pointerdown", 2, 0); seen.tapped = said();
key("Escape"); seen.escaped = said();
key("ArrowUp"); seen.up = said();
key("ArrowRight"); seen.right = said();
seen.data = data;
seen.scripts = document.scripts.length;
