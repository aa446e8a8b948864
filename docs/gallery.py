"""Take the pictures of docs/gallery.md: the top of reports, each made by the command that the page names.

python docs/gallery.py           # needs chromium; some minutes
python docs/gallery.py paper
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import tutorials
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "gallery"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=4000"]
WIDTH, HEIGHT = 1000, 1500
COLOURS = 64


def paper(folder: Path) -> Path:
    """Rank the published means again."""
    command = [sys.executable, "-m", "lossodyssey", "paper", "-o", "paper.html"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder / "paper.html"


def odyssey(folder: Path) -> Path:
    """Write our own odyssey from its kept records."""
    command = [sys.executable, str(ROOT / "paper" / "odyssey.py"), "--report", str(folder / "odyssey.html")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "odyssey.html"


def own_pictures(folder: Path) -> Path:
    """Follow the tutorial on a folder of pictures."""
    for _ in tutorials.outputs(tutorials.SCRIPTS / "own_pictures.py", folder):
        pass
    return folder / "study" / "report.html"


REPORTS: dict[str, Callable[[Path], Path]] = {"paper": paper, "odyssey": odyssey, "own_pictures": own_pictures}


def take(page: Path, picture: Path) -> None:
    """Write the top of a page as a PNG of few colours.

    Raises:
        ValueError: there is no browser.
    """
    if BROWSER is None:
        raise ValueError("no chromium on this machine, which takes the pictures: apt-get install chromium")
    picture.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        size = [f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={picture}", f"--user-data-dir={profile}"]
        subprocess.run([BROWSER, *FLAGS, *size, page.as_uri()], check=True, capture_output=True, timeout=300)
    with Image.open(picture) as taken:
        few = taken.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(picture, optimize=True)


def main(names: Sequence[str]) -> None:
    """Take the pictures of these reports, or of all."""
    for name in names or REPORTS:
        with tempfile.TemporaryDirectory() as folder:
            take(REPORTS[name](Path(folder).resolve()), PICTURES / f"{name}.png")
        print(f"docs/gallery/{name}.png")


if __name__ == "__main__":
    main(sys.argv[1:])
