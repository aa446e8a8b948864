"""Try random losses on random inputs, on every back end of the CPU, and print what is wrong.

    python tests/fuzz/fuzz.py --minutes 25 --seed 1
    python tests/fuzz/fuzz.py --only 1:4711

An input follows from its seed and index alone, so that `--only SEED:INDEX` tries a failed one again. The exit code is
1 where anything was found. Nothing is written.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from random import Random

import torch

sys.path.insert(0, str(Path(__file__).parent))
import checks
import inputs


def tried(seed: int, index: int, refusals: Counter[str]) -> list[str]:
    """Return what is wrong about one input, a line each; a refusal is counted by the head of its text."""
    case = None
    try:
        case = inputs.draw(seed, index)
        found = list(checks.findings(case, Random(f"checks {seed}:{index}")))
    except ValueError as problem:
        refusals[head(problem)] += 1
        return []
    except Exception as problem:
        last = traceback.extract_tb(problem.__traceback__)[-1]
        found = [f"exception: {type(problem).__name__} {problem} at {Path(last.filename).name}:{last.lineno}"]
    return [f"{seed}:{index} {text} | {case}" for text in found]


def head(problem: ValueError) -> str:
    """Return the beginning of a refusal, with its numbers and names of losses alike."""
    words = "".join("#" if each.isdigit() else each for each in str(problem)).split()
    return " ".join(words)[:70]


def run(seed: int, inputs_at_most: int, minutes: float, *, progress: bool) -> tuple[int, list[str], Counter[str]]:
    """Try inputs of one seed until their number or the time is reached; return that number, failures and refusals."""
    start, failures, refusals, index = time.monotonic(), [], Counter[str](), 0
    while index < inputs_at_most and time.monotonic() - start < 60 * minutes:
        lines = tried(seed, index, refusals)
        failures += lines
        index += 1
        if progress:
            for line in lines:
                print(line, flush=True)
            if index % 1000 == 0:
                rate = index / (time.monotonic() - start)
                print(f"{index} inputs, {rate:.0f} per second, {len(failures)} failures", file=sys.stderr, flush=True)
    return index, failures, refusals


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="how long to go on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--inputs", type=int, default=10**9, help="the most inputs to try")
    parser.add_argument("--only", metavar="SEED:INDEX", help="try this input alone")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    if given.only:
        seed, index = map(int, given.only.split(":"))
        print(inputs.draw(seed, index))
        refusals: Counter[str] = Counter()
        lines = tried(seed, index, refusals)
        print(*lines, *refusals, sep="\n")
        return 1 if lines else 0
    tries, failures, refusals = run(given.seed, given.inputs, given.minutes, progress=True)
    for text, times in refusals.most_common():
        print(f"refused {times} times: {text}")
    print(f"{tries} inputs of seed {given.seed}, {sum(refusals.values())} refused, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
