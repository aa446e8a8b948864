{
  const REACH = 24;
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.setAttribute("role", "status");
  tip.hidden = true;
  document.body.append(tip);

  for (const box of document.querySelectorAll("[data-points]")) {
    const svg = box.querySelector("svg");
    const { metric, losses, cases, values, heights, x, y } = JSON.parse(box.dataset.points);
    const ring = document.createElementNS(svg.namespaceURI, "circle");
    ring.setAttribute("class", "ring");
    ring.setAttribute("r", 4);
    const place = (row, dot) => [x[0] + x[1] * values[row][dot], y[0] + y[1] * (row + heights[dot])];
    const orders = [];
    const order = (row) => (orders[row] ??= [...cases.keys()].sort((a, b) => values[row][a] - values[row][b]));
    let shown = null;

    const hide = () => { tip.hidden = true; ring.remove(); };
    const show = (row, dot) => {
      shown = { row, dot };
      const [left, top] = place(row, dot);
      ring.setAttribute("cx", left);
      ring.setAttribute("cy", top);
      svg.append(ring);
      const lines = [cases[dot], losses[row], `${metric} ${values[row][dot]}`].map((text) => {
        const line = document.createElement("div");
        line.textContent = text;
        return line;
      });
      tip.replaceChildren(...lines);
      tip.hidden = false;
      const at = ring.getBoundingClientRect();
      const wide = document.documentElement.clientWidth;
      tip.style.left = `${scrollX + Math.max(4, Math.min(at.right + 6, wide - tip.offsetWidth - 4))}px`;
      tip.style.top = `${scrollY + Math.max(4, at.top - tip.offsetHeight - 6)}px`;
    };
    const nearest = (event) => {
      const matrix = svg.getScreenCTM();
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
      const middle = Math.round((at.y - y[0]) / y[1]);
      let found = null, best = (REACH / matrix.a) ** 2;
      for (let row = Math.max(middle - 1, 0); row <= Math.min(middle + 1, losses.length - 1); row++) {
        cases.forEach((_, dot) => {
          const [left, top] = place(row, dot);
          const distance = (left - at.x) ** 2 + (top - at.y) ** 2;
          if (distance < best) [found, best] = [[row, dot], distance];
        });
      }
      if (found) show(...found); else hide();
    };
    const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
    box.addEventListener("pointermove", nearest);
    box.addEventListener("pointerdown", nearest);
    box.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hide(); });
    box.addEventListener("blur", hide);
    box.addEventListener("keydown", (event) => {
      if (event.key === "Escape") hide();
      if (!(event.key in step)) return;
      event.preventDefault();
      if (!shown) { show(0, order(0)[0]); return; }
      const [down, along] = step[event.key];
      const row = Math.max(0, Math.min(shown.row + down, losses.length - 1));
      const rank = order(shown.row).indexOf(shown.dot) + along;
      show(row, down ? shown.dot : order(row)[Math.max(0, Math.min(rank, cases.length - 1))]);
    });
  }
}
