"""The page in headless Chromium: no error, no request, tables that sort, and every text where one can read it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossodyssey.report import Curve, RunSummary, write
from lossodyssey.report.published import write_page
from lossodyssey.table import Row

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine: apt-get install chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--allow-file-access-from-files",
    "--virtual-time-budget=4000",
    "--dump-dom",
]

WATCH = """<script>
const seen = { errors: [], requests: [] };
window.addEventListener("error", (event) => seen.errors.push(event.message));
document.addEventListener("securitypolicyviolation", (event) => seen.errors.push("blocked " + event.blockedURI));
for (const level of ["error", "warn"]) console[level] = (...words) => seen.errors.push(words.join(" "));
</script>"""

# A window cannot be narrower than 500 pixels, a frame in it can.
FRAME = """<!doctype html><html><body style="margin:0"><iframe width="{width}" height="900" style="border:0"></iframe>
<script>
const frame = document.querySelector("iframe");
frame.addEventListener("load", () => {{
  const result = document.createElement("output");
  result.id = "seen";
  result.textContent = JSON.stringify(frame.contentWindow.act());
  document.body.append(result);
}});
frame.src = "{address}";
</script></body></html>"""


def visit(page: Path, folder: Path, width: int, script: str) -> dict[str, Any]:
    """Open a copy of the page that watches itself, `width` pixels wide, run the script in it and return `seen`."""
    html = page.read_text(encoding="utf-8").replace("<head>", f"<head>{WATCH}", 1)
    copy, frame = folder / "watched.html", folder / "frame.html"
    body = Path(__file__).with_name(script).read_text(encoding="utf-8")
    act = f"<script>window.act = () => {{ {body} return seen; }};</script></body>"
    copy.write_text(html.replace("</body>", act), encoding="utf-8")
    frame.write_text(FRAME.format(address=copy.as_uri(), width=width), encoding="utf-8")
    size = f"--window-size={max(width, 500)},900"
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={folder / 'profile'}", size, frame.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'<output id="seen">(.*?)</output>', done.stdout, re.DOTALL)
    assert found is not None, done.stderr
    seen: dict[str, Any] = json.loads(unescape(found[1]))
    assert seen["errors"] == []
    return seen


@pytest.mark.parametrize("width", [1280, 500])
def test_the_page_works_offline(page: Path, tmp_path: Path, width: int) -> None:
    seen = visit(page, tmp_path, width, "sort.js")
    assert seen["requests"] == []
    up = [float(text) for text in seen["up"]]
    assert up == sorted(up) and seen["down"] == seen["up"][::-1]
    assert seen["sort"] == "descending"
    assert seen["names"] == sorted(seen["names"], key=str.lower)
    assert seen["focused"] == "BUTTON"
    assert seen["tables"] == 3


def test_the_case_behind_a_dot_is_named(page: Path, tmp_path: Path) -> None:
    seen = visit(page, tmp_path, 1280, "point.js")
    data = seen["data"]
    assert seen["before"] == [True] and seen["escaped"][0] is True
    assert seen["pointed"] == [False, "case 3", data["losses"][1], f"DSC {data['values'][1][3]}"]
    assert seen["tapped"][:3] == [False, "<script>alert(1)</script>", "<script>alert('loss')</script> & $x_1$"]
    assert seen["up"][:3] == [False, "<script>alert(1)</script>", data["losses"][1]]
    assert data["values"][1][data["cases"].index(seen["right"][1])] >= data["values"][1][0]


def long_names(count: int) -> list[str]:
    """Short names, presets, own names, and texts of 90 characters that begin alike, with and without spaces."""
    short = ["Dice()", "DiceTopK()", "mine <b>&", "Dice() + CrossEntropy()"]
    longer = [
        f"Dice(smooth={i}.0) + {i} * Focal(gamma=2.0, alpha=0.25) + TopK(percent=10.0) + Boundary(weight={i})"[:90]
        for i in range(count)
    ]
    longer[::2] = [name.replace(" ", "") for name in longer[::2]]
    return [short[i // 9] if i % 9 == 1 and i // 9 < len(short) else longer[i] for i in range(count)]


@pytest.fixture(scope="module", params=[(2, 1, 2), (22, 3, 2), (40, 2, 5)], ids="{0[0]} losses".format)
def crowded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages of 2, 22 and 40 losses with long names, on one to three data sets, under two and five metrics."""
    count, tasks, metrics = request.param
    rng = np.random.default_rng(0)
    losses = long_names(count)
    names = ["Task04_Hippocampus", "a_data_set_whose_name_says_in_many_words_where_it_comes_from", "KiTS19"][:tasks]
    rows = [
        Row(loss, task, 0, 0, f"patient {case}", label, metric, value * (40 if metric == "HD95" else 1))
        for task in names
        for case in range(8)
        for i, loss in enumerate(losses)
        for label in ("anterior horn of the left ventricle", "lesion")
        for metric in ("DSC", "NSD@2.5", "HD95", "lesion_sensitivity", "clDice")[:metrics]
        if (value := float(np.clip(0.8 - 0.005 * i + rng.normal(scale=0.05), 0, 1))) >= 0
    ]
    curve = Curve(tuple(range(30)), tuple(np.linspace(2, 0.1, 30).tolist()), (0.01,) * 30)
    runs = [RunSummary(loss, names[0], 0, 60.0, 2**28, curve=curve, command=f"train '{loss}'") for loss in losses]
    runs[1] = RunSummary(losses[1], names[0], 0, status="diverged", reason="the loss is NaN at step 7 of 1500")
    path = tmp_path_factory.mktemp("crowded") / "report.html"
    write(rows, path, runs=runs, draws=20)
    return path


@pytest.mark.parametrize("width", [1300, 820, 390])
def test_no_text_lies_on_another_and_nothing_is_cut_off(crowded: Path, tmp_path: Path, width: int) -> None:
    seen = visit(crowded, tmp_path, width, "measure.js")
    assert seen["texts"] > 50 and seen["cells"] > 20
    assert seen["overflow"] <= 0
    assert seen["cut"] == []
    assert seen["over"] == [] and seen["headings"] == []
    assert seen["smallest"] >= (11 if width == 1300 else 5.5)
    assert {"Loss", "Ranks", "DSC ↑", "NSD@2.5 ↑"} <= set(seen["board"])


@pytest.mark.parametrize("width", [1300, 390])
def test_the_page_on_the_published_means_can_be_read_too(tmp_path: Path, width: int) -> None:
    write_page(tmp_path / "paper.html")
    seen = visit(tmp_path / "paper.html", tmp_path, width, "measure.js")
    assert seen["texts"] > 50
    assert seen["overflow"] <= 0
    assert seen["cut"] == [] and seen["over"] == []
