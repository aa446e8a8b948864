"""`lossodyssey evaluate`: score anybody's predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from typer.core import TyperCommand

from lossodyssey.cli.released import check_study_options, evaluate_study
from lossodyssey.data.dataset_json import Label, ignored_label, numbers_in
from lossodyssey.metrics.cases import CaseResult, Request, score_cases
from lossodyssey.metrics.folders import FilePair, find_classes, find_hidden, find_spacing, other_names, pair_files
from lossodyssey.metrics.found import check_asked, suspicions
from lossodyssey.metrics.released import is_study
from lossodyssey.metrics.score import parse_metrics
from lossodyssey.metrics.summary import (
    Line,
    beside,
    check_output,
    long_rows,
    summarise,
    write_nnunet_summary,
    write_summary,
)
from lossodyssey.table import Row, write_rows


class ManyValues(TyperCommand):
    """A command whose list options take several values: `--nsd 1 2` is `--nsd 1 --nsd 2`.

    An option takes all that follows up to the next option, so arguments go before it, or after a lone `--`.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option's name before each of its values, then parse as usual."""
        lists = {name for option in self.params if getattr(option, "multiple", False) for name in option.opts}
        spread: list[str] = []
        current = ""

        for place, word in enumerate(args):
            # A negative number is a value, not an option: the check of tolerances then names the mistake.
            if word.startswith("-") and not _is_number(word):
                current = word if word in lists else ""
            elif current and args[place - 1] != current:
                spread.append(current)
            spread.append(word)

        parsed: list[str] = super().parse_args(ctx, spread)
        return parsed


COMMAND = ManyValues


def _is_number(word: str) -> bool:
    return word.lstrip("-").replace(".", "", 1).isdigit()


def evaluate(
    predictions: Annotated[Path, typer.Argument(help="Folder of predicted label maps, or of many losses' folders.")],
    truths: Annotated[Path, typer.Argument(help="Folder of true label maps with the same file names.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The long table to write.")] = Path("cases.csv"),
    labels: Annotated[list[int] | None, typer.Option(help="Labels to score; default all of dataset.json.")] = None,
    ignore: Annotated[
        int | None, typer.Option(min=1, help="True label of voxels that do not count; default dataset.json's `ignore`.")
    ] = None,
    metrics: Annotated[list[str] | None, typer.Option(help="Measures; default DSC NSD HD95.")] = None,
    nsd: Annotated[list[float] | None, typer.Option(help="Tolerances of NSD in mm; default 1.")] = None,
    loss: Annotated[str, typer.Option(help="Name of what made the predictions; default the folder's.")] = "",
    dataset: Annotated[str, typer.Option(help="Name of the data set; default that of dataset.json.")] = "",
    fold: Annotated[int, typer.Option(help="Fold to write into the table.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed to write into the table.")] = 0,
    reorient: Annotated[bool, typer.Option("--reorient", help="Turn predictions to the truth's axes.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default one per core.")] = None,
    layout: Annotated[str, typer.Option(help="Of a whole study: such as '{dataset}_{loss}/{case}'.")] = "",
) -> None:
    """Score predictions against truths, case by case and class by class.

    Example: `lossodyssey evaluate predictions labelsTr -o cases.csv --nsd 1 2`

    Classes are named by `dataset.json` beside the truths or above them, else by their numbers, which may have gaps.
    Regions of several labels ("whole tumor": [1, 2, 3]) are scored as such. Voxels whose true label is named `ignore`,
    or given as `--ignore`, count nowhere, as in nnU-Net. A label that dataset.json does not name fails its case;
    without that file, labels that predictions or truths alone hold are told of.

    Classes that `annotated` of dataset.json leaves out for a case are not scored in it, and have a status that says so.

    Writes the long table, beside it its summary as CSV and JSON, and as nnU-Net's `summary.json` under a name of its
    own: `cases.summary.csv`, `cases.summary.json`, `cases.nnunet.json`. A case that cannot be scored is named, keeps
    its rows with a status, and makes the exit code 1; a prediction without a truth is named and has no rows.

    A whole study is scored into one table: a folder or archive without label maps of its own, in which every label map
    lies in a folder named as its data set and in one named as its loss, in any order. The truths are then a folder with
    a folder for each data set. `--layout` says where other paths name what: `{dataset}_{loss}/fold{fold}/{case}`.

    Example: `lossodyssey evaluate released.zip truths -o cases.csv --metrics DSC NSD`
    """
    check_output(output)
    if is_study(predictions):
        check_study_options({"labels": labels, "ignore": ignore, "loss": loss, "dataset": dataset, "fold": fold})
        asked = _metrics(metrics or ["DSC", "NSD", "HD95"], nsd or [])
        evaluate_study(predictions, truths, output, asked, layout=layout, seed=seed, reorient=reorient, workers=workers)
        return
    if layout:
        raise ValueError(f"--layout is for a folder or archive of many losses, but {predictions} has label maps itself")
    known = find_classes(predictions, truths)
    names = known[1] if known else {}
    ignored = _ignored(names, ignore)
    request = Request(
        _metrics(metrics or ["DSC", "NSD", "HD95"], nsd or []),
        labels=_asked(names, labels) or _scored(names, ignored),
        known=numbers_in(names) | {ignored or 0} if names else None,
        ignore=ignored,
        reorient=reorient,
        spacing=find_spacing(predictions, truths),
        hidden=find_hidden(predictions, truths),
    )
    results = _score(pair_files(predictions, truths), request, workers)
    rows = long_rows(
        results,
        names,
        loss=loss or predictions.resolve().name,
        dataset=dataset or (known[0] if known else truths.resolve().name),
        fold=fold,
        seed=seed,
    )

    # Everything is written before the exit code: one broken file must not cost the scores of the others.
    found = {result.files.name: result.found for result in results if result.status == "ok"}
    check_asked(found, labels or ())
    warnings = other_names(predictions, truths)
    warnings += suspicions(found, labels or (), named=bool(names), ignore=ignore)
    _write(output, rows, results, ignored, warnings)
    _report(output, rows, results, warnings)
    if any(result.status != "ok" for result in results):
        raise typer.Exit(1)


