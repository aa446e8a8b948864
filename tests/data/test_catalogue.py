from __future__ import annotations

from dataclasses import fields

import pytest

from lossodyssey.data.catalogue import BY_NAME, ENTRIES, Entry, canonical, look_up
from lossodyssey.data.catalogue.entry import plain
from lossodyssey.data.places import MADE
from lossodyssey.data.prepare.recipe import Recipe
from lossodyssey.data.prepare.registry import find_recipe, recipes


def test_no_name_means_two_sets() -> None:
    owners: dict[str, set[str]] = {}
    for entry in ENTRIES:
        for name in (entry.name, *entry.aliases):
            owners.setdefault(plain(name), set()).add(entry.name)
    assert not {name: who for name, who in owners.items() if len(who) > 1}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_an_entry_is_whole(entry: Entry) -> None:
    for fact in ("modality", "cases", "terms", "layout", "flips", "tolerance_reason", "grouping", "traps", "reference"):
        assert getattr(entry, fact), fact
    assert entry.tolerance is not None and entry.tolerance > 0
    assert all(axis < entry.dims for axis in entry.flip_axes or ())
    assert set(entry.unchecked) <= {field.name for field in fields(Entry)}
    assert entry.source or entry.name in MADE


@pytest.mark.parametrize(
    "name",
    [
        "LiTS",
        "KiTS19",
        "BraTS2018",
        "BraTS2020",
        "ACDC2017",
        "CVC_ClinicDB",
        "DRIVE",
        "CHASE_DB1",
        "BUS2017_B",
        "BUSI",
        "ISIC2018",
        "TopoMortar",
        "DSB2018",
        "odyssey-liver",
        "odyssey-liver-tumour",
        "odyssey-pancreas",
        "odyssey-multi-organ",
        "odyssey-segmentations",
    ],
)
def test_the_sets_of_the_published_experiments_are_known(name: str) -> None:
    assert BY_NAME[name] is look_up(name.lower()) is look_up(name.replace("_", " "))


@pytest.mark.parametrize("name", ["./kits19", "data/kits19", "kits19.d", "mine", ""])
def test_paths_and_unknown_names_stay_as_they_are(name: str) -> None:
    assert canonical(name) == name


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean BraTS2018, BraTS2020"):
        look_up("brats2019")


@pytest.mark.parametrize("recipe", recipes().values(), ids=lambda recipe: recipe.name)
def test_a_recipe_belongs_to_an_entry_that_says_the_same(recipe: Recipe) -> None:
    (entry,) = [entry for entry in ENTRIES if recipe.name in entry.recipes]
    assert entry.classes == recipe.classes
    assert entry.flip_axes == recipe.flip_axes
    for name in (recipe.name, *recipe.aliases):
        assert look_up(name) is entry


def test_every_recipe_that_an_entry_names_exists() -> None:
    assert sorted(name for entry in ENTRIES for name in entry.recipes) == sorted(recipes())


def test_what_has_no_recipe_says_how_it_is_got() -> None:
    with pytest.raises(
        ValueError, match=r"no recipe to prepare 'SegLoss segmentations'; get it from .* evaluate ARCHIVE"
    ):
        find_recipe("SegLoss segmentations")
    with pytest.raises(ValueError, match=r"no recipe to prepare 'ms_lesions'; get it from .* lay it out as MSD"):
        find_recipe("ms_lesions")
