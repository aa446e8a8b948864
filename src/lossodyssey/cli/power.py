"""`lossodyssey power`: how small a difference a study can show, before it is trained."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import typer

from lossodyssey.cli.rank import Higher, Lower, Metrics
from lossodyssey.cli.tables import Columns, directions, read_tables
from lossodyssey.ranking.power import MEAN, MOST_CASES, Deviations, Pilot, check, detectable, needed, pilots
from lossodyssey.ranking.rank import rank

SEEDS = (2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50)
"""Numbers of seeds that are tried for a wanted difference."""
MOST_SEEDS = 50

Tables = Annotated[
    list[str] | None,
    typer.Argument(
        help="A pilot: long tables (cases.csv), or LOSS=summary.json of nnU-Net. Left out: state --sd-cases."
    ),
]
Size = Annotated[int | None, typer.Option(help="As many as the pilot has where left out.")]


def power(
    tables: Tables = None,
    cases: Size = None,
    seeds: Size = None,
    losses: Size = None,
    difference: Annotated[
        float | None, typer.Option(help="A difference to be shown: tells how many cases and seeds it needs.")
    ] = None,
    sd_cases: Annotated[
        float | None, typer.Option(help="Standard deviation over cases of the difference of two losses.")
    ] = None,
    sd_runs: Annotated[
        float | None, typer.Option(help="Standard deviation of a loss's mean from one training to the next.")
    ] = None,
    power: Annotated[float, typer.Option(help="Probability with which the difference is to be shown.")] = 0.8,
    alpha: Annotated[float, typer.Option(help="Level of the tests.")] = 0.05,
    metric: Metrics = None,
    higher: Higher = None,
    lower: Lower = None,
    column: Columns = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON, and nothing else.")] = False,
) -> None:
    """Print the smallest difference that a study can show, or the cases and seeds that a difference needs.

    Examples:

    `lossodyssey power --sd-cases 0.03 --sd-runs 0.006 --cases 40 --seeds 3 --losses 8`

    `lossodyssey power pilot.csv --seeds 5`

    `lossodyssey power pilot.csv --difference 0.01`
    """
    check(power=power, alpha=alpha, **{} if difference is None else {"difference": difference})
    options = {"--metric": metric, "--higher": higher, "--lower": lower, "--column": column}
    found, notes = _piloted(tables, options) if tables else (_stated(sd_cases, options), ())
    sizes, found = _sizes(found, cases, seeds, losses), _overruled(found, sd_cases, sd_runs)

    # With one seed the plan is for these trained networks: the noise of training does not enter.
    if sd_runs is not None and (seeds or (difference is None and sizes["seeds"])) == 1:
        raise ValueError("--sd-runs has no effect with one seed: leave it out, or plan for more (--seeds)")
    if difference is None:
        _complete(sizes)
    elif sizes["losses"] is None:
        raise ValueError("--losses is missing: the more losses, the more comparisons to correct for")

    asked = {"cases": cases, "seeds": seeds}
    plans = [_plan(own, sizes, asked, difference, power, alpha) for own in found]
    if as_json:
        levels = {"alpha": alpha, "power": power, "notes": notes}
        typer.echo(json.dumps({**sizes, **levels, "plans": plans}, indent=1, allow_nan=False))
    else:
        pilot = ["\n".join(f"note: {note}" for note in notes)] if notes else []
        typer.echo("\n\n".join([*(_text(plan, sizes, power) for plan in plans), *pilot]))


def _piloted(tables: list[str], options: dict[str, Any]) -> tuple[list[Pilot], tuple[str, ...]]:
    """Estimate the deviations from the pilot's tables; add the notes of the ranking on missing and odd values."""
    rows = read_tables(tables, options["--column"])
    ways = directions(rows, options["--higher"], options["--lower"])
    ranking = rank(rows, metrics=options["--metric"], method="mean", higher_is_better=ways)
    found = pilots(ranking)
    short = [own.task for own in found if own.cases_df < 1]
    if short:
        raise ValueError(f"{short[0]}: the pilot has one case, which does not vary; expected at least two")
    return found, ranking.notes


