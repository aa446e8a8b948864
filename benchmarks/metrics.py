"""Time and check the surface measures against surface-distance and MONAI, in one process on one thread.

    python benchmarks/metrics.py [--data FOLDER] [--masks 2000] [--repeats 7]

Writes `benchmarks/results/metrics.json` and `.md`: CPU time of NSD, HD, HD95 and ASSD together, the largest difference
from surface-distance over random masks and real labels, time and memory of `evaluate`. Real labels (hippocampus, KiTS)
are used where the folder of data sets (`--data` or LOSSODYSSEY_DATA) holds them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice
from scipy import ndimage

from lossodyssey.metrics import score

RESULTS = Path(__file__).parent / "results"
NAMES = ("NSD", "HD", "HD95_surfel", "ASSD")
MONAIS = ("NSD", "HD_voxel", "HD95", "ASSD_voxel")
Case = tuple[np.ndarray, np.ndarray, tuple[float, ...]]  # prediction and truth label maps, spacing

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import surface_distance

vars(np)["Inf"] = np.inf  # surface-distance 0.1 knows the names of NumPy 1 only


def main() -> None:
    """Run everything, print the tables, store them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("LOSSODYSSEY_DATA"), help="folder of data sets")
    parser.add_argument("--masks", type=int, default=2000, help="random masks of the equality check")
    parser.add_argument("--repeats", type=int, default=7, help="repetitions of each timing; the median counts")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    results = {
        "environment": environment(),
        "speed": [time_cases(name, cases, arguments.repeats) for name, cases in speed_cases(arguments.data)],
        "equality": [compare(name, cases) for name, cases in equality_cases(arguments.data, arguments.masks)],
        "evaluate": evaluations(arguments.data),
    }

    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "metrics.json").write_text(json.dumps(results, indent=2) + "\n")
    (RESULTS / "metrics.md").write_text(markdown(results))
    print(markdown(results))


