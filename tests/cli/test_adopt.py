"""`data adopt` and `train DIR` at the command line: shown, asked, refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lossodyssey.cli import adopt, train
from lossodyssey.data import places

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Six grey pictures of a bright block, with masks of 0 and 255."""
    rng = np.random.default_rng(0)
    for number in range(6):
        mask = np.zeros((32, 40), np.uint8)
        mask[5 + number : 20 + number, 8:30] = 255
        image = (mask // 3 + rng.integers(0, 60, mask.shape)).astype(np.uint8)
        for folder, values in (("Images", image), ("Masks", mask)):
            path = tmp_path / "mine" / folder / f"p{number // 2}_slice{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(path)
    return tmp_path / "mine"


def test_one_command_makes_a_data_set(call: Call, mine: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    code, output, errors = call("data", "adopt", mine, "-o", new)
    assert code == 0, errors
    assert "6: p0_slice0, p0_slice1, ..., p2_slice5" in output
    assert "note: the names of the classes are a guess (foreground)" in output
    assert "--group" in output
    picture = tmp_path / "new-preview.png"
    with Image.open(picture) as drawn:
        assert str(picture) in output and drawn.size[0] > 100
    assert len(json.loads((new / "dataset.json").read_text())["training"]) == 6
    assert output.splitlines()[-1].startswith(f"6 cases in {new}")


def test_a_dry_run_writes_nothing_but_a_picture_that_was_asked_for(call: Call, mine: Path, tmp_path: Path) -> None:
    code, output, _ = call("data", "adopt", mine, "-o", tmp_path / "new", "--dry-run")
    assert code == 0 and "Nothing was written" in output and "class 1" in output
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    call("data", "adopt", mine, "-o", tmp_path / "new", "--dry-run", "--picture", tmp_path / "p.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "p.png"]


def test_all_options_reach_the_data_set(call: Call, mine: Path, tmp_path: Path) -> None:
    new, folders = tmp_path / "new", ("--images", mine / "Images", "--masks", mine / "Masks")
    options = ("--classes", "lesion", "--spacing", "0.5,0.25", "--group", "^(p[0-9])", "--copy")
    code, _, errors = call("data", "adopt", *folders, "-o", new, *options)
    assert code == 0, errors
    content = json.loads((new / "dataset.json").read_text())
    assert content["labels"] == {"0": "background", "1": "lesion"} and content["spacing"] == [0.5, 0.25]
    assert len({fact["group"] for fact in json.loads((new / "cases.json").read_text()).values()}) == 3
    assert not any(path.is_symlink() for path in new.rglob("*"))


def test_what_is_doubtful_needs_a_yes(call: Call, mine: Path, tmp_path: Path) -> None:
    (mine / "Masks" / "p0_slice0.png").unlink()
    code, output, errors = call("data", "adopt", mine, "-o", tmp_path / "new")
    assert code == 2 and "1 file with no partner would be left out; add --yes" in errors
    assert "p0_slice0.png: no mask of its name; the nearest is p0_slice1" in output
    assert not (tmp_path / "new").exists()
    code, _, _ = call("data", "adopt", mine, "-o", tmp_path / "new", "--yes")
    assert code == 0 and len(list((tmp_path / "new/imagesTr").iterdir())) == 5


@pytest.mark.parametrize("answer", [True, False], ids=["yes", "no"])
def test_a_terminal_is_asked(
    answer: bool, call: Call, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def confirm(text: str, default: bool) -> bool:
        asked.append(f"{text} {default}")
        assert (tmp_path / "new-preview.png").is_file() and not (tmp_path / "new").exists()
        return answer

    monkeypatch.setattr(adopt, "_is_terminal", lambda: True)
    monkeypatch.setattr("typer.confirm", confirm)
    code, output, _ = call("data", "adopt", mine, "-o", tmp_path / "new")
    assert asked == [f"Write {tmp_path / 'new'}? True"]
    assert (code, (tmp_path / "new").exists()) == (0 if answer else 1, answer)
    assert answer or "Nothing was written." in output


def test_what_cannot_be_guessed_is_refused_with_every_fix(call: Call, mine: Path, tmp_path: Path) -> None:
    mask = np.asarray(Image.open(mine / "Masks/p0_slice0.png")).copy()
    mask[0] = 1
    Image.fromarray(mask).save(mine / "Masks/p0_slice0.png")
    Image.fromarray(mask[:9]).save(mine / "Masks/p0_slice1.png")
    code, output, errors = call("data", "adopt", mine, "-o", tmp_path / "new", "--yes")
    assert code == 2 and "--ignore 255" in errors and "shape 9 x 40 does not fit 32 x 40" in errors
    assert "What was understood" in output and not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--spacing", "half"), "--spacing is 'half'"),
        (("--classes", "a,b"), "2 names, but the masks hold 1 values"),
        (("--ignore", "9"), "--ignore is 9, which no mask holds"),
        (("--pattern", "x"), "--pattern is 'x'"),
        (("--group", "x"), "no capture group"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_mistakes_are_one_line(
    call: Call, mine: Path, tmp_path: Path, arguments: tuple[str, str], message: str
) -> None:
    code, _, errors = call("data", "adopt", mine, "-o", tmp_path / "new", *arguments)
    assert code == 2 and errors.startswith("error: ") and errors.count("\n") == 1 and message in errors


def test_an_output_that_exists_is_refused_before_anything_is_read(call: Call, mine: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new/keep").touch()
    code, output, errors = call("data", "adopt", mine, "-o", tmp_path / "new")
    assert code == 2 and "exists already" in errors and not output


TRAIN = ("--loss", "Dice()", "--seeds", 1, "--steps", 2, "--workers", 1)


def test_train_takes_a_folder_and_finds_it_again(call: Call, mine: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, output, errors = call("train", mine, *TRAIN, "-o", out)
    assert code == 0, errors
    assert "has no dataset.json: taken as a folder of images and masks" in output
    (target,) = out.glob("adopted/*/mine")
    assert f"as a data set: {target}" in output and str(target) in (out / "plan.yaml").read_text()

    code, output, _ = call("train", mine, *TRAIN, "-o", out)
    assert code == 0 and f"as understood before, in {target}" in output
    assert len(list((out / "runs").iterdir())) == 1
    code, output, errors = call("bench", out / "plan.yaml", "-o", out)
    assert code == 0, errors
    assert len(list((out / "runs").iterdir())) == 1


def test_losses_of_a_category_are_fitted_to_a_folder(mine: Path, tmp_path: Path) -> None:
    found = train._opened(str(mine), tmp_path / "out", None)
    assert len(found.cases) == 6 and found.root.is_relative_to(tmp_path / "out" / "adopted")


def test_advise_takes_a_folder_and_leaves_nothing_but_the_plan(
    call: Call, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "cache_folder", lambda: None)
    code, output, errors = call("advise", mine, "-o", tmp_path / "plan.yaml")
    assert code == 0, errors
    assert "taken as a folder of images and masks" in output and "What settles it" in output
    assert str(mine) in (tmp_path / "plan.yaml").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "plan.yaml"]


def test_train_refuses_what_is_doubtful_and_names_the_way(call: Call, mine: Path, tmp_path: Path) -> None:
    (mine / "Masks" / "p0_slice0.png").unlink()
    code, _, errors = call("train", mine, *TRAIN, "-o", tmp_path / "out")
    assert code == 2 and f"lossodyssey data adopt {mine} -o NEW" in errors
    assert not list((tmp_path / "out").rglob("dataset.json"))


def test_a_plan_may_name_a_folder(call: Call, mine: Path, tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(f"datasets: [{mine}]\nlosses: [Dice()]\nseeds: 1\nsteps: 2\nheld_out: 2\n")
    code, output, errors = call("bench", tmp_path / "plan.yaml", "-o", tmp_path / "out", "--dry-run")
    assert code == 0, errors
    assert "mine, 6 cases: 4 cases to train on, 2 held out" in output
