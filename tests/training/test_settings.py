"""Settings refuse what cannot work."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from lossodyssey.data.preprocessing import Preprocessing
from lossodyssey.training.settings import LATER, Settings


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0),
        ("epoch", 0),
        ("batch", 0),
        ("threads", 0),
        ("checkpoint_every", 0),
        ("patience", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("weight_decay", -1e-5),
        ("clip", float("inf")),
        ("foreground", 1.2),
        ("overlap", 1.0),
        ("warmup", -1),
        ("augmentation", 1),
        ("loss_schedules", "no"),
        ("wrong_labels", 1.5),
        ("unannotated", 1.0),
        ("wrong_labels", float("nan")),
        ("optimizer", "adamw"),
        ("schedule", "cosine"),
        ("precision", "float8"),
        ("features", (8,)),
        ("features", (8, 0)),
        ("batch", 1.5),
        ("threads", "two"),
        ("steps", True),
        ("foreground", "a"),
        ("clip", (1.0,)),
        ("device", 0),
        ("features", 8),
        ("features", (8, "16")),
        ("elastic", 1.5),
        ("elastic", "often"),
        ("spacing", "mean"),
        ("spacing", (1.0, 0.0, 1.0)),
        ("spacing", (1.0,)),
        ("spacing", (1.0, "2", 3.0)),
        ("spacing", 1.0),
        ("intensity", "mr"),
        ("intensities", ((0.0, 1.0, 0.5, 0.1),)),
        ("crop", 1),
        ("memory", "disk"),
        ("patch", 32),
        ("patch", "32x32x32"),
        ("patch", (32, 32.0, 32)),
        ("patch", (32,)),
        ("patch", (32, 31, 32)),
        ("patch", (8, 8, 8)),
    ],
)
def test_a_value_out_of_range_is_named(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"settings: {field} is .*; expected "):
        Settings(**{field: value})


def test_the_divisor_follows_the_levels() -> None:
    assert Settings().divisor == 8
    assert Settings(features=(8, 16), patch=(6, 4)).divisor == 2


def test_an_unknown_patch_cannot_be_used() -> None:
    assert Settings(patch=(16, 32)).known_patch() == (16, 32)
    with pytest.raises(ValueError, match="patch is None"):
        Settings().known_patch()


def test_settings_of_later_versions_tell_runs_apart_only_where_they_change_anything() -> None:
    earlier = Settings(warmup=0).identity()
    assert earlier["steps"] == Settings().steps and not set(LATER) & set(earlier)
    assert Settings(warmup=5).identity() == earlier | {"warmup": 5}
    assert Settings(warmup=0, wrong_labels=0.1).identity() == earlier | {"wrong_labels": 0.1}
    assert Settings(warmup=0, unannotated=0.5).identity() == earlier | {"unannotated": 0.5}
    assert Settings(warmup=0, augmentation=False).identity() == earlier | {"augmentation": False}
    assert Settings(warmup=0, spacing="median").identity() == earlier | {"spacing": "median"}
    assert Settings(warmup=0, elastic=0.2).identity() == earlier | {"elastic": 0.2}


def test_the_default_settings_are_those_of_the_runs_that_there_are() -> None:
    text = json.dumps(Settings().identity(), sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "3399f32e1257a291"


def test_where_cases_lie_in_memory_tells_no_runs_apart() -> None:
    assert Settings(memory="mapped").identity() == Settings(memory="held").identity() == Settings().identity()


def test_a_setting_without_effect_is_refused() -> None:
    with pytest.raises(ValueError, match=r"elastic is 0\.2; expected 0 where augmentation is false"):
        Settings(elastic=0.2, augmentation=False)


@pytest.mark.parametrize(
    "rows",
    [((1.0, 0.0, 0.5, 0.1),), ((0.0, 1.0, 0.5),), ((0.0, 1.0, 0.5, -1.0),), (0.0, 1.0), ((0.0, 1.0, 0.5, "1"),)],
    ids=["order", "three", "negative", "flat", "text"],
)
def test_ranges_of_intensities_are_checked(rows: Any) -> None:
    with pytest.raises(ValueError, match=r"intensities is .*; expected low, high, mean and deviation"):
        Settings(intensity="ct", intensities=rows)


def test_preprocessing_waits_for_the_numbers_of_the_data() -> None:
    assert Settings().preprocessing() == Preprocessing()
    found = Settings(spacing=(1, 2), intensity="ct", intensities=([0.0, 1.0, 0.5, 0.1], []), crop=True).preprocessing()
    assert found == Preprocessing((1.0, 2.0), ((0.0, 1.0, 0.5, 0.1), ()), True)
    for settings in (Settings(spacing="median"), Settings(intensity="auto")):
        with pytest.raises(ValueError, match="expected the numbers that the training cases decide"):
            settings.preprocessing()
