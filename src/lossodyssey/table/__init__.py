"""The long table: one row per loss, seed, case, class and metric, as we write it and as people have it.

Everything after training (ranking, report) knows this table and nothing else.
"""

from lossodyssey.table.read import read_rows
from lossodyssey.table.row import COLUMNS, OPTIONAL, Row, Table, write_rows

__all__ = ["COLUMNS", "OPTIONAL", "Row", "Table", "read_rows", "write_rows"]
