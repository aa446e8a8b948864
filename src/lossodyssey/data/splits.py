"""Which cases are held out: by names and a seed only, patients kept together."""

from __future__ import annotations

from hashlib import sha256

from lossodyssey.data.layouts import Case, Dataset


def split(dataset: Dataset, held_out: int | float = 40, seed: int = 0) -> tuple[list[Case], list[Case]]:
    """Split the cases into (training, held out), each sorted by name.

    `held_out` is a number of cases, or a fraction when it is a float below 1. Every group is ranked by a hash of
    its name and the seed, so neither the order of the files nor the random numbers of a library matter. Groups stay
    whole: the held-out part has the number asked for, or a little less when no group fits the rest.

    Raises:
        ValueError: one of the two parts would be empty.
    """
    wanted = held_out_count(dataset, held_out)
    held: list[Case] = []
    for group in ranked_groups(dataset, seed):
        # A group that does not fit is passed over, and a smaller one after it may still fit.
        if len(held) + len(group) <= wanted:
            held += group
    if not held:
        raise ValueError(f"data set {dataset.name}: every group has more than {wanted} cases; hold out more")
    names = {case.name for case in held}
    kept = [case for case in dataset.cases if case.name not in names]
    return sorted(kept, key=_name), sorted(held, key=_name)


def _name(case: Case) -> str:
    return case.name


def held_out_count(dataset: Dataset, held_out: int | float) -> int:
    """Return how many cases a number or a fraction of them asks for.

    Raises:
        ValueError: one side would be empty.
    """
    total = len(dataset.cases)
    count = round(held_out * total) if isinstance(held_out, float) and 0 < held_out < 1 else held_out
    if not (isinstance(count, int) and 0 < count < total):
        raise ValueError(
            f"held_out={held_out} of {total} cases in data set {dataset.name} leaves none on one side; "
            f"choose a number from 1 to {total - 1}, or a fraction such as 0.25"
        )
    return count


def ranked_groups(dataset: Dataset, seed: int) -> list[list[Case]]:
    """Return the cases of each patient together, in an order that names and seed alone decide."""
    groups: dict[str, list[Case]] = {}
    for case in dataset.cases:
        # The prefixes keep a case named like another's group out of that group.
        groups.setdefault(f"group {case.group}" if case.group else f"case {case.name}", []).append(case)
    order = sorted(groups, key=lambda key: sha256(f"{seed} {key}".encode()).digest())
    return [groups[key] for key in order]