def _stated(sd_cases: float | None, options: dict[str, Any]) -> list[Pilot]:
    """Make a pilot of stated deviations."""
    idle = [name for name, value in options.items() if value]
    if idle:
        raise ValueError(f"{idle[0]} says how to read a pilot table, and none is given")
    if sd_cases is None:
        raise ValueError("no pilot table and no --sd-cases: give one of them, such as --sd-cases 0.03 --sd-runs 0.006")
    return [Pilot("", "", Deviations(sd_cases), losses=0, cases_df=0, runs_df=0)]


def _sizes(found: list[Pilot], cases: int | None, seeds: int | None, losses: int | None) -> dict[str, int | None]:
    """Complete the sizes of the study from the pilot; the smallest of its tasks counts."""
    given = {"cases": cases, "seeds": seeds, "losses": losses}
    for name, value in given.items():
        if value is not None:
            check(**{name: value})
    if found[0].losses:
        own = [pilot.deviations for pilot in found]
        known = {
            "cases": min(d.pilot_cases for d in own),
            "seeds": min(d.pilot_seeds for d in own),
            "losses": found[0].losses,
        }
        return {name: known[name] if value is None else value for name, value in given.items()}
    return given


def _complete(sizes: dict[str, int | None]) -> None:
    missing = [f"--{name}" for name, value in sizes.items() if value is None]
    if missing:
        raise ValueError(f"{', '.join(missing)}: missing, and no pilot table tells (or ask for --difference)")


def _overruled(found: list[Pilot], sd_cases: float | None, sd_runs: float | None) -> list[Pilot]:
    """Let stated deviations take the place of the pilot's, which must then have one unit."""
    new = sd_cases is not None or sd_runs is not None
    units = list(dict.fromkeys(own.metric for own in found))
    if new and len(units) > 1:
        raise ValueError(f"--sd-cases and --sd-runs are in the unit of one metric, the pilot has {units}: add --metric")
    return [_with(own, sd_cases, sd_runs) for own in found] if new else found


def _with(own: Pilot, sd_cases: float | None, sd_runs: float | None) -> Pilot:
    """Put stated deviations into a pilot; they hold for every size."""
    known = own.deviations
    return replace(
        own,
        deviations=Deviations(
            cases=known.cases if sd_cases is None else sd_cases,
            runs=known.runs if sd_runs is None else sd_runs,
            folds=known.folds,
        ),
        cases_df=own.cases_df if sd_cases is None else 0,
        runs_df=own.runs_df if sd_runs is None else 0,
    )


def _plan(
    own: Pilot,
    sizes: dict[str, int | None],
    asked: dict[str, int | None],
    difference: float | None,
    power: float,
    alpha: float,
) -> dict[str, Any]:
    """Collect the deviations, the detectable difference and the sufficient sizes of one task and metric."""
    known = {name: value for name, value in sizes.items() if value is not None}
    plan: dict[str, Any] = {
        "task": own.task,
        "metric": own.metric,
        "sd_cases": own.deviations.cases,
        "sd_cases_df": own.cases_df or None,
        "sd_runs": own.deviations.runs,
        "sd_runs_df": own.runs_df or None,
        "notes": _notes(own, asked["seeds"] or (sizes["seeds"] if difference is None else None)),
    }
    if len(known) == len(sizes):
        plan["detectable"] = detectable(own.deviations, alpha=alpha, power=power, **known)
    if difference is None:
        return plan

    # Without a deviation from run to run more seeds change nothing, so one is tried.
    seeds = [asked["seeds"]] if asked["seeds"] else list(SEEDS) if own.deviations.runs is not None else [1]
    needs = partial(needed, own.deviations, difference, losses=known["losses"], alpha=alpha, power=power)
    pairs = [{"seeds": number, "cases": needs(seeds=number)} for number in seeds]
    plan |= {"difference": difference, "needed": pairs, "cheapest": _cheapest(pairs)}

    if asked["cases"] and not asked["seeds"]:
        shows = partial(detectable, own.deviations, cases=asked["cases"], losses=known["losses"])
        tried = range(2, MOST_SEEDS + 1) if len(seeds) > 1 else seeds
        enough = (number for number in tried if shows(seeds=number, alpha=alpha, power=power) <= difference)
        plan |= {"cases": asked["cases"], "seeds_for_cases": next(enough, None)}
    return plan


