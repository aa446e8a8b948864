"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const short = (number) => (number === null ? "not a number" : Number(number.toPrecision(3)).toString());

function make(parent, tag, text = "") {
  const found = document.createElement(tag);
  found.textContent = text;
  parent.append(found);
  return found;
}

function card(list, loss) {
  const found = make(document.getElementById(list), "div");
  found.className = "card";
  make(make(found, "h3"), "code", loss.text);
  return found;
}

// Between two computed numbers the value follows a straight line.
function between(numbers, p) {
  const at = ((p - data.probabilities[0]) / (data.probabilities[1] - data.probabilities[0]));
  const low = Math.min(Math.max(Math.floor(at), 0), numbers.length - 2);
  const [a, b] = [numbers[low], numbers[low + 1]];
  return a === null || b === null ? null : a + (b - a) * (at - low);
}

function span(numbers) {
  const known = numbers.filter((number) => number !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  return (number) => (high > low ? 92 - (84 * (number - low)) / (high - low) : 50);
}

function line(svg, numbers, name) {
  const height = span(numbers);
  const shape = document.createElementNS(svg.namespaceURI, "path");
  const places = numbers.map((number, k) => (number === null ? "" : `${100 * data.probabilities[k]} ${height(number)}`));
  shape.setAttribute("d", "M" + places.filter(Boolean).join("L"));
  shape.setAttribute("class", name);
  svg.append(shape);
}

const responses = data.losses.map((loss) => {
  const own = card("responses", loss);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "loss and gradient against the probability of one voxel");
  const mark = document.createElementNS(svg.namespaceURI, "line");
  mark.setAttribute("class", "mark");
  mark.setAttribute("y1", 0);
  mark.setAttribute("y2", 100);
  svg.append(mark);
  line(svg, loss.values, "value");
  line(svg, loss.gradients, "gradient");
  own.append(svg);
  return { loss, mark, words: make(own, "p") };
});

function said(words, parts) {
  words.replaceChildren();
  for (const [key, name, number] of parts) {
    if (key) make(words, "span").className = key;
    words.append(`${name} `);
    make(words, "b", short(number));
    words.append("  ");
  }
}

function moveProbability() {
  const p = document.getElementById("probability").value / 100;
  document.getElementById("p").textContent = p.toFixed(2);
  for (const { loss, mark, words } of responses) {
    mark.setAttribute("x1", 100 * p);
    mark.setAttribute("x2", 100 * p);
    said(words, [["key", "loss", between(loss.values, p)], ["key dashed", "gradient", between(loss.gradients, p)]]);
  }
}

const bytes = (text) => Int8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const [side, scale] = [data.side, 10];
const truth = bytes(data.truth);
const discs = data.losses.map((loss) => {
  const own = card("discs", loss);
  const canvas = make(own, "canvas");
  canvas.width = canvas.height = side * scale;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `where ${loss.text} pulls`);
  return { loss, pen: canvas.getContext("2d"), words: make(own, "p") };
});

// The border of the disc, moved to the right: a line between each two pixels of which one is inside.
function outline(pen, shift, dashes) {
  const inside = (row, column) => column >= shift && column - shift < side && truth[row * side + column - shift] === 1;
  pen.setLineDash(dashes);
  pen.beginPath();
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const [x, y] = [column * scale, row * scale];
      if (inside(row, column) !== inside(row, column + 1)) { pen.moveTo(x + scale, y); pen.lineTo(x + scale, y + scale); }
      if (row + 1 < side && inside(row, column) !== inside(row + 1, column)) { pen.moveTo(x, y + scale); pen.lineTo(x + scale, y + scale); }
    }
  }
  pen.stroke();
}

function moveDisc() {
  const shift = Number(document.getElementById("shift").value);
  const style = getComputedStyle(document.documentElement);
  const [up, down, ink] = ["--accent", "--second", "--ink"].map((name) => style.getPropertyValue(name));
  document.getElementById("s").textContent = shift;
  for (const { loss, pen, words } of discs) {
    const seen = loss.shifts[shift];
    const pull = bytes(seen.pull);
    pen.clearRect(0, 0, side * scale, side * scale);
    pull.forEach((number, k) => {
      pen.globalAlpha = Math.abs(number) / 127;
      pen.fillStyle = number > 0 ? up : down;
      pen.fillRect((k % side) * scale, Math.floor(k / side) * scale, scale, scale);
    });
    pen.globalAlpha = 1;
    pen.strokeStyle = ink;
    pen.lineWidth = 2;
    outline(pen, 0, []);
    outline(pen, shift, [5, 4]);
    said(words, [["", "loss", seen.value], ["", "largest pull", seen.most]]);
  }
}

document.getElementById("probability").addEventListener("input", moveProbability);
document.getElementById("shift").addEventListener("input", moveDisc);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", moveDisc);
moveProbability();
moveDisc();
