"""`bench` at the command line: presets, and options that have no effect together."""

from __future__ import annotations

from pathlib import Path

import pytest

from lossodyssey.cli import run
from lossodyssey.cli.bench import preset_text


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["lossodyssey", "bench", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        run()
    return int(end.value.code or 0)


def test_a_preset_is_printed_as_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "--preset", "odyssey", "--print") == 0
    assert capsys.readouterr().out == preset_text("odyssey")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "expected either a plan file or --preset NAME"),
        (("plan.yaml", "--preset", "quick"), "expected either a plan file or --preset NAME"),
        (("plan.yaml",), "plan.yaml: no such file"),
        (("--preset", "quik"), "--preset is 'quik', did you mean 'quick'?"),
        (("--preset", "quick", "--print", "--dataset", "phantom"), "--print with --dataset, which has no effect there"),
        (("--preset", "quick", "--run", "x", "--workers", 2), "--run with --workers, which has no effect there"),
        (("--preset", "quick", "--dry-run", "--from", "y"), "--dry-run with --from, which has no effect there"),
        (("--preset", "quick", "--executor", "slrm"), "executor is 'slrm'"),
        (("--preset", "quick", "--option", "x"), "--option is 'x'; expected NAME=VALUE"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_meant_is_refused(
    arguments: tuple[object, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, *arguments) == 2
    assert message in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
