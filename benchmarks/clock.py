"""Times of forward and backward passes, all calls taking turns."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from benchmarks.peers import Entry
from torch import Tensor

SLOW_SECONDS = 3.0
"""A call that takes longer is timed once."""

Clock = Callable[[Callable[[], object]], float]


@dataclass
class Outcome:
    """The outcome of one call: seconds of its passes and its value, or the reason why there are none."""

    seconds: list[float] = field(default_factory=list)
    value: float | None = None
    status: str = "ok"
    reason: str = ""

    @property
    def median(self) -> float | None:
        return statistics.median(self.seconds) if self.status == "ok" and self.seconds else None


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def noting(outcome: Outcome) -> Iterator[None]:
    """Note why a call gives no answer, and go on with the next."""
    try:
        yield
    except torch.AcceleratorError:
        raise  # the device answers no call after this one
    except Exception as problem:
        full = isinstance(problem, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(problem)
        outcome.status = "out of memory" if full else "refused"
        outcome.reason = f"{type(problem).__name__}: {problem}".splitlines()[0][:200]


def processor_time(work: Callable[[], object]) -> float:
    """Measure the seconds that this process computed, which other work on the machine disturbs least."""
    return _between(time.process_time, work)


def wall_time(work: Callable[[], object]) -> float:
    return _between(time.perf_counter, work)


def _between(now: Callable[[], float], work: Callable[[], object]) -> float:
    start = now()
    work()
    return now() - start


def device_time(work: Callable[[], object]) -> float:
    """Measure the seconds between two events on the device, around all that the work queued."""
    # Kernels run after the call that queues them returns: a clock of the host would time the queueing.
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    begin.record()
    work()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1000


@dataclass
class Pass:
    """One forward and backward pass, which leaves a fresh gradient."""

    call: Callable[[], Tensor]
    logits: Tensor
    last: Tensor = field(init=False)

    def __call__(self) -> None:
        # A fresh gradient each time: adding to an old one would be another, cheaper operation.
        self.logits.grad = None
        value = self.call()
        torch.autograd.backward(value)
        self.last = value.detach()


def times(
    entries: Mapping[str, Entry],
    logits: Tensor,
    labels: Tensor,
    rounds: int,
    clock: Clock,
    warm_ups: int,
) -> dict[str, Outcome]:
    """Measure seconds and value of every call, after passes that warm up, or note why it failed."""
    found = {name: Outcome() for name in entries}
    passes: dict[str, Pass] = {}
    for k, (name, entry) in enumerate(entries.items(), 1):
        say(f"  first pass {k} of {len(entries)}: {name}")
        with noting(found[name]):
            passes[name] = Pass(entry.ready(logits, labels), logits)
            warm_up(found[name], passes[name], clock, warm_ups + entry.compiled)

    repeated = [name for name, outcome in found.items() if not outcome.seconds]
    # All calls take turns, so that a busy minute of the machine falls on all of them.
    for turn in range(rounds):
        say(f"  round {turn + 1} of {rounds}")
        for name in repeated:
            if found[name].status == "ok":
                with noting(found[name]):
                    found[name].seconds.append(clock(passes[name]))
    return found


def warm_up(outcome: Outcome, work: Pass, clock: Clock, passes: int) -> None:
    """Let a call load and compile what it needs; a slow one is not timed again."""
    for _ in range(passes):
        taken = clock(work)
    outcome.value = work.last.item()
    if taken > SLOW_SECONDS:
        outcome.seconds = [taken]


def copied_bytes_per_second(device: str, clock: Clock) -> float:
    """Measure the bytes that a copy of a large tensor reads and writes per second."""
    # Far larger than any cache; the first two copies fault the pages in.
    source = torch.ones(2**30 if device == "cuda" else 2**26, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    taken = [clock(lambda: target.copy_(source)) for _ in range(12)][2:]
    return 2 * source.numel() / statistics.median(taken)
