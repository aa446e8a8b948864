// Boxes of all that is written: texts of figures, cells of tables, headings; what is cut off, what lies on another.
for (const folded of document.querySelectorAll("details")) folded.open = true;
const wide = document.documentElement.clientWidth;
const box = (node) => { const r = node.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
const within = (a, b) => a[0] >= b[0] - 1 && a[1] >= b[1] - 1 && a[2] <= b[2] + 1 && a[3] <= b[3] + 1;
const cross = (a, b) => Math.min(a[2], b[2]) - Math.max(a[0], b[0]) > 1 && Math.min(a[3], b[3]) - Math.max(a[1], b[1]) > 1.5;
const crossing = (nodes) => {
  const boxes = nodes.map((node) => [node.textContent.trim(), box(node)]).filter(([text]) => text);
  return boxes.flatMap(([text, a], i) => boxes.slice(i + 1).filter(([, b]) => cross(a, b)).map(([other]) => [text, other]));
};
seen.overflow = document.documentElement.scrollWidth - wide;
seen.texts = 0; seen.cut = []; seen.over = []; seen.smallest = 99;
for (const svg of document.querySelectorAll("svg")) {
  const texts = [...svg.querySelectorAll("text")];
  const frame = box(svg);
  seen.texts += texts.length;
  for (const text of texts) {
    if (!within(box(text), frame)) seen.cut.push([svg.getAttribute("aria-label"), text.textContent]);
    const scale = svg.getScreenCTM().a;
    seen.smallest = Math.min(seen.smallest, scale * parseFloat(getComputedStyle(text).fontSize));
  }
  if (frame[2] > wide) seen.cut.push([svg.getAttribute("aria-label"), "the figure"]);
  seen.over.push(...crossing(texts));
}
const shown = (node) => node.getClientRects().length > 0;
seen.cells = 0;
for (const row of document.querySelectorAll("table tr")) {
  const cells = [...row.cells].filter(shown);
  seen.cells += cells.length;
  for (const cell of cells) {
    const [left, , right] = box(cell);
    if (left < -1 || right > wide + 1) seen.cut.push(["table", cell.textContent.trim()]);
    if (cell.scrollWidth > cell.clientWidth + 1 && !cell.dataset.group) seen.cut.push(["cell", cell.textContent.trim()]);
  }
  seen.over.push(...crossing(cells));
}
seen.board = [...document.querySelectorAll("#leaders tbody tr:first-child > *")].filter(shown).map((cell) => cell.dataset.label ?? "Loss");
seen.headings = crossing([...document.querySelectorAll("h1, h2, h3, nav a, dd, dt")].filter(shown));
