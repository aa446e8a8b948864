"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows].at(-1).cells;
  const key = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  const blank = (text) => ["", "–", "nan"].includes(text);
  const order = (x, y) => {
    const numbers = Number(x) - Number(y);
    return Number.isNaN(numbers) ? x.localeCompare(y) : numbers;
  };
  [...heads].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const turn = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", turn < 0 ? "descending" : "ascending");
      const sorted = [...body.rows].sort((a, b) => {
        const [x, y] = [key(a, column), key(b, column)];
        return blank(x) || blank(y) ? blank(x) - blank(y) : turn * order(x, y);
      });
      body.append(...sorted);
    });
  });
}
