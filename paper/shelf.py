"""Write the tables of the third shelf into `docs/third_shelf.md`, from the records kept in `paper/shelf`.

python paper/shelf.py                      writes the rows between the marks of the page
python paper/shelf.py --keep STUDY NAME    keeps the records of a comparison in paper/shelf/NAME

The names are partial, and whole with its ceiling; the same with trainings twice as long, partial_long and whole_long;
lesions; calibration.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lossodyssey.atomic import write_text

sys.path.insert(0, str(Path(__file__).parent))
from kept_tables import ARCHIVE, keep, rewritten, tables

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "paper" / "shelf"
PAGE = ROOT / "docs" / "third_shelf.md"
TABLES = {
    "partial": (("partial", "whole"), "DiceCE as background"),
    "partial_long": (("partial_long", "whole_long"), "DiceCE as background"),
    "lesions": (("lesions",), "DiceCE"),
    "calibration": (("calibration",), "DiceCE"),
}
"""For each pair of marks on the page the records behind it, and the loss that the others are compared with."""
NAMES = [name for records, _ in TABLES.values() for name in records]


def text() -> str:
    """Return the page with the tables of the records that are there between its marks."""
    found = PAGE.read_text(encoding="utf-8")
    for name, (records, reference) in TABLES.items():
        kept = [RECORDS / each for each in records if (RECORDS / each / ARCHIVE).is_file()]
        if kept:
            found = rewritten(found, name, list(tables(kept, reference)))
    return found


def main(arguments: Sequence[str]) -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", nargs=2, metavar=("STUDY", "NAME"))
    options = parser.parse_args(arguments)
    if options.keep:
        study, name = options.keep
        if name not in NAMES:
            parser.error(f"--keep: NAME is {name!r}, expected one of {', '.join(NAMES)}")
        keep(Path(study), RECORDS / name)
    write_text(PAGE, text())
    print(PAGE)


if __name__ == "__main__":
    main(sys.argv[1:])
