"""Relations between classes and neighbourhoods: contacts, distances of classes, regions."""

from __future__ import annotations

import math
from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey.losses.structure.contacts import adjacency_from_labels, never_touching

CLASSES = 4


def batch(*space: int, seed: int = 0, classes: int = CLASSES, block: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (2, *(-(-n // block) for n in space)), generator=generator)
    for axis in range(len(space)):
        labels = labels.repeat_interleave(block, axis + 1).narrow(axis + 1, 0, space[axis])
    return 2 * torch.randn(2, classes, *space, generator=generator, dtype=torch.float64), labels


def sure(labels: Tensor, classes: int = CLASSES) -> Tensor:
    return 60.0 * torch.nn.functional.one_hot(labels, classes).movedim(-1, 1).double()


def touches(labels: np.ndarray, a: int, b: int, *, corners: bool = True) -> bool:
    """Look at every voxel and every neighbour of it."""
    for place in np.argwhere(labels == a):
        for step in product((-1, 0, 1), repeat=labels.ndim):
            there = tuple(place + step)
            inside = all(0 <= k < n for k, n in zip(there, labels.shape, strict=True))
            if inside and (corners or sum(map(abs, step)) == 1) and labels[there] == b:
                return True
    return False


@pytest.mark.parametrize("space", [(7, 9), (4, 5, 6), (1, 6), (5,)])
@pytest.mark.parametrize("connectivity", ["full", "faces"])
def test_the_table_of_labels_knows_which_classes_touch(space: tuple[int, ...], connectivity: Any) -> None:
    for seed in range(3):
        labels = batch(*space, seed=seed, classes=6, block=2)[1][0]
        table = adjacency_from_labels(labels, 6, connectivity)
        assert torch.equal(table, table.T) and not table.diagonal().any() and table.dtype == torch.long
        for a, b in permutations(range(6), 2):
            assert bool(table[a, b]) == touches(labels.numpy(), a, b, corners=connectivity == "full")


def test_tables_count_neighbours_and_add_up() -> None:
    labels = np.array([[0, 1, 2], [0, 1, 255], [-1, 3, 3]])
    table = adjacency_from_labels(labels, 4)
    assert table.tolist() == [[0, 4, 0, 1], [4, 0, 2, 2], [0, 2, 0, 0], [1, 2, 0, 0]]
    assert adjacency_from_labels(labels, 4, "faces")[1].tolist() == [2, 0, 1, 1]
    assert never_touching(table) == ((0, 2), (2, 3))
    assert never_touching(table + adjacency_from_labels([[2, 3], [2, 3]], 4)) == ((0, 2),)
    assert lo.parse(repr(lo.NonAdjacency(forbidden=never_touching(table)))).forbidden == ((0, 2), (2, 3))
    with pytest.raises(ValueError, match="classes is 1, expected two or more"):
        adjacency_from_labels(labels, 1)
    with pytest.raises(ValueError, match="labels are not whole numbers"):
        adjacency_from_labels(np.array([0.5, 1]), 2)


@pytest.mark.parametrize("space", [(6, 7), (4, 5, 6)])
def test_classes_of_labels_touch_where_their_entry_is_above_0(space: tuple[int, ...]) -> None:
    for seed in range(3):
        _, labels = batch(*space, seed=seed, classes=6, block=2)
        table = adjacency_from_labels(labels[0], 6)
        for i, j in permutations(range(6), 2):
            value = float(lo.NonAdjacency(forbidden=((i, j),))(sure(labels, 6)[:1], labels[:1]))
            assert (value > 1e-9) == bool(table[i, j])
        assert float(lo.NonAdjacency()(sure(labels, 6), labels)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("space", [(6, 7), (4, 5, 6)])
def test_contact_is_the_mean_product_with_the_mean_of_the_box(space: tuple[int, ...]) -> None:
    logits, labels = batch(*space)
    s = logits.softmax(1)
    mean = (torch.nn.functional.avg_pool2d, torch.nn.functional.avg_pool3d)[len(space) - 2](s, 3, 1, 1)
    entry = torch.einsum("niv,njv->ij", s.flatten(2), mean.flatten(2)) / labels.numel()
    pairs = ((1, 3), (2, 3), (1, 2))
    torch.testing.assert_close(
        lo.NonAdjacency(forbidden=pairs)(logits, labels), sum(entry[i, j] + entry[j, i] for i, j in pairs)
    )
    # The order of pairs, and of the classes in them, is without effect.
    turned = lo.NonAdjacency(forbidden=((2, 1), (3, 1), (3, 2), (2, 3)))
    torch.testing.assert_close(turned(logits, labels), lo.NonAdjacency(forbidden=pairs)(logits, labels))
    assert float(entry.sum()) <= 1 + 1e-9
    # All rows of the table sum to the mean probability, but for what the border takes.
    assert (entry.sum(1) <= s.mean((0, *range(2, s.ndim))) + 1e-9).all()


def test_forbidden_pairs_need_no_labels_and_default_pairs_do() -> None:
    logits, labels = batch(8, 8, block=4)
    loss = lo.NonAdjacency(forbidden=((1, 3),))
    assert not loss.supervised and lo.NonAdjacency().supervised
    torch.testing.assert_close(loss(logits, labels), loss(logits, torch.zeros_like(labels)))
    per_sample = [
        lo.NonAdjacency(forbidden=never_touching(adjacency_from_labels(y, CLASSES)))(z[None], y[None])
        for z, y in zip(logits, labels, strict=True)
    ]
    torch.testing.assert_close(lo.NonAdjacency()(logits, labels), torch.stack(per_sample).mean())


@pytest.mark.parametrize("text", ["NonAdjacency(forbidden=((0, 1),))", "TopologicalInteraction(forbidden=((0, 1),))"])
def test_one_channel_is_two_classes(text: str) -> None:
    logits, labels = batch(6, 7, classes=2)
    loss = lo.parse(text)
    one = logits[:, 1:] - logits[:, :1]
    torch.testing.assert_close(loss(one, labels), loss(logits, labels))
    labels[:, 2:4] = 9
    torch.testing.assert_close(loss(one, labels, ignore=9), loss(logits, labels, ignore=9))


def layers() -> tuple[Tensor, Tensor]:
    """Predicted layers 0 1 2 3 with noise, of true ones in which 1 lies between 0 and 2."""
    logits, _ = batch(12, 12, seed=3)
    labels = torch.arange(12).clamp(max=11).div(3, rounding_mode="floor").expand(2, 12, 12).contiguous()
    return logits + sure(labels) / 20, labels


@pytest.mark.parametrize("per", ["sample", "voxel"])
def test_no_contact_costs_nothing_and_the_rest_is_cross_entropy_of_critical_voxels(per: Any) -> None:
    logits, labels = layers()
    loss = lo.TopologicalInteraction(forbidden=((0, 2), (1, 3)), per=per)
    assert float(loss(sure(labels), labels)) == 0
    hard = logits.argmax(1).numpy()
    critical = np.zeros(hard.shape, dtype=bool)
    for n, y, x in np.ndindex(hard.shape):
        around = hard[n, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        partner = {0: 2, 2: 0, 1: 3, 3: 1}[int(hard[n, y, x])]
        critical[n, y, x] = (around == partner).any()
    entropy = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    total = (entropy * torch.from_numpy(critical)).sum() / (2 if per == "sample" else labels.numel())
    assert critical.any()
    torch.testing.assert_close(loss(logits, labels), total)


def test_more_neighbours_are_more_contact() -> None:
    logits, labels = layers()
    value = {
        (kind, thickness): float(
            lo.TopologicalInteraction(forbidden=((0, 2), (1, 3)), connectivity=kind, thickness=thickness)(
                logits, labels
            )
        )
        for kind in ("faces", "full")
        for thickness in (1, 2, 3)
    }
    for thickness in (1, 2, 3):
        assert 0 < value["faces", thickness] <= value["full", thickness]
    for kind in ("faces", "full"):
        assert value[kind, 1] < value[kind, 2] <= value[kind, 3]


def test_rules_that_say_the_same_are_equal() -> None:
    logits, labels = batch(9, 10, classes=3)

    def at(**rules: Any) -> Tensor:
        return lo.TopologicalInteraction(**rules)(logits, labels)

    torch.testing.assert_close(at(forbidden=((1, 2),)), at(forbidden=((2, 1),)))
    # Of three classes one is left: what may touch A and B alone must not touch it.
    torch.testing.assert_close(at(inclusion=((1, 2),)), at(forbidden=((1, 0),)))
    logits, labels = batch(9, 10)
    torch.testing.assert_close(at(forbidden=((1, (2, 3)),)), at(forbidden=((1, 2), (1, 3))))
    torch.testing.assert_close(at(inclusion=((1, 2),)), at(forbidden=((1, (0, 3)),)))
    torch.testing.assert_close(at(inclusion=(((1, 2), 3),)), at(forbidden=(((1, 2), 0),)))
    for axis in (2, 3):
        turned = lo.TopologicalInteraction(forbidden=((1, 2),))(logits.flip(axis), labels.flip(axis - 1))
        torch.testing.assert_close(turned, at(forbidden=((1, 2),)))


def test_voxels_that_do_not_count_break_no_rule() -> None:
    labels = torch.tensor([[[0, 0, 1, 1, 2, 2]]])
    loss = lo.TopologicalInteraction(inclusion=((1, 2),))
    assert float(loss(sure(labels, 3) / 20, labels)) > 0
    # The voxel between the classes is taken out: class 1 touches nothing any more but class 2.
    marked = torch.tensor([[[0, 255, 1, 1, 2, 2]]])
    assert float(loss(sure(labels, 3) / 20, marked, ignore=255)) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NonAdjacency(forbidden=())", r"NonAdjacency\.forbidden is empty, expected pairs"),
        ("NonAdjacency(forbidden=((1, 1),))", r"forbidden has \(1, 1\), expected two different classes"),
        ("NonAdjacency(forbidden=((1, 2, 3),))", r"forbidden has \(1, 2, 3\), expected two different"),
        ("NonAdjacency(forbidden=((1, -2),))", r"forbidden has \(1, -2\), expected two different"),
        ("TopologicalInteraction(forbidden=())", r"forbidden is empty, expected pairs"),
        ("TopologicalInteraction(forbidden=((1, (1, 2)),))", "expected two classes, or sets of classes without"),
        ("TopologicalInteraction(inclusion=((1, ()),))", r"inclusion has \(1, \(\)\), expected two classes"),
        ("TopologicalInteraction(thickness=0)", "thickness is 0, expected"),
        ("GeneralizedWassersteinDice(distances=((0, 1),))", "has 1 rows of"),
        ("GeneralizedWassersteinDice(distances=((0, 1), (1, 2)))", "expected 0: a class has no distance from itself"),
        ("GeneralizedWassersteinDice(distances=((0, 1), (2, 0)))", r"\[0\]\[1\] is 1\.0, but \[1\]\[0\] is 2\.0"),
        ("GeneralizedWassersteinDice(distances=((0, -1), (-1, 0)))", r"expected a number in \[0, inf\)"),
        ("GeneralizedWassersteinDice(distances=((0, 0), (0, 0)))", "every class at 0 from the background"),
        ("GeneralizedWassersteinDice(distances=((0, 1), (1, 0)), tree=((1, 2),))", "leave one out"),
        ("GeneralizedWassersteinDice(tree=(1, 2, 3))", "all classes are equally far apart"),
        ("GeneralizedWassersteinDice(tree=((1, 2), 2))", "each at one place of the tree"),
        ("GeneralizedWassersteinDice(tree=((1,), 2))", r"the group \(1,\), expected two entries or more"),
    ],
)
def test_relations_without_a_meaning_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lo.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NonAdjacency(forbidden=((1, 4),))", r"forbidden names class 4, but there are 4 classes: 0 to 3"),
        ("TopologicalInteraction(inclusion=((1, (2, 9)),))", "names class 9, but there are 4 classes"),
        ("GeneralizedWassersteinDice(distances=((0, 1), (1, 0)))", "has 2 rows, but there are 4 classes"),
        ("GeneralizedWassersteinDice(tree=((1, 4), 2))", "names class 4, but there are 4 classes"),
    ],
)
def test_classes_that_are_not_there_are_refused_at_the_call(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lo.parse(text)(*batch(4, 5))


ORDERED = tuple(tuple(float(abs(i - j)) for j in range(CLASSES)) for i in range(CLASSES))


def by_voxels(logits: Tensor, labels: Tensor, matrix: Any, smooth: float = 1e-5) -> float:
    """The paper's formula, a voxel at a time."""
    m, s = np.array(matrix) / np.max(matrix), logits.softmax(1).numpy()
    values = []
    for n in range(len(labels)):
        tp = total = 0.0
        for place in np.ndindex(*labels.shape[1:]):
            y = int(labels[(n, *place)])
            w = float(m[y] @ s[(n, slice(None), *place)])
            tp, total = tp + m[y, 0] * (m[y, 0] - w), total + w
        values.append(1 - (2 * tp + smooth) / (2 * tp + total + smooth))
    return float(np.mean(values))


TREE = ((0, 1, 1, 1), (1, 0, 1 / 3, 2 / 3), (1, 1 / 3, 0, 2 / 3), (1, 2 / 3, 2 / 3, 0))


@pytest.mark.parametrize(
    ("text", "matrix"),
    [
        ("GeneralizedWassersteinDice()", 1 - np.eye(CLASSES)),
        (f"GeneralizedWassersteinDice(distances={ORDERED})", ORDERED),
        ("GeneralizedWassersteinDice(tree=((1, 2), 3))", ((0, 1, 1, 1), (1, 0, 0.5, 1), (1, 0.5, 0, 1), (1, 1, 1, 0))),
        ("GeneralizedWassersteinDice(tree=(((1, 2), 3), 0))", TREE),
        ("GeneralizedWassersteinDice(tree=(((1, 2), 3),))", TREE),
    ],
)
def test_wasserstein_dice_is_the_formula(text: str, matrix: Any) -> None:
    logits, labels = batch(4, 5, seed=2)
    loss = lo.parse(text)
    assert lo.parse(repr(loss)).text() == loss.text()
    assert float(loss(logits, labels)) == pytest.approx(by_voxels(logits, labels, matrix), abs=1e-9)
    soft = torch.nn.functional.one_hot(labels, CLASSES).movedim(-1, 1).double()
    assert float(loss(logits, soft)) == pytest.approx(by_voxels(logits, labels, matrix), abs=1e-9)
    assert float(loss(sure(labels), labels)) == pytest.approx(0, abs=1e-9)


def test_wasserstein_dice_depends_on_distances_alone() -> None:
    logits, labels = batch(6, 7)
    loss = lo.GeneralizedWassersteinDice(distances=ORDERED)
    larger = lo.GeneralizedWassersteinDice(distances=[[7 * entry for entry in row] for row in ORDERED])
    torch.testing.assert_close(larger(logits, labels), loss(logits, labels))

    order = [0, 3, 1, 2]
    moved = lo.GeneralizedWassersteinDice(distances=[[ORDERED[i][j] for j in order] for i in order])
    place = torch.tensor([order.index(label) for label in range(CLASSES)])
    torch.testing.assert_close(moved(logits[:, order], place[labels]), loss(logits, labels))


@pytest.mark.parametrize("distances", [None, ((0, 1), (1, 0)), ((0, 3), (3, 0))])
def test_wasserstein_dice_of_two_classes_is_dice(distances: Any) -> None:
    logits, labels = batch(6, 7, classes=2)
    loss = lo.GeneralizedWassersteinDice(distances=distances)
    torch.testing.assert_close(loss(logits, labels), lo.Dice()(logits, labels))
    one = logits[:, 1:] - logits[:, :1]
    torch.testing.assert_close(loss(one, labels), lo.Dice()(one, labels))
    assert float(loss(sure(labels, 2), torch.zeros_like(labels))) == pytest.approx(1, abs=1e-6)
    assert float(loss(sure(torch.zeros_like(labels), 2), torch.zeros_like(labels))) == 0


def test_a_confusion_of_foreground_classes_counts_once() -> None:
    """1 - 2 TP / (2 TP + sum (1 - p_y)) with TP the sum of p_y over the foreground."""
    logits, labels = batch(6, 7, classes=3)
    p = logits.softmax(1).gather(1, labels[:, None])[:, 0].flatten(1)
    tp = 2 * (p * (labels.flatten(1) > 0)).sum(1)
    expected = (1 - tp / (tp + (1 - p).sum(1))).mean()
    torch.testing.assert_close(lo.GeneralizedWassersteinDice(smooth=0)(logits, labels), expected)


def test_regions_have_no_distances() -> None:
    logits, labels = batch(4, 5)
    regions = torch.stack([labels >= k for k in range(CLASSES)], 1)
    found = lo.GeneralizedWassersteinDice()(logits, regions, link="sigmoid")
    torch.testing.assert_close(found, lo.Dice()(logits, regions, link="sigmoid"))
    with pytest.raises(ValueError, match="has distances between classes, but the call has regions"):
        lo.GeneralizedWassersteinDice(distances=ORDERED)(logits, regions, link="sigmoid")


@pytest.mark.parametrize("space", [(20, 22), (27, 24, 27)])
def test_mutual_information_lies_between_its_bounds(space: tuple[int, ...]) -> None:
    logits, labels = batch(*space, block=3)
    loss = lo.RegionMutualInformation()
    # M of the truth is at most alpha I.
    assert 0 < float(loss(sure(labels), labels)) <= math.log(2) / 2 < float(loss(logits, labels))
    absent = torch.zeros_like(labels)
    assert float(loss(logits, absent)) == pytest.approx(0, abs=1e-9)
    # What is not related to the truth leaves all of its variance.
    flat = float(loss(torch.zeros_like(logits), labels))
    assert flat >= float(loss(logits, labels)) - 1e-9


def test_mutual_information_is_that_of_the_regions_one_by_one() -> None:
    logits, labels = batch(6, 7, seed=4)
    s, g = logits.softmax(1).numpy(), torch.nn.functional.one_hot(labels, CLASSES).movedim(-1, 1).numpy()

    def regions(x: Any) -> Any:
        found = [x[i : i + 3, j : j + 3].ravel() for i in range(x.shape[0] - 2) for j in range(x.shape[1] - 2)]
        return np.array(found).T - np.mean(found, 0)[:, None]

    values = []
    for n, c in np.ndindex(2, CLASSES):
        x, y, noise = regions(s[n, c]), regions(1.0 * g[n, c]), 5e-4 * np.eye(9)
        m = y @ y.T - y @ x.T @ np.linalg.inv(x @ x.T + noise) @ x @ y.T
        values.append(np.linalg.slogdet(m + noise)[1] / 18 - math.log(5e-4) / 2)
    assert float(lo.RegionMutualInformation()(logits, labels)) == pytest.approx(np.mean(values), rel=1e-9)


def test_mutual_information_does_not_know_the_sign_and_leaves_absent_classes_out() -> None:
    logits, labels = batch(18, 18, classes=2, block=3)
    loss = lo.RegionMutualInformation(pool=1)
    torch.testing.assert_close(loss(-logits, labels, link="softmax"), loss(logits, labels))
    labels = labels.clamp(max=0) + (labels > 0) * 2
    logits, _ = batch(18, 18, classes=3)
    kept = lo.RegionMutualInformation(absent="skip")(logits, labels)
    torch.testing.assert_close(kept * 2 / 3, lo.RegionMutualInformation()(logits, labels))


def test_structural_similarity_adds_cross_entropy_where_structure_differs() -> None:
    logits, labels = batch(12, 12, block=3)
    loss = lo.StructuralSimilarity()
    assert float(loss(sure(labels), labels)) == pytest.approx(0, abs=1e-9)
    torch.testing.assert_close(lo.StructuralSimilarity(ce=1)(logits, labels), lo.CrossEntropy()(logits, labels))
    leaf = logits.clone().requires_grad_()
    whole, held = (lo.StructuralSimilarity(detach=detach)(leaf, labels) for detach in (False, True))
    torch.testing.assert_close(whole, held)
    assert not torch.equal(*(torch.autograd.grad(value, leaf)[0] for value in (whole, held)))


def test_structural_error_does_not_see_contrast_and_brightness() -> None:
    """Of a neighbourhood that is the truth's times a number plus a number, all but the constant C is gone."""
    _, labels = batch(12, 12, classes=2, block=3)
    faint = torch.logit(0.3 + 0.4 * labels[:, None].double())
    near, far = (lo.StructuralSimilarity(ce=0, share=0, constant=constant)(faint, labels) for constant in (1e-6, 0.5))
    assert float(near) < 1e-4 < float(far)


GIVEN = [
    "NonAdjacency(forbidden=((0, 2), (1, 3)))",
    "TopologicalInteraction(forbidden=((0, 2),), inclusion=((1, (0, 3)),), per='voxel', thickness=2)",
    f"GeneralizedWassersteinDice(distances={ORDERED})",
    "GeneralizedWassersteinDice(tree=((1, 2), 3))",
    "RegionMutualInformation(pool=1, side=2, absent='skip')",
    "StructuralSimilarity(ce=0.2, share=0.3)",
]


@pytest.mark.parametrize("text", GIVEN)
def test_given_relations_have_the_right_gradients(text: str) -> None:
    loss = lo.parse(text)
    logits, labels = batch(3, 4)
    labels[:, 1, 1] = 9
    assert torch.autograd.gradcheck(lambda z: loss(z, labels, ignore=9), logits.requires_grad_())
    (gradient,) = torch.autograd.grad(loss(logits, labels, ignore=9), logits)
    assert gradient.any() and not gradient[:, :, 1, 1].any()
    torch.testing.assert_close(gradient.sum(1), torch.zeros_like(gradient.sum(1)), rtol=0, atol=1e-12)
    changed = logits.detach().clone()
    changed[:, :, 1, 1] = math.nan
    torch.testing.assert_close(loss(changed, labels, ignore=9), loss(logits, labels, ignore=9))


@pytest.mark.parametrize("text", GIVEN[:3])
def test_given_relations_compile_to_one_graph(text: str) -> None:
    torch.compiler.reset()
    logits, labels = batch(4, 6)
    loss = lo.parse(text)
    compiled = torch.compile(loss, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(logits, labels), loss(logits, labels))
    gradient = torch.func.grad(lambda z: loss(z, labels))(logits)
    leaf = logits.clone().requires_grad_()
    torch.testing.assert_close(gradient, torch.autograd.grad(loss(leaf, labels), leaf)[0])


@pytest.mark.parametrize("text", GIVEN)
def test_given_relations_take_half_precision_and_many_voxels(text: str) -> None:
    """Chunks of compiled code, or of PyTorch operations, give the number of whole tensors."""
    logits, labels = batch(40, 41, 20, block=5)
    loss = lo.parse(text)
    expected = float(loss(logits.half().double(), labels))
    assert float(loss(logits.half().float(), labels)) == pytest.approx(expected, rel=1e-4)
    assert float(loss(logits.half(), labels)) == pytest.approx(expected, rel=1e-4)