def _notes(own: Pilot, seeds: int | None) -> list[str]:
    """Say which kind of statement is planned where training noise does not enter."""
    said = "the difference is one between these trained networks on new cases, not between the losses trained again"
    if own.deviations.runs is None:
        unknown = "the deviation from run to run is unknown (give --sd-runs, or a pilot with two seeds) and ignored"
        return [f"{unknown}: {said}"]
    if seeds == 1:
        return [f"with one seed {said}"]
    return []


def _cheapest(pairs: list[dict[str, Any]]) -> dict[str, int] | None:
    """Return the pair with the fewest scored cases, cases x seeds."""
    enough = [pair for pair in pairs if pair["cases"]]
    return min(enough, key=lambda pair: (pair["cases"] * pair["seeds"], pair["seeds"])) if enough else None


def _text(plan: dict[str, Any], sizes: dict[str, int | None], power: float) -> str:
    """Say a plan in words."""
    unit = f" {'in the ' if plan['metric'].startswith(MEAN) else ''}{plan['metric']}" if plan["metric"] else ""
    lines = [_basis(plan)]
    if "detectable" in plan:
        study = f"{sizes['cases']} cases, {_count(sizes['seeds'], 'seed')}, {sizes['losses']} losses"
        lines.append(
            f"{study}: a difference of {plan['detectable']:.2g}{unit} is shown with {100 * power:g} % probability."
        )
    if "needed" in plan:
        lines += _needs(plan, f"{plan['difference']:g}{unit}", sizes["losses"])
    lines += [f"note: {note}" for note in plan["notes"]]
    return "\n".join(lines)


def _basis(plan: dict[str, Any]) -> str:
    rests = _rests(plan["sd_cases_df"], " per pair of losses")
    cases = f"paired differences vary over cases by {plan['sd_cases']:.2g}{rests}"
    runs = "unknown" if plan["sd_runs"] is None else f"{plan['sd_runs']:.2g}{_rests(plan['sd_runs_df'])}"
    where = f"{plan['task']}, {plan['metric']}: " if plan["task"] else ""
    return f"{where}{cases}; a loss's mean varies from run to run by {runs}"


def _rests(df: float | None, per: str = "") -> str:
    return f" ({df:g} degrees of freedom{per})" if df else " (as stated)"


def _needs(plan: dict[str, Any], amount: str, losses: int | None) -> list[str]:
    """List the sufficient pairs of seeds and cases, then the numbers of seeds that never suffice."""
    pairs, cheapest = [pair for pair in plan["needed"] if pair["cases"]], plan["cheapest"]
    never = [str(pair["seeds"]) for pair in plan["needed"] if not pair["cases"]]
    lines = []

    if pairs:
        lines = [f"A difference of {amount} between {losses} losses needs", "  seeds   cases"]
        lines += [
            f"  {pair['seeds']:5} {pair['cases']:7}{'  cheapest: fewest scored cases' if pair == cheapest else ''}"
            for pair in pairs
        ]
    if never:
        most = f"{_list(never)} {'seed' if never == ['1'] else 'seeds'}"
        lines.append(f"No number of cases (up to {MOST_CASES:,}) is enough for {amount} with {most}.")
    if "seeds_for_cases" in plan:
        enough = plan["seeds_for_cases"]
        seeds = f"at least {_count(enough, 'seed')}" if enough else f"more than {MOST_SEEDS} seeds"
        lines.append(f"With {plan['cases']} cases {amount} needs {seeds}.")
    return lines


def _count(number: int | None, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
