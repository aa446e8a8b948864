"""Label maps in other formats, and pictures whose pixels have a size, are scored in millimetres."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import typer
from PIL import Image
from typer.testing import CliRunner

from lossodyssey.cli import evaluate
from lossodyssey.data.grids import write_array
from lossodyssey.metrics.geometry import read_pair
from lossodyssey.table import read_rows

app = typer.Typer()
app.command(cls=evaluate.ManyValues)(evaluate.evaluate)

TRUTH, SHIFTED = np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint8)
TRUTH[5:15, 5:15] = SHIFTED[5:15, 7:17] = 1


def folders(root: Path, spacing: Any = None) -> tuple[Path, Path]:
    for part, values in (("labelsTr", TRUTH), ("predictions", SHIFTED)):
        (root / part).mkdir()
        Image.fromarray(values).save(root / part / "a.png")
    facts: dict[str, Any] = {"labels": {"0": "background", "1": "cell"}}
    (root / "dataset.json").write_text(json.dumps(facts if spacing is None else facts | {"spacing": spacing}))
    return root / "predictions", root / "labelsTr"


@pytest.mark.parametrize(("spacing", "nsd"), [(None, False), ([0.25, 0.25], True), ([1, 4], False)], ids=str)
def test_the_pixel_size_of_a_data_set_counts_in_tolerances(tmp_path: Path, spacing: Any, nsd: bool) -> None:
    """The square lies two columns beside its truth: half a millimetre where a column is a quarter of one."""
    predictions, truths = folders(tmp_path, spacing)
    arguments = [str(predictions), str(truths), "-o", str(tmp_path / "cases.csv"), "--metrics", "NSD@1", "HD95"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    found = {row.metric: row.value for row in read_rows(tmp_path / "cases.csv")}
    assert (found["NSD"] == 1) is nsd
    assert found["HD95"] == pytest.approx(2 * (spacing or [1, 1])[1])


@pytest.mark.parametrize("part", ["labelsTr", "predictions"])
def test_the_size_of_one_file_is_that_of_both(tmp_path: Path, part: str) -> None:
    predictions, truths = folders(tmp_path)
    (tmp_path / part / "a.json").write_text('{"spacing": [0.5, 0.25]}')
    for labels in read_pair(predictions / "a.png", truths / "a.png"):
        assert labels.spacing == (0.5, 0.25) and np.array_equal(np.diag(labels.affine), [0.5, 0.25, 1])


def test_two_sizes_are_told_apart(tmp_path: Path) -> None:
    predictions, truths = folders(tmp_path)
    for folder, size in ((predictions, 1), (truths, 2)):
        (folder / "a.json").write_text(f'{{"spacing": [{size}, {size}]}}')
    with pytest.raises(ValueError, match=r"a\.png: spacing 1 x 1 mm, the truth has 2 x 2"):
        read_pair(predictions / "a.png", truths / "a.png")


def test_stacks_and_mha_are_compared(tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    volume = np.stack([TRUTH, SHIFTED])
    for name in ("one", "two"):
        tifffile.imwrite(tmp_path / f"{name}.tif", volume)
        sitk.WriteImage(sitk.GetImageFromArray(volume), str(tmp_path / f"{name}.mha"))
    first, _ = read_pair(tmp_path / "one.tif", tmp_path / "two.tif")
    second, _ = read_pair(tmp_path / "one.mha", tmp_path / "two.mha")
    assert np.array_equal(first.labels, volume) and np.array_equal(second.labels, volume.transpose(2, 1, 0))


def test_the_axes_of_stacks_and_volumes_are_not_taken_for_each_other(tmp_path: Path) -> None:
    """A cube has the same shape whichever way its axes run."""
    cube = np.random.default_rng(0).integers(0, 2, (6, 6, 6)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", cube, photometric="minisblack")
    write_array(tmp_path / "a.nii.gz", cube, np.eye(4))
    for sized in (False, True):
        for first, second in ((".tif", ".nii.gz"), (".nii.gz", ".tif")):
            with pytest.raises(ValueError, match=r"not the kind of file that a\..* is; convert one to the other"):
                read_pair(tmp_path / f"a{first}", tmp_path / f"a{second}")
        if not sized:
            (tmp_path / "a.json").write_text('{"spacing": [1, 1, 1]}')


def test_classes_that_are_not_annotated_in_a_case_are_not_scored_in_it(tmp_path: Path) -> None:
    predictions, truths = folders(tmp_path)
    for folder, values in ((truths, TRUTH), (predictions, SHIFTED)):
        Image.fromarray(values + (values == 0) * np.uint8(2)).save(folder / "b.png")
    labels = {"0": "background", "1": "cell", "2": "wall"}
    training = [{"image": f"{name}.png", "label": f"{name}.png", "source": "north"} for name in "ab"]
    facts = {"labels": labels, "training": training, "annotated": {"source:north": ["cell"], "b": ["cell", "wall"]}}
    (tmp_path / "dataset.json").write_text(json.dumps(facts))
    done = CliRunner().invoke(
        app, [str(predictions), str(truths), "-o", str(tmp_path / "cases.csv"), "--metrics", "DSC"]
    )
    assert done.exit_code == 0, done.output
    found = {(row.case, row.class_name): row.status for row in read_rows(tmp_path / "cases.csv")}
    assert found == {("a", "cell"): "ok", ("a", "wall"): "not_annotated", ("b", "cell"): "ok", ("b", "wall"): "ok"}
    header, *lines = (tmp_path / "cases.summary.csv").read_text().splitlines()
    assert header.endswith(",not_annotated") and lines[1].startswith("wall,") and lines[1].endswith(",1")
