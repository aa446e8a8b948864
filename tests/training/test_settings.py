"""Settings refuse what cannot work."""

from __future__ import annotations

from typing import Any

import pytest

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
    assert Settings(warmup=0, augmentation=False).identity() == earlier | {"augmentation": False}
