"""From values and colours of masks to classes, and every doubt that only the user can settle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lossodyssey.data.adopt import Understanding
from lossodyssey.data.adopt.facts import read_quietly
from lossodyssey.data.adopt.labels import case_labels

Look = Callable[..., Understanding]
SHAPE = (24, 30)
IMAGE = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
RED, GREEN, GREY, WHITE = (255, 0, 0), (0, 255, 0), (224, 224, 192), (255, 255, 255)


def blocks(*values: Any) -> NDArray[Any]:
    """A mask of zeros with a block of every value."""
    depth = np.asarray(values[0]).shape
    mask = np.zeros((*SHAPE, *depth), np.uint16 if max(np.max(values), 0) > 255 else np.uint8)
    for place, value in enumerate(values):
        mask[2 + 7 * (place // 4) : 7 + 7 * (place // 4), 2 + 7 * (place % 4) : 7 + 7 * (place % 4)] = value
    return mask


@pytest.fixture
def masks(put: Any) -> Callable[..., None]:
    """Write a mask for each array, with an image beside it."""

    def write(*arrays: NDArray[Any], ending: str = "png", **how: Any) -> None:
        for number, values in enumerate(arrays):
            put(f"images/{number}.png", IMAGE)
            put(f"masks/{number}.{ending}", values, **how)

    return write


def labels(found: Understanding, case: str = "0") -> list[int]:
    values = case_labels(found.cases[case], found.decision.rule, found.layers)
    return [int(value) for value in np.unique(values)]


def check_equal(found: Understanding, case: str, expected: NDArray[Any]) -> None:
    np.testing.assert_array_equal(case_labels(found.cases[case], found.decision.rule, found.layers), expected)


@pytest.mark.parametrize("white", [1, 128, 255, 65535])
@pytest.mark.parametrize("empty", [False, True], ids=["", "with an empty one"])
def test_two_values_are_background_and_foreground(white: int, empty: bool, masks: Any, seen: Look) -> None:
    masks(blocks(white), blocks(0) if empty else blocks(0, white))
    found = seen()
    assert found.decision.classes == {0: "background", 1: "foreground"} and not found.refused and not found.doubts
    check_equal(found, "0", blocks(white) > 0)
    assert found.decision.rule.keeps(found.cases["0"].masks[0]) == (white == 1)


def test_labels_stay_as_they_are_and_names_are_a_guess(masks: Any, seen: Look) -> None:
    masks(blocks(1, 2), blocks(2))
    found = seen()
    assert found.decision.classes == {0: "background", 1: "class 1", 2: "class 2"}
    assert any("are a guess (class 1, class 2)" in note for note in found.notes)
    named = seen(classes="liver,spleen")
    assert named.decision.classes == {0: "background", 1: "liver", 2: "spleen"} and not named.notes


def test_values_with_gaps_are_numbered_and_told(masks: Any, seen: Look) -> None:
    masks(blocks(1, 2, 4), blocks(1, 4))
    found = seen()
    assert labels(found) == [0, 1, 2, 3]
    assert any("4 is 3" in note for note in found.notes)
    check_equal(
        seen(classes="4=core,1=edge,2=oedema"), "1", np.where(blocks(1, 4) == 4, 1, np.where(blocks(1, 4) == 1, 2, 0))
    )


@pytest.mark.parametrize(
    ("choices", "classes", "ignore"),
    [
        ({"ignore": "255"}, {0: "background", 1: "foreground"}, 2),
        ({"classes": "1=liver,255=bone"}, {0: "background", 1: "liver", 2: "bone"}, None),
        ({"threshold": 1.0}, {0: "background", 1: "foreground"}, None),
    ],
    ids=["ignored", "a class", "one foreground"],
)
def test_255_beside_labels_must_be_decided(
    choices: dict[str, Any], classes: dict[int, str], ignore: int | None, masks: Any, seen: Look
) -> None:
    masks(blocks(1, 255), blocks(1))
    refused = seen()
    assert "--ignore 255" in refused.refused[0] and "--classes '1=a,255=b'" in refused.refused[0]
    assert "--threshold 1" in refused.refused[0]
    found = seen(**choices)
    assert not found.refused
    assert (found.decision.classes, found.decision.ignore) == (classes, ignore)


def test_files_of_both_0_1_and_0_255_are_not_mixed_silently(masks: Any, seen: Look) -> None:
    masks(blocks(1), blocks(255))
    assert "--threshold 1" in seen().refused[0]
    check_equal(seen(threshold=1), "1", blocks(255) > 0)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"classes": "1=a"}, "does not name 3"),
        ({"classes": "1=a,2=b,3=c"}, "names 2, which no mask holds"),
        ({"classes": "a,b,c"}, "3 names, but the masks hold 2 values"),
        ({"classes": "a,b=1"}, "expected a key for every name"),
        ({"classes": "a,a"}, "every name once"),
        ({"classes": "1=x,3=ignore"}, "--ignore"),
        ({"classes": "red=a,3=b"}, "expected a value of the masks"),
        ({"ignore": "7"}, "which no mask holds"),
        ({"threshold": 9}, "hold 0 to 3"),
        ({"instances": True, "threshold": 1}, "--threshold has no effect"),
        ({"threshold": 1, "ignore": "3"}, "--ignore has no effect"),
        ({"threshold": 1, "classes": "a,b"}, "leaves one class"),
        ({"spacing": (1.0, 1.0, 1.0)}, "--spacing has 3 sizes; expected 2"),
        ({"spacing": (1.0, 0.0)}, "expected sizes in mm above 0"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_choices_that_do_not_fit_are_refused(choices: dict[str, Any], message: str, masks: Any, seen: Look) -> None:
    masks(blocks(1, 3))
    with pytest.raises(ValueError, match=message):
        seen(**choices)


def test_a_mask_without_0_must_be_told_its_background(masks: Any, seen: Look) -> None:
    trimap = np.full(SHAPE, 2, np.uint8)
    trimap[5:15, 5:15], trimap[8:12, 8:12] = 3, 1
    masks(trimap)
    assert "background" in seen().refused[0]
    check_equal(seen(classes="1=pet,3=border,2=background"), "0", np.array([0, 1, 0, 2])[trimap])


def test_inverted_masks_are_pointed_at_and_can_be_turned(masks: Any, seen: Look) -> None:
    cells = 255 - blocks(255)
    masks(cells)
    (note,) = [note for note in seen().notes if "inverted" in note]
    choice = note.split("--classes '")[1].split("'")[0]
    assert choice == "0=foreground,255=background"
    check_equal(seen(classes=choice), "0", cells == 0)


def test_masks_that_are_all_empty_are_refused(masks: Any, seen: Look) -> None:
    masks(blocks(0))
    assert "no mask has any foreground" in seen().refused[0]


def test_numbered_objects_are_one_class_when_said(masks: Any, seen: Look) -> None:
    masks(blocks(*range(1, 8)), blocks(*range(1, 6)), blocks(*range(1, 9)))
    assert "--instances" in seen().refused[0]
    check_equal(seen(instances=True), "0", blocks(*range(1, 8)) > 0)
    assert not seen(classes=",".join("abcdefgh")).refused


def test_objects_without_numbers_refuse_the_option(masks: Any, seen: Look) -> None:
    masks(blocks(1))
    with pytest.raises(ValueError, match="nothing is numbered"):
        seen(instances=True)


def smooth(mask: NDArray[Any]) -> NDArray[np.uint8]:
    """Blur as scaling does."""
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(mask.astype(float), 1.0, axes=(0, 1))).round().astype(np.uint8)


def test_blurred_edges_are_cut_at_one_half_and_told(masks: Any, seen: Look) -> None:
    big = np.zeros(SHAPE, np.uint8)
    big[4:20, 4:26] = 255
    masks(smooth(big), smooth(big))
    found = seen()
    assert not found.refused and any("blurred by smoothing" in note for note in found.notes)
    # Smoothing rounds the corners off.
    assert (case_labels(found.cases["0"], found.decision.rule, ()) == (big > 0)).sum() == big.size - 4


def test_jpeg_masks_are_cut_and_told(masks: Any, seen: Look) -> None:
    masks(blocks(255, 255), ending="jpg", quality=80)
    found = seen()
    assert any("lossy compression" in note for note in found.notes)
    assert (case_labels(found.cases["0"], found.decision.rule, ()) == (blocks(255, 255) > 0)).mean() > 0.99
    assert not found.decision.rule.keeps(found.cases["0"].masks[0])


def test_jpeg_masks_of_several_labels_are_refused(masks: Any, seen: Look) -> None:
    masks(blocks(85, 170, 255, 170), ending="jpg", quality=80)
    assert "lossy compression has mixed" in seen().refused[0]


def test_few_values_along_edges_are_for_the_user_to_decide(masks: Any, seen: Look) -> None:
    mask = blocks(255)
    mask[1, 2:7] = 128
    masks(mask)
    assert "--threshold 128" in seen().refused[0] and "128=a,255=b" in seen().refused[0]
    check_equal(seen(threshold=128), "0", mask > 0)
    check_equal(seen(classes="128=wall,255=lumen"), "0", np.where(mask == 128, 1, np.where(mask == 255, 2, 0)))


def test_images_and_masks_in_exchange_are_noticed(put: Any, seen: Look) -> None:
    for number in range(2):
        put(f"masks/{number}.png", IMAGE)
        put(f"images/{number}.png", blocks(255))
    assert "exchange --images and --masks" in seen().refused[0]
    assert len(seen().refused) == 1


def test_names_in_exchange_are_noticed(put: Any, mine: Path, seen: Look) -> None:
    for number in range(2):
        put(f"one/{number}_mask.png", blocks(255, 1))
        put(f"two/{number}.png", IMAGE)
    with pytest.raises(ValueError, match="all images are called masks"):
        seen(images=mine / "one", masks=mine / "two")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "1"])
def test_a_grey_mask_in_another_mode_is_the_same_mask(mode: str, put: Any, seen: Look) -> None:
    put("images/0.png", IMAGE)
    put("masks/0.png", blocks(255, 0, 255), mode)
    found = seen()
    assert not found.refused
    check_equal(found, "0", blocks(255, 0, 255) > 0)


def test_colours_are_classes_named_after_them(masks: Any, seen: Look) -> None:
    masks(blocks(RED, GREEN), blocks(GREEN))
    found = seen()
    assert found.decision.classes == {0: "background", 1: "lime", 2: "red"}
    assert any("#ff0000 is 2" in note for note in found.notes)
    check_equal(found, "0", np.where(blocks(2, 1) > 0, blocks(2, 1), 0))
    named = seen(classes="red=artery,#00ff00=vein")
    assert named.decision.classes == {0: "background", 1: "artery", 2: "vein"}
    check_equal(named, "0", blocks(1, 2))


def test_a_colour_can_be_ignored(masks: Any, seen: Look) -> None:
    masks(blocks(RED, GREY))
    found = seen(ignore="#e0e0c0")
    assert found.decision.ignore == 2 and labels(found) == [0, 1, 2]


def test_without_black_the_background_is_a_doubt(masks: Any, seen: Look) -> None:
    mask = blocks(RED, GREEN)
    mask[(mask == 0).all(-1)] = WHITE
    masks(mask)
    found = seen()
    assert "#ffffff is taken for the background" in found.doubts[0]
    check_equal(found, "0", blocks(2, 1))
    assert not seen(classes="white=background,red=a,lime=b").doubts


@pytest.mark.parametrize("kind", ["smooth", "jpeg"])
def test_blurred_colours_go_to_the_nearest(kind: str, put: Any, seen: Look) -> None:
    mask = np.zeros((60, 60, 3), np.uint8)
    mask[5:25, 5:50], mask[32:55, 5:50] = RED, (0, 0, 255)
    put("images/0.png", np.zeros((60, 60), np.uint8) + np.arange(60, dtype=np.uint8))
    if kind == "smooth":
        put("masks/0.png", smooth(mask))
    else:
        put("masks/0.jpg", mask, quality=90)
    found = seen()
    assert set(found.decision.classes.values()) >= {"background"} and len(found.decision.classes) == 3
    assert any("edges of colours are blurred" in note for note in found.notes)
    expected = np.where(mask[..., 0] > 0, 1, 0) + np.where(mask[..., 2] > 0, 2, 0)
    names = {label: name for label, name in found.decision.classes.items() if label}
    order = sorted(names, key=lambda label: -int(names[label].startswith(("red", "#f"))))
    made = np.array([0, *(order.index(label) + 1 for label in sorted(names))])[
        case_labels(found.cases["0"], found.decision.rule, ())
    ]
    assert (made == expected).mean() > 0.98


def palette(values: NDArray[np.uint8], colours: Sequence[tuple[int, int, int]]) -> Image.Image:
    picture = Image.fromarray(values).convert("L")
    picture = Image.frombytes("P", picture.size, picture.tobytes())
    picture.putpalette([part for colour in colours for part in colour])
    return picture


def test_a_common_palette_keeps_its_places(put: Any, mine: Path, seen: Look) -> None:
    put("images/0.png", IMAGE)
    (mine / "masks").mkdir()
    values = blocks(1, 2)
    palette(values, [(0, 0, 0), (128, 0, 0), (0, 128, 0)]).save(mine / "masks/0.png")
    found = seen()
    check_equal(found, "0", values)
    assert found.decision.rule.keeps(found.cases["0"].masks[0])


def test_palettes_of_another_order_are_read_by_colour(put: Any, mine: Path, seen: Look) -> None:
    (mine / "masks").mkdir(parents=True)
    values = blocks(1, 2)
    orders = [[(0, 0, 0), (128, 0, 0), (0, 128, 0)], [(0, 0, 0), (0, 128, 0), (128, 0, 0)]]
    for number, colours in enumerate(orders):
        put(f"images/{number}.png", IMAGE)
        palette(values, colours).save(mine / f"masks/{number}.png")
    found = seen()
    first, second = (case_labels(found.cases[case], found.decision.rule, ()) for case in "01")
    np.testing.assert_array_equal(first, np.array([0, 2, 1])[second])


def test_place_255_of_a_palette_must_be_decided(put: Any, mine: Path, seen: Look) -> None:
    put("images/0.png", IMAGE)
    (mine / "masks").mkdir()
    colours = [(0, 0, 0), (128, 0, 0), *[(9, 9, 9)] * 253, GREY]
    palette(blocks(1, 255), colours).save(mine / "masks/0.png")
    assert "--ignore '#e0e0c0'" in seen().refused[0]
    assert seen(ignore="#e0e0c0").decision.ignore == 2


def test_a_thin_colour_is_a_class_unless_it_is_mixed_of_two_others(put: Any, seen: Look) -> None:
    mask = blocks(RED, RED, GREEN)
    mask[0], mask[23] = GREY, (128, 0, 0)
    put("images/0.png", IMAGE)
    put("masks/0.png", mask)
    found = seen()
    assert list(found.decision.classes.values())[1:] == ["lime", "#e0e0c0", "red"]
    assert any("edges of colours are blurred" in note for note in found.notes)


def test_a_thin_colour_of_a_palette_is_its_place(put: Any, mine: Path, seen: Look) -> None:
    put("images/0.png", IMAGE)
    (mine / "masks").mkdir()
    values = blocks(1, 2)
    values[0], values[23] = 255, 3
    colours = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (64, 0, 0), *[(9, 9, 9)] * 251, GREY]
    palette(values, colours).save(mine / "masks/0.png")
    found = seen(ignore="#e0e0c0")
    check_equal(found, "0", np.where(values == 255, 4, values))


def test_a_mask_in_the_transparency_is_refused(put: Any, seen: Look) -> None:
    put("images/0.png", IMAGE)
    put("masks/0.png", np.dstack([np.full((*SHAPE, 3), 255, np.uint8), blocks(255)]))
    assert "transparency" in seen().refused[0]


@pytest.mark.parametrize(
    ("shape", "said"), [((30, 24), "rows and columns are exchanged"), ((12, 15), "shape 12 x 15 does not fit 24 x 30")]
)
def test_shapes_that_differ_are_refused(shape: tuple[int, int], said: str, put: Any, seen: Look) -> None:
    put("images/0.png", IMAGE)
    put("masks/0.png", np.eye(*shape, dtype=np.uint8))
    assert said in seen().refused[0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 0.5])
def test_numbers_that_are_not_labels_are_refused(value: float, put: Any, seen: Look) -> None:
    values = blocks(1).astype(np.float32)
    values[0, 0] = value
    put("images/0.tif", IMAGE)
    put("masks/0.tif", values)
    assert "which is not a label" in seen().refused[0]


def test_values_that_are_not_labels_are_refused(put: Any, mine: Path, seen: Look) -> None:
    put("images/0.tif", IMAGE)
    put("masks/0.tif", np.linspace(0, 1, IMAGE.size, dtype=np.float32).reshape(SHAPE))
    assert "--threshold 0.5" in seen().refused[0]
    found = seen(threshold=0.5)
    assert labels(found) == [0, 1]
    assert read_quietly(mine / "masks/0.tif")[0].values.dtype == np.float32