def _ignored(names: Mapping[Label, str], asked: int | None) -> int | None:
    """Return the ignored label: the one asked for, else that of dataset.json; refuse one that contradicts the file."""
    own = ignored_label(names)
    if asked is None or asked == own:
        return own
    if own is not None:
        raise ValueError(
            f"--ignore is {asked}, but dataset.json ignores {own}; leave --ignore out, or correct the file"
        )
    if region := next((name for label, name in names.items() if isinstance(label, tuple) and asked in label), ""):
        raise ValueError(f"--ignore is {asked}, which is part of region {region!r} of dataset.json; give another label")
    return asked


def _asked(names: Mapping[Label, str], labels: Sequence[int] | None) -> tuple[int, ...]:
    """Return the labels of `--labels`; refuse one that dataset.json does not name."""
    known = numbers_in(names)
    if names and (strange := set(labels or ()) - known):
        raise ValueError(
            f"--labels asks for {min(strange)}, but dataset.json knows {sorted(known)}; ask for others, or add the "
            "class there"
        )
    return tuple(labels or ())


def _scored(names: Mapping[Label, str], ignore: int | None) -> tuple[Label, ...] | None:
    """Return the labels to score: regions in place of classes where dataset.json names them; None if it names nothing.

    nnU-Net scores regions in place of classes, too.
    """
    return tuple(label for label in names if label not in (0, ignore)) or None


def _metrics(metrics: Sequence[str], tolerances: Sequence[float]) -> tuple[str, ...]:
    """Put one NSD per tolerance where NSD stands, or at the end."""
    metrics = [column.metric for column in parse_metrics(metrics)]
    if not tolerances:
        return tuple(metrics)
    nsds = [
        column.metric
        for column in parse_metrics([f"NSD@{str(tolerance).removesuffix('.0')}" for tolerance in tolerances])
    ]
    listed = metrics if "NSD" in metrics else [*metrics, "NSD"]
    return tuple(dict.fromkeys(name for metric in listed for name in (nsds if metric == "NSD" else [metric])))


def _score(pairs: Sequence[FilePair], request: Request, workers: int | None) -> list[CaseResult]:
    with Progress(
        TextColumn("scoring"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        bar = progress.add_task("", total=len(pairs))
        return score_cases(pairs, request, workers=workers, done=lambda: progress.advance(bar))


def _write(
    output: Path, rows: Sequence[Row], results: Sequence[CaseResult], ignore: int | None, warnings: Sequence[str]
) -> None:
    write_rows(output, rows)
    write_summary(output, rows, results, ignore=ignore, warnings=warnings)
    write_nnunet_summary(beside(output, ".nnunet.json"), results)


def _report(output: Path, rows: Sequence[Row], results: Sequence[CaseResult], warnings: Sequence[str]) -> None:
    """Print the summary, then the cases that could not be scored, then all warnings."""
    print_summary(rows)
    for result in results:
        if result.status != "ok":
            typer.echo(f"{result.status}: {result.reason}", err=True)
        if result.note:
            typer.echo(f"warning: {result.note}", err=True)
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)
    cases = [result for result in results if result.files.truth]
    beyond = f", {len(results) - len(cases)} predictions without a truth" if len(cases) < len(results) else ""
    typer.echo(f"{sum(result.status == 'ok' for result in cases)} of {len(cases)} cases scored{beyond}: {output}")


def print_summary(rows: Sequence[Row]) -> None:
    """Print means and medians by metric and class."""
    lines, macros = summarise(rows)
    table = Table("metric", "class", box=None, header_style="bold", caption="undefined values are left out")
    for heading in ("mean", "median", "quartiles", "undefined"):
        table.add_column(heading, justify="right")
    for macro in macros:
        for line in lines:
            if line.metric == macro.metric:
                table.add_row(macro.metric, escape(line.class_name), *_cells(line))
        table.add_row(macro.metric, "macro_case", f"{macro.macro_case:.4f}", style="bold")
        table.add_row(macro.metric, "macro_class", f"{macro.macro_class:.4f}", style="bold", end_section=True)
    Console().print(table)


def _cells(line: Line) -> tuple[str, ...]:
    undefined = sum(count for status, count in line.statuses.items() if status != "ok")
    return f"{line.mean:.4f}", f"{line.median:.4f}", f"{line.q25:.4f} - {line.q75:.4f}", str(undefined or "")
