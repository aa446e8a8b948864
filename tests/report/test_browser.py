"""The page in headless Chromium: no error, no request, tables that sort."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=4000",
    "--dump-dom",
]

WATCH = """<script>
const seen = { errors: [], requests: [] };
window.addEventListener("error", (event) => seen.errors.push(event.message));
document.addEventListener("securitypolicyviolation", (event) => seen.errors.push("blocked " + event.blockedURI));
for (const level of ["error", "warn"]) console[level] = (...words) => seen.errors.push(words.join(" "));
</script>"""

ACT = """<script>
const table = document.querySelector("#leaderboard table");
const column = (index) => [...table.tBodies[0].rows].map((row) => row.cells[index].textContent.trim());
const press = (index) => table.tHead.rows[0].cells[index].querySelector("button").click();
seen.tables = document.querySelectorAll("table.sortable").length;
press(5); seen.up = column(5);
press(5); seen.down = column(5); seen.sort = table.tHead.rows[0].cells[5].getAttribute("aria-sort");
press(1); seen.names = column(1);
table.tHead.rows[0].cells[0].querySelector("button").focus();
seen.focused = document.activeElement.tagName;
seen.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
seen.requests = performance.getEntriesByType("resource").map((entry) => entry.name)
  .filter((name) => !name.startsWith("data:"));
const result = document.createElement("output"); result.id = "seen"; result.textContent = JSON.stringify(seen);
document.body.append(result);
</script>"""


def visit(page: Path, folder: Path, size: str) -> dict[str, object]:
    """Open a copy of the page that watches itself, sort its first table, and give what was seen."""
    html = page.read_text(encoding="utf-8").replace("<head>", f"<head>{WATCH}").replace("</body>", f"{ACT}</body>")
    copy = folder / "watched.html"
    copy.write_text(html, encoding="utf-8")
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={folder / 'profile'}", f"--window-size={size}", copy.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'<output id="seen">(.*?)</output>', done.stdout, re.DOTALL)
    assert found is not None, done.stderr
    seen: dict[str, object] = json.loads(unescape(found[1]))
    return seen


@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine: apt-get install chromium")
@pytest.mark.parametrize("size", ["1280,1000", "500,900"])
def test_the_page_works_offline(page: Path, tmp_path: Path, size: str) -> None:
    seen = visit(page, tmp_path, size)
    assert seen["errors"] == []
    assert seen["requests"] == []
    up = [float(text) for text in seen["up"]]  # type: ignore[attr-defined]
    assert up == sorted(up) and seen["down"] == seen["up"][::-1]  # type: ignore[index]
    assert seen["sort"] == "descending"
    assert seen["names"] == sorted(seen["names"], key=str.lower)  # type: ignore[call-overload]
    assert seen["focused"] == "BUTTON"
    assert seen["overflow"] == 0
    assert seen["tables"] == 3
