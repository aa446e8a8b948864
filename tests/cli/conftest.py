"""What the tests of commands share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lossodyssey.cli import run

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run the command; gives exit code, output and errors."""

    def invoke(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["lossodyssey", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            run()
        output, errors = capsys.readouterr()
        return int(end.value.code or 0), output, errors

    return invoke
