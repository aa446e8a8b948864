"""Cases of nnU-Net in which some classes are not annotated: patches, the scores along a training, and its summary."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.evaluation.evaluate_predictions import load_summary_json, save_summary_json
from torch import Tensor, nn

Key = int | tuple[int, ...]
"""How nnU-Net names a class or a region."""
Hidden = Mapping[str, Collection[Key]]
"""The classes or regions that are not annotated, by the name of the case."""


def hidden_classes(annotated: Mapping[str, Sequence[bool]], manager: Any) -> dict[str, set[Key]]:
    """Return the classes or regions of nnU-Net's label manager that are not annotated in a case."""
    outputs = manager.foreground_regions if manager.has_regions else manager.all_labels
    keys: list[Key] = [tuple(each) if isinstance(each, list | tuple) else int(each) for each in outputs]
    return {case: {key for key, known in zip(keys, row, strict=True) if not known} for case, row in annotated.items()}


class AnnotatedCases:
    """Cases of nnU-Net as its loaders take them, whose patches are centred on annotated classes alone.

    `names` are those of the classes; empty for regions, where a label of a region that is not annotated may be that of
    another one.

    Raises:
        ValueError: the label map of a case holds a class that is not annotated in it.
    """

    def __init__(self, cases: Any, hidden: Hidden, names: Mapping[Key, str]) -> None:
        self.cases, self.hidden, self.identifiers = cases, hidden, cases.identifiers
        for case in self.identifiers if names else ():
            found = [key for key in self.hidden.get(case, ()) if len(self._places(case).get(key, ()))]
            if found:
                raise ValueError(
                    f"dataset.json: 'annotated' leaves {names[found[0]]!r} out for case {case!r}, but its label map "
                    "holds this class; add it to the list, or clear it from the label map and preprocess again"
                )

    def _places(self, case: str) -> Mapping[Key, Any]:
        places: Mapping[Key, Any] = self.cases.load_case(case)[-1]["class_locations"]
        return places

    def __getitem__(self, case: str) -> tuple[Any, ...]:
        return self.load_case(case)

    def load_case(self, case: str) -> tuple[Any, ...]:
        """Return image, labels, those of the previous stage, and properties with the places of annotated classes."""
        *arrays, properties = self.cases.load_case(case)
        hidden = self.hidden.get(case, ())
        places = {key: found for key, found in properties["class_locations"].items() if key not in hidden}
        return *arrays, properties | {"class_locations": places}


def leave_out(annotated: Tensor, *, regions: bool) -> Callable[[nn.Module, Any, Any], None]:
    """Return a hook of a loss after which its output predicts no class in a sample where the class is not annotated.

    So nnU-Net counts nothing of such classes: their voxels become background. `annotated` is (N, C).
    """

    def hook(loss: nn.Module, given: tuple[Any, ...], value: Any) -> None:
        output = given[0] if isinstance(given[0], Tensor) else given[0][0]
        hidden = ~annotated.to(output.device).reshape(*annotated.shape, *[1] * (output.ndim - 2))
        if regions:
            output.masked_fill_(hidden, -math.inf)
        else:
            wrong = hidden.expand_as(output).gather(1, output.argmax(1, keepdim=True))
            output[:, :1].masked_fill_(wrong, math.inf)

    return torch.no_grad()(hook)


def correct_summary(path: Path, hidden: Hidden, ending: str) -> dict[str, Any]:
    """Take the scores of classes that are not annotated out of nnU-Net's `summary.json`, and out of its means."""
    summary: dict[str, Any] = load_summary_json(str(path))
    for case in summary["metric_per_case"]:
        name = Path(case["reference_file"]).name.removesuffix(ending)
        for key in hidden.get(name, ()):
            if key in case["metrics"]:
                case["metrics"][key] = dict.fromkeys(case["metrics"][key], math.nan)

    for key, means in summary["mean"].items():
        rows = [case["metrics"][key] for case in summary["metric_per_case"]]
        summary["mean"][key] = {metric: _mean([row[metric] for row in rows]) for metric in means}
    scored = [means for key, means in summary["mean"].items() if key != 0]
    summary["foreground_mean"] = {name: float(np.mean([row[name] for row in scored])) for name in scored[0]}
    save_summary_json(summary, str(path))
    return summary


def _mean(values: Sequence[float]) -> float:
    """Return the mean of the values that are defined, NaN where none is."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan
