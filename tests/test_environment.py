"""What is said of this machine is what is true of it."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import lossodyssey
from lossodyssey import environment, native

ROOT = Path(__file__).parent.parent
NO_TYPER = """
import sys
sys.modules["typer"] = None
sys.argv = ["lossodyssey", *{arguments}]
from lossodyssey.__main__ import main
main()
"""


def outcomes(library: bool, **fields: object) -> native.Outcome:
    made = native.Outcome(**fields)  # type: ignore[arg-type]
    if library:
        object.__setattr__(made, "library", object())
    return made


BACKENDS = {
    "OpenMP": (outcomes(True, instructions="AVX2", openmp=True), "compiled, AVX2, OpenMP"),
    "one thread": (
        outcomes(True, instructions="baseline", reason="one thread: why"),
        "compiled, baseline, one thread: why",
    ),
    "none": (outcomes(False, reason="no C compiler among cc"), "PyTorch: no C compiler among cc"),
}


@pytest.mark.parametrize("kind", BACKENDS)
def test_the_back_end_on_the_cpu_is_told_with_its_reason(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, expected = BACKENDS[kind]
    monkeypatch.setattr(native, "outcome", lambda: outcome)
    assert environment.backend(torch.device("cpu")) == expected
    assert re.search(rf"^on the CPU +{re.escape(expected)}$", environment.as_text(environment.facts()), re.MULTILINE)


@pytest.mark.parametrize(("triton", "expected"), [(True, "Triton 3.1"), (False, "PyTorch: Triton is not installed")])
def test_the_back_end_on_a_gpu_is_triton_where_it_is_installed(
    triton: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "has_triton", lambda: triton)
    monkeypatch.setattr(environment, "_version", lambda package: "3.1")
    assert environment.backend(torch.device("cuda:1")) == expected
    assert environment.backend(torch.device("mps")) == "PyTorch: there is no other code for mps"


def test_the_extras_are_those_of_the_project() -> None:
    tomllib = pytest.importorskip("tomllib")
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra, packages in environment.EXTRAS.items():
        assert [re.split("[<>=]", wanted)[0] for wanted in stated[extra]] == list(packages)
    assert set(stated) - set(environment.EXTRAS) == {"all", "docs", "test"}


def test_the_command_shows_versions_and_the_back_end() -> None:
    runner = pytest.importorskip("typer.testing").CliRunner()
    from lossodyssey.cli.verbs import join

    app = join("env")
    result = runner.invoke(app, ["env", "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["lossodyssey"]["version"] == lossodyssey.__version__
    assert found["torch"]["version"] == torch.__version__
    assert found["python"]["version"] == platform.python_version()
    assert found["backends"]["cpu"].startswith("compiled" if native.library() else "PyTorch")
    assert found["extras"]["bench"]["typer"] and "edt" in found["extras"]["fast"]
    text = runner.invoke(app, ["env"], catch_exceptions=False).stdout
    assert text == environment.as_text(found) + "\n" and "\n[nnunet]     nnunetv2 " in text


def test_a_broken_setting_is_shown_with_what_mends_it(tmp_path: Path) -> None:
    everything = os.environ | {"CC": "cc '", "XDG_CACHE_HOME": "~unknown"}
    done = subprocess.run(
        [sys.executable, "-m", "lossodyssey", "env"], env=everything, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    for line in (
        r"compiler     CC is \"cc '\": No closing quotation",
        r"on the CPU   PyTorch: CC is .*",
        r"to fix it    correct or unset CC",
        r"cache        no cache folder under ~unknown: .*",
    ):
        assert re.search(f"^{line}$", done.stdout, re.MULTILINE), (line, done.stdout)


@pytest.mark.parametrize("arguments", [["env"], ["list"]])
def test_without_the_extras_of_the_command_line_it_still_works(arguments: list[str]) -> None:
    code = NO_TYPER.format(arguments=arguments)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if arguments == ["env"]:
        assert done.returncode == 0 and "\n[bench]      monai" in done.stdout
    else:
        assert done.returncode == 1 and "the command line needs typer" in done.stderr
