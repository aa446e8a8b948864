"""Write the table of losses of centre lines on vessels into `docs/structure_losses.md`, from the records kept here.

python paper/vessels.py            writes the rows between the marks of the page
python paper/vessels.py --keep STUDY    keeps the records of a comparison in paper/vessels
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lossodyssey.atomic import write_text

sys.path.insert(0, str(Path(__file__).parent))
from kept_tables import keep, rewritten, tables

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "paper" / "vessels"
PAGE = ROOT / "docs" / "structure_losses.md"


def text() -> str:
    """Return the page with the tables of the records between its marks."""
    page = PAGE.read_text(encoding="utf-8")
    return rewritten(page, "vessels", list(tables([RECORDS], reference="Dice CE")))


def main(arguments: Sequence[str]) -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", metavar="STUDY", type=Path)
    options = parser.parse_args(arguments)
    if options.keep:
        keep(options.keep, RECORDS)
    write_text(PAGE, text())
    print(PAGE)


if __name__ == "__main__":
    main(sys.argv[1:])
