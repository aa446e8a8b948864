"""The commands of the runs, for schedulers that this package does not know."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lossodyssey.bench.executors.driver import OnEvent
from lossodyssey.bench.job import Job


@dataclass(frozen=True, slots=True)
class Commands:
    """Prints one command per run that is not done, and executes nothing; `words` are those before `--run`."""

    words: tuple[str, ...] = ("lossodyssey", "bench")

    def run(self, jobs: Iterable[Job], on_event: OnEvent) -> None:
        """Print the commands; no run ends here, so `on_event` is never called."""
        for line in self.lines(jobs):
            print(line)

    def lines(self, jobs: Iterable[Job]) -> Iterator[str]:
        """Yield the command of each run that is not done, in the words of a shell."""
        for job in jobs:
            if not job.done():
                yield shlex.join([*self.words, "--run", job.folder.name])
