"""`lossodyssey status`: which runs of a comparison are done, running, failed or waiting."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lossodyssey.bench.status import STATES, Run, State, read_state, silence

REFRESH = 2.0
MOST_RUNS, MOST_REASONS = 40, 20


def status(
    folder: Annotated[Path, typer.Argument(help="Output folder of a comparison.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, and nothing else.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds, until Ctrl-C.")] = False,
) -> None:
    """Show how far a comparison is, from the files of its folder alone.

    It may run elsewhere, on other machines, or not at all any more. A run is stopped where its process is gone before
    the end: the command that made the comparison goes on from its last checkpoint.

    Example: `lossodyssey status results --watch`
    """
    if as_json and watch:
        raise ValueError("--json and --watch: give one of them; a script asks again by itself")
    state = read_state(folder)
    if as_json:
        typer.echo(json.dumps(state.facts(), indent=1, ensure_ascii=False))
    elif watch:
        _watch(folder, state)
    else:
        Console().print(shown(state))


def _watch(folder: Path, state: State) -> None:
    with Live(shown(state), auto_refresh=False) as live:
        try:
            while True:
                time.sleep(REFRESH)
                live.update(shown(read_state(folder)), refresh=True)
        except KeyboardInterrupt:
            return


def shown(state: State) -> RenderableType:
    """Arrange a state for the terminal: counts, runs under way, what went wrong."""
    parts: list[RenderableType] = [_counts(state), *map(Text, _lines(state))]
    for name in ("running", "stopped"):
        if runs := state.of(name):
            parts += [Text(), _under_way(name, runs)]
    return Group(*parts, *_reasons(state))


def _counts(state: State) -> Table:
    total = sum(state.counts.values(), Counter[str]())
    names = [name for name in (*STATES, "waiting") if total[name] or name in ("finished", "running", "waiting")]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("runs", "planned", *names):
        table.add_column(heading, justify="left" if heading == "runs" else "right")
    for phase, counts in state.counts.items():
        table.add_row(phase, _planned(state, state.planned.get(phase)), *_cells(state, counts, names))
    if len(state.counts) > 1:
        table.add_row("all", _planned(state, sum(state.planned.values())), *_cells(state, total, names), style="bold")
    return table


def _planned(state: State, number: int | None) -> str:
    return "?" if not state.planned else str(number or 0)


def _cells(state: State, counts: Counter[str], names: list[str]) -> list[str]:
    return ["?" if name == "waiting" and not state.planned else str(counts[name]) for name in names]


def _lines(state: State) -> Iterator[str]:
    if not state.planned:
        yield "The number of planned runs is not known: the folder has no plan.json."
    if state.surplus:
        runs, they = ("1 run is", "it was") if state.surplus == 1 else (f"{state.surplus} runs are", "they were")
        yield f"{runs} not of the plan: {they} begun with other settings or data."
    if state.seconds_left is not None:
        running = len(state.of("running"))
        yield f"Time left: about {_span(state.seconds_left)}, with {running} run{'s' * (running != 1)} at a time."
    elif state.of("running"):
        yield "Time left: not known before a first run has finished and the number of planned runs is known."
    yield f"Disk: {'about ' * state.disk_is_estimate}{_size(state.disk)}"


def _under_way(name: str, runs: list[Run]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, title=name, title_justify="left")
    for heading in ("loss", "data", "step", "loss value", "rate", "last sign", "machine"):
        table.add_column(heading, justify="left" if heading in ("loss", "data", "machine") else "right")
    for run in runs[:MOST_RUNS]:
        table.add_row(Text(run.label), Text(str(run.facts.get("dataset", ""))), *map(Text, _sign(run)))
    if len(runs) > MOST_RUNS:
        table.add_row(f"and {len(runs) - MOST_RUNS} more")
    return table


def _sign(run: Run) -> list[str]:
    if run.sign is None:
        return ["", "", "", "none", ""]
    sign = run.sign
    where = f"{sign.done} of {sign.total}" if sign.total else ""
    step = where if sign.phase == "training" else f"{sign.phase} {where}".strip()
    loss = "" if sign.loss is None else f"{sign.loss:.4f}"
    rate = "" if sign.learning_rate is None else f"{sign.learning_rate:.1e}"
    return [step, loss, rate, f"{_span(silence(sign))} ago", f"{sign.host}, process {sign.pid}"]


def _reasons(state: State) -> Iterator[Text]:
    for name in ("failed", "diverged", "damaged"):
        found: dict[str, list[Run]] = {}
        for run in state.of(name):
            found.setdefault(run.reason, []).append(run)
        for reason, runs in list(found.items())[:MOST_REASONS]:
            more = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
            yield Text(f"\n{name}: {runs[0].label}{more}" + f"\n  {reason or 'run.json cannot be read'}")
        if len(found) > MOST_REASONS:
            yield Text(f"\n{name}: {len(found) - MOST_REASONS} more reasons")


def _span(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _size(used: float) -> str:
    for unit in ("B", "kB", "MB"):
        if used < 1000:
            return f"{used:.0f} {unit}"
        used /= 1000
    return f"{used:.1f} GB"
