"""Which loss is better, and how sure is that: rankings of the long table, with numpy and scipy alone."""

from lossodyssey.ranking.cells import POLICIES, Cell, Cells, collect
from lossodyssey.ranking.methods import METHODS
from lossodyssey.ranking.rank import Ranking, Standing, rank

__all__ = ["METHODS", "POLICIES", "Cell", "Cells", "Ranking", "Standing", "collect", "rank"]