def environment() -> dict[str, Any]:
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    packages = ("numpy", "scipy", "torch", "monai", "surface-distance-based-measures")
    return {
        "date": date.today().isoformat(),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


# The measured cases.


def blob(shape: tuple[int, ...], radius: float, seed: int, error: float = 0.0) -> np.ndarray:
    """Make a ball with a rough surface: a threshold of distance plus smooth noise; `error` adds noise of its own."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij", sparse=True)
    # Smooth noise of a few voxels: rough as an organ, not as a checkerboard, whose every voxel is surface.
    noise, own = (ndimage.gaussian_filter(rng.standard_normal(shape).astype(np.float32), 5) for _ in range(2))
    return np.sqrt(sum(axis**2 for axis in axes)) + 0.08 * (noise + error * own) / noise.std() < radius


def label_volume(error: float) -> np.ndarray:
    """Make a CT-sized label map: one large organ, two smaller ones, a lesion inside the first."""
    labels = np.zeros((100, 512, 512), np.uint8)
    for label, (corner, size, radius) in enumerate(
        [
            ((15, 120, 60), (70, 220, 220), 0.8),
            ((30, 260, 330), (50, 90, 90), 0.8),
            ((40, 200, 120), (20, 40, 40), 0.7),
        ],
        start=1,
    ):
        place = tuple(slice(c, c + s) for c, s in zip(corner, size, strict=True))
        labels[place][blob(size, radius, label, error)] = label
    return labels


def hippocampus(data: Path | None) -> Iterator[Case]:
    """Yield each label map against a copy shifted by one voxel along an axis that changes from case to case."""
    folder = Path(data or "") / "Task04_Hippocampus" / "labelsTr"
    for number, path in enumerate(sorted(folder.glob("[!.]*.nii.gz")) if data else []):
        yield shifted(path, (number % 3,))


def kits(data: Path | None, *numbers: str) -> Iterator[Case]:
    for number in numbers if data else ():
        path = Path(data or "") / "KiTS19_labels" / "labelsTr" / f"case_{number}.nii.gz"
        if path.exists():
            yield shifted(path, (1, 2))


def shifted(path: Path, axes: tuple[int, ...]) -> Case:
    picture: Any = nibabel.load(path)
    truth = np.ascontiguousarray(picture.dataobj).astype(np.uint8)
    spacing = tuple(float(step) for step in picture.header.get_zooms()[:3])
    # A shifted copy is a prediction with errors all along the surface, and needs no trained network.
    return np.roll(truth, 1 if len(axes) == 1 else 2, axes), truth, spacing


def speed_cases(data: Path | None) -> Iterator[tuple[str, list[Case]]]:
    truth, near, far = (blob((128, 128, 128), 0.7, 0, error).astype(np.uint8) for error in (0, 0.4, 1.2))
    yield "blob 128^3, 3 x 0.8 x 0.8 mm", [(near, truth, (3.0, 0.8, 0.8))]
    yield "blob 128^3, 1 mm", [(near, truth, (1.0, 1.0, 1.0))]
    yield "blob 128^3, 1 mm, poor prediction", [(far, truth, (1.0, 1.0, 1.0))]
    yield "labels 100 x 512 x 512, 3 classes", [(label_volume(0.4), label_volume(0), (2.5, 0.8, 0.8))]
    if cases := list(kits(data, "00023")):
        yield "KiTS 107 x 512 x 512, 2 classes", cases
    if cases := list(hippocampus(data))[:40]:
        yield "hippocampus, 40 cases of 2 classes", cases


def random_cases(number: int) -> Iterator[Case]:
    """Yield 2D and 3D masks from noise of every smoothness, nearly full to nearly empty, isotropic or not."""
    rng = np.random.default_rng(0)
    for index in range(number):
        shape = rng.integers(3, 28, 2 + index % 2)
        fields = [ndimage.gaussian_filter(rng.standard_normal(shape), rng.uniform(0, 3)) for _ in range(2)]
        # From equal to unrelated: nearness of the two surfaces decides which way of search is taken.
        fields[1] = fields[0] + rng.uniform(0, 1.5) * fields[1]
        masks = [(field > np.quantile(field, rng.uniform(0.2, 0.97))).astype(np.uint8) for field in fields]
        spacing = rng.uniform(0.3, 4, shape.size) if index % 3 else rng.choice([0.5, 0.8, 1.0, 3.0], shape.size)
        yield masks[0], masks[1], tuple(spacing.tolist())


def equality_cases(data: Path | None, masks: int) -> Iterator[tuple[str, Iterator[Case]]]:
    yield f"{masks} random masks, 2D and 3D", random_cases(masks)
    if data:
        yield "hippocampus labels against shifted copies", hippocampus(data)
        yield "KiTS label volumes against shifted copies", kits(data, "00002", "00023", "00038", "00061", "00151")


# The tools that compute them.


def ours(case: Case, metrics: tuple[str, ...] = NAMES) -> dict[int, list[float]]:
    prediction, truth, spacing = case
    found = score(prediction, truth, spacing=spacing, metrics=metrics)
    labels = dict.fromkeys(entry.label for entry in found)
    return {label: [entry.value for entry in found if entry.label == label] for label in labels}


def as_monai(case: Case) -> dict[int, list[float]]:
    return ours(case, MONAIS)


def nsd_only(case: Case) -> dict[int, list[float]]:
    return ours(case, ("NSD",))


def theirs(case: Case) -> dict[int, list[float]]:
    """Use surface-distance: one distance computation per class serves all four."""
    prediction, truth, spacing = case
    return {label: _theirs(prediction == label, truth == label, spacing) for label in _labels(truth)}


def _theirs(prediction: np.ndarray, truth: np.ndarray, spacing: tuple[float, ...]) -> list[float]:
    found = surface_distance.compute_surface_distances(truth, prediction, spacing)
    both = [
        (found[f"distances_{a}"], found[f"surfel_areas_{b}"]) for a, b in (("gt_to_pred", "gt"), ("pred_to_gt", "pred"))
    ]
    return [
        surface_distance.compute_surface_dice_at_tolerance(found, 1.0),
        surface_distance.compute_robust_hausdorff(found, 100),
        surface_distance.compute_robust_hausdorff(found, 95),
        sum((distances * areas).sum() for distances, areas in both) / sum(areas.sum() for _, areas in both),
    ]


def monai(case: Case) -> None:
    """Use MONAI's four functions, all classes in one call each."""
    prediction, truth, spacing = case
    labels = _labels(truth)
    hot = [torch.from_numpy(np.stack([a == label for label in (0, *labels)]))[None] for a in (prediction, truth)]
    options = {"include_background": False, "spacing": spacing}
    compute_surface_dice(*hot, [1.0] * len(labels), use_subvoxels=True, **options)
    compute_hausdorff_distance(*hot, **options)
    compute_hausdorff_distance(*hot, percentile=95, **options)
    compute_average_surface_distance(*hot, symmetric=True, **options)


def _labels(truth: np.ndarray) -> list[int]:
    return [label for label in np.flatnonzero(np.bincount(truth.ravel())).tolist() if label]


def time_cases(name: str, cases: list[Case], repeats: int) -> dict[str, Any]:
    """Measure the median CPU times of all tools, which take turns so that other work of the machine hits all alike."""
    tools: dict[str, Callable[[Case], Any]] = {
        "ours": ours, "ours, MONAI's definitions": as_monai, "ours, NSD alone": nsd_only,
        "surface-distance": theirs, "MONAI": monai,
    }  # fmt: skip
    times: dict[str, list[float]] = {tool: [] for tool in tools}
    for _ in range(repeats):
        for tool, compute in tools.items():
            start = time.process_time()
            for case in cases:
                compute(case)
            times[tool].append(1000 * (time.process_time() - start))
    print(name, {tool: round(min(taken), 1) for tool, taken in times.items()}, file=sys.stderr)
    return {"name": name, "cpu_ms": {tool: statistics.median(taken) for tool, taken in times.items()}}


def compare(name: str, cases: Iterator[Case]) -> dict[str, Any]:
    """Return the largest absolute difference per measure."""
    largest = dict.fromkeys(NAMES, 0.0)
    pairs = 0
    for case in cases:
        expected = theirs(case)
        for label, values in ours(case).items():
            # Where a mask is empty surface-distance gives infinity or NaN by rules of its own.
            if label in expected and (case[0] == label).any():
                pairs += 1
                for metric, a, b in zip(NAMES, values, expected[label], strict=True):
                    largest[metric] = max(largest[metric], abs(a - b))
    return {"name": name, "masks": pairs, "largest_difference": largest}


# The command, on real files.


def evaluations(data: Path | None) -> list[dict[str, Any]]:
    """Run `evaluate` on all hippocampus labels and on the largest KiTS label map, each against a shifted copy."""
    sets = [("Task04_Hippocampus", "*"), ("KiTS19_labels", "case_00151*")] if data else []
    return [_evaluate(Path(data or "") / name / "labelsTr", pattern) for name, pattern in sets]


def _evaluate(folder: Path, pattern: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        for part in ("predictions", "truths"):
            (Path(scratch) / part).mkdir()
        files = sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))
        for path in files:
            picture: Any = nibabel.load(path)
            moved = np.roll(np.asanyarray(picture.dataobj), 1, 1)
            nibabel.save(nibabel.Nifti1Image(moved, picture.affine), Path(scratch) / "predictions" / path.name)
            (Path(scratch) / "truths" / path.name).symlink_to(path.resolve())
        # A process of its own, so that the peak is the command's and not this script's.
        code = (
            "import sys; sys.argv[1:] = ['evaluate', 'predictions', 'truths', '-o', 'out/cases.csv']\n"
            "from lossodyssey.__main__ import main\n"
            "try: main()\n"
            "except SystemExit as end: assert not end.code, end\n"
            "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')))"
        )
        start = time.perf_counter()
        run = subprocess.run([sys.executable, "-c", code], cwd=scratch, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - start
    # A single pair is scored in the process itself, whose peak is then the whole.
    peak = int(run.stdout.split("VmHWM:")[1].split()[0]) * 1024 if len(files) == 1 else None
    return {"name": f"{folder.parent.name}, pairs: {len(files)}", "seconds": seconds, "peak_bytes": peak}


def markdown(results: dict[str, Any]) -> str:
    """Lay the results out as the tables of `metrics.md`."""
    place = results["environment"]
    lines = [
        "# Surface measures: time, equality, memory",
        "",
        f"{place['date']}, {place['cpu']}, {place['cores']} cores, one thread, median CPU time. "
        + ", ".join(f"{key} {place[key]}" for key in list(place)[3:])
        + ".",
        "",
        "NSD (1 mm), HD, HD95 and ASSD together, ms.",
        "",
    ]

    tools = list(results["speed"][0]["cpu_ms"])
    lines += [f"| | {' | '.join(tools)} | against surface-distance | against MONAI |", "|---" * (len(tools) + 3) + "|"]
    for row in results["speed"]:
        times = row["cpu_ms"]
        cells = [f"{times[tool]:.1f}" for tool in tools]
        ratios = [f"{times['surface-distance'] / times['ours']:.1f}x", f"{times['MONAI'] / times[tools[1]]:.1f}x"]
        lines.append(f"| {row['name']} | {' | '.join(cells + ratios)} |")
    lines += [
        "",
        "Ratios compare equal definitions: `ours` with surface-distance, `ours, MONAI's definitions` with MONAI.",
        "",
    ]

    lines += ["Largest absolute difference from surface-distance.", "", f"| | masks | {' | '.join(NAMES)} |"]
    lines.append("|---" * (len(NAMES) + 2) + "|")
    for row in results["equality"]:
        cells = [f"{row['largest_difference'][metric]:.1e}" for metric in NAMES]
        lines.append(f"| {row['name']} | {row['masks']} | {' | '.join(cells)} |")

    if results["evaluate"]:
        lines += [
            "",
            "`lossodyssey evaluate`, wall time, one process per core.",
            "",
            "| | seconds | peak GiB |",
            "|---|---|---|",
        ]
        for row in results["evaluate"]:
            peak = f"{row['peak_bytes'] / 2**30:.2f}" if row["peak_bytes"] else ""
            lines.append(f"| {row['name']} | {row['seconds']:.1f} | {peak} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
