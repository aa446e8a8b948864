"""Opens every page of the site in one headless Chromium and measures it there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=600000"]
HERE = Path(__file__).parent
# A window cannot be narrower than 500 pixels, a frame in it can.
FRAME = """<!doctype html><body style="margin:0"><iframe width="{width}" height="900" style="border:0"></iframe>
<script>{script} walk({pages});</script>"""


def walk(site: Path, folder: Path, width: int, *, dark: bool) -> dict[str, dict[str, Any]]:
    """Return what walk.js finds on each page, the frame `width` pixels wide; `folder` is for files of the browser."""
    pages = [path.as_uri() for path in sorted(site.rglob("*.html")) if path.name != "404.html"]
    script = (HERE / "walk.js").read_text(encoding="utf-8")
    (frame := folder / "frame.html").write_text(FRAME.format(width=width, script=script, pages=json.dumps(pages)))
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    flags = [scheme, "--allow-file-access-from-files", f"--window-size={max(width, 500)},900"]
    seen: dict[str, dict[str, Any]] = opened(frame, folder, flags)
    return {address.removeprefix(f"{site.as_uri()}/"): found for address, found in seen.items()}


def ask(site: Path, folder: Path, words: list[str]) -> dict[str, list[str]]:
    """Return the pages that the search of the site names for each word, from files without a server."""
    script = (HERE / "ask.js").read_text(encoding="utf-8")
    front = (site / "index.html").read_text(encoding="utf-8")
    asking = site / "asking.html"
    asking.write_text(front.replace("</body>", f"<script>{script} ask({json.dumps(words)});</script></body>"))
    try:
        found: dict[str, list[str]] = opened(asking, folder, [])
    finally:
        asking.unlink()
    return {word: [link.removeprefix(f"{site.as_uri()}/") for link in links] for word, links in found.items()}


def opened(page: Path, folder: Path, flags: list[str]) -> Any:
    """Open a page and return what its script left in the element `seen`."""
    command = [str(BROWSER), *FLAGS, *flags, "--dump-dom", f"--user-data-dir={folder / 'profile'}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    found = re.search(r'<output id="seen">(.*?)</output>', done.stdout, re.DOTALL)
    assert found is not None, done.stderr
    return json.loads(unescape(found[1]))
