"""Write what follows from the code: a page and a curve per loss, and the tables of losses.

    python docs/generate.py            # write
    python docs/generate.py --check    # list what is stale, exit code 1
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import lossodyssey as lo
from lossodyssey.losses.pages import citation, page
from lossodyssey.losses.response import response

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "losses"
WIDTH, HEIGHT, MARGIN = 420, 220, 40
MARK = re.compile(r"(<!-- losses -->\n).*?(<!-- /losses -->)", re.DOTALL)


def generated() -> dict[Path, str]:
    """Every generated file with its text."""
    cards = [card for card in lo.atlas() if card.category != "custom"]
    files = {PAGES / "README.md": f"# The losses\n\n{table(cards)}\n"}
    for card in cards:
        files[PAGES / f"{card.name}.md"] = page(card).replace("## One voxel\n", f"## One voxel\n\n![]({card.name}.svg)\n")
        files[PAGES / f"{card.name}.svg"] = curve(card.build())
    listed = [card for card in cards if card.category != "as_released"]
    readme = ROOT / "README.md"
    files[readme] = MARK.sub(
        lambda found: f"{found[1]}{table(listed, 'docs/losses/')}\n{found[2]}", readme.read_text(encoding="utf-8")
    )
    return files


def table(cards: list[lo.Card], folder: str = "") -> str:
    """The atlas as a Markdown table."""
    rows = [
        f"| {card.category} | [{card.name}]({folder}{card.name}.md) | {card.summary.split(': ')[0]} "
        f"| {citation(card.paper, short=True)} |"
        for card in cards
    ]
    return "\n".join(["| category | loss | what it is | paper |", "|---|---|---|---|", *rows])


def curve(loss: lo.Loss) -> str:
    """Value (solid) and slope (dashed) of a loss against one voxel's probability, as SVG."""
    probabilities = [0.01 + 0.98 * k / 48 for k in range(49)]
    values, slopes = response(loss, probabilities)
    lines = [
        f'<polyline class="{name}" points="{points(probabilities, numbers)}"/>'
        for name, numbers in (("value", values), ("slope", slopes))
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="loss and slope against the probability of one voxel">\n'
        "<style>polyline{fill:none;stroke-width:2}.value{stroke:#0072b2}.slope{stroke:#d55e00;stroke-dasharray:6 4}"
        "text{font:12px sans-serif;fill:#666}line{stroke:#999}</style>\n"
        f'<line x1="{MARGIN}" y1="{HEIGHT - MARGIN}" x2="{WIDTH - MARGIN}" y2="{HEIGHT - MARGIN}"/>\n'
        + "\n".join(lines)
        + f'\n<text x="{MARGIN}" y="{HEIGHT - 20}">p = 0</text>'
        f'<text x="{WIDTH - MARGIN - 32}" y="{HEIGHT - 20}">p = 1</text>'
        f'<text x="{MARGIN}" y="20">loss, {min(values):.3g} to {max(values):.3g} (solid)</text>'
        f'<text x="{WIDTH // 2}" y="20">slope, {min(slopes):.3g} to {max(slopes):.3g} (dashed)</text>\n</svg>\n'
    )


def points(across: list[float], up: list[float]) -> str:
    """Points of a polyline, both axes scaled to the picture."""
    low, span = min(up), max(max(up) - min(up), 1e-12)
    return " ".join(
        f"{MARGIN + x * (WIDTH - 2 * MARGIN):.1f},{HEIGHT - MARGIN - (y - low) / span * (HEIGHT - 2 * MARGIN - 10):.1f}"
        for x, y in zip(across, up, strict=True)
    )


def main() -> None:
    """Write the files, or list the stale ones."""
    files = generated()
    stale = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    stale += [path for path in sorted(PAGES.glob("*.*")) if path not in files]
    if "--check" in sys.argv:
        sys.exit(f"stale, run `make pages`: {', '.join(path.name for path in stale)}" if stale else 0)
    PAGES.mkdir(exist_ok=True)
    for path in stale:
        if path in files:
            path.write_text(files[path], encoding="utf-8")
        else:
            path.unlink()
    print(f"{len(stale)} of {len(files)} files written")


if __name__ == "__main__":
    main()
