// What cannot be read on a page: wider than the screen, ink too near to its ground, pictures that are not there.
const rest = (time) => new Promise((done) => setTimeout(done, time));
const channels = (text) => (text.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
const laid = (top, ground) => ground.map((low, i) => top[i] * (top[3] ?? 1) + low * (1 - (top[3] ?? 1)));
const linear = (value) => (value <= 10 ? value / 3295 : ((value / 255 + 0.055) / 1.055) ** 2.4);
const light = ([red, green, blue]) => 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue) + 0.05;

function contrast(view, node) {
  const style = view.getComputedStyle(node), grounds = [];
  for (let box = node; box; box = box.parentElement) grounds.unshift(channels(view.getComputedStyle(box).backgroundColor));
  const ground = grounds.reduce((low, top) => laid(top, low), [255, 255, 255]);
  const ink = light(laid(channels(node.closest("svg") ? style.fill : style.color), ground));
  return Math.max(ink, light(ground)) / Math.min(ink, light(ground));
}

function shown(view, node) {
  const { visibility, opacity } = view.getComputedStyle(node);
  return visibility === "visible" && opacity > 0 && node.getClientRects().length && !node.closest("script, style, title");
}

function pale(view) {
  const page = view.document, texts = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT), found = [];
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement, words = texts.currentNode.textContent.trim();
    if (words && shown(view, node) && contrast(view, node) < 3) found.push(words);
  }
  return found;
}

function look(view) {
  const { documentElement: page, body, images } = view.document;
  const missing = [...images].filter((image) => image.complete && !image.naturalWidth).map((image) => image.src);
  return { wide: page.scrollWidth - page.clientWidth, pale: pale(view), missing, scheme: body.dataset.mdColorScheme };
}

async function walk(pages) {
  const frame = document.querySelector("iframe"), seen = {};
  for (const page of pages) {
    const loaded = new Promise((done) => frame.addEventListener("load", done, { once: true }));
    frame.src = page;
    await loaded;
    await rest(20);
    seen[page] = look(frame.contentWindow);
  }
  const output = document.createElement("output");
  output.id = "seen";
  output.textContent = JSON.stringify(seen);
  document.body.append(output);
}
