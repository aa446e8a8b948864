"""All recipes: every file of this folder with a tuple RECIPES adds its own."""

from __future__ import annotations

import pkgutil
import re
from functools import cache
from importlib import import_module
from pathlib import Path

from lossodyssey.data.catalogue import BY_NAME, canonical, nearest
from lossodyssey.data.prepare.recipe import Recipe


@cache
def recipes() -> dict[str, Recipe]:
    """Return the recipes by name, in the order of their names.

    Raises:
        RuntimeError: two recipes share a name, an alias or a number.
    """
    package = __name__.rpartition(".")[0]
    modules = [import_module(f"{package}.{found.name}") for found in pkgutil.iter_modules([str(Path(__file__).parent)])]
    every: list[Recipe] = [recipe for module in modules for recipe in getattr(module, "RECIPES", ())]
    taken = [*(_folded(name) for recipe in every for name in _names(recipe)), *(recipe.number for recipe in every)]
    twice = sorted({str(each) for each in taken if taken.count(each) > 1})
    if twice:
        raise RuntimeError(f"{', '.join(twice)}: more than one recipe has this name or number")
    return {recipe.name: recipe for recipe in sorted(every, key=lambda recipe: recipe.name.lower())}


def find_recipe(name: str) -> Recipe:
    """Return the recipe of a data set; capitals, dashes and underscores in the name do not count.

    Raises:
        ValueError: there is none of that name.
    """
    known = {_folded(each): recipe for recipe in recipes().values() for each in _names(recipe)}
    if _folded(name) not in known:
        entry = BY_NAME.get(canonical(name))
        how = entry.way if entry else nearest(name, recipes())
        raise ValueError(f"no recipe to prepare {name!r}; {how}")
    return known[_folded(name)]


def _names(recipe: Recipe) -> tuple[str, ...]:
    return recipe.name, *recipe.aliases


def _folded(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())
