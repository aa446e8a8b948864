"""Imports point one way, and the library stands alone on torch, numpy and scipy."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import lossodyssey

ROOT = Path(lossodyssey.__file__).parent
ALLOWED = {
    "native": {"atomic"},
    "kernels": {"native"},
    "environment": {"kernels", "native"},
    "distance": {"kernels", "native"},
    "auxiliary": {"kernels", "distance", "native"},
    "core": {"kernels", "distance", "auxiliary", "atomic"},
    "losses": {"kernels", "distance", "auxiliary", "core"},
    "guide": {"core", "losses", "auxiliary", "fingerprint", "ranking", "report"},
    "metrics": {"distance", "cards", "table", "atomic", "data"},
    "data": {"atomic"},
    "fingerprint": {"distance", "metrics", "data", "atomic"},
    "training": {"core", "losses", "data", "atomic"},
    "bench": {"core", "losses", "metrics", "data", "training", "ranking", "report", "table", "atomic", "environment"}
    | {"fingerprint", "guide"},
    "ranking": {"cards", "table", "atomic"},
    "report": {"ranking", "table", "atomic"},
    "integrations": {"core", "auxiliary", "losses", "distance", "data", "metrics", "training", "bench", "table"}
    | {"atomic"},
    "table": {"cards", "atomic"},
    "cards": set(),
    "atomic": set(),
}


def imported(file: Path) -> set[str]:
    """The parts of the package that a file imports; the public names of the package itself are losses."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    parts = {
        name.split(".")[1] for name in names if name.startswith("lossodyssey.") and name != "lossodyssey.__version__"
    }
    return {part if (ROOT / part).is_dir() or (ROOT / f"{part}.py").exists() else "losses" for part in parts}


def test_imports_point_one_way() -> None:
    for part, allowed in ALLOWED.items():
        files = [ROOT / f"{part}.py"] if (ROOT / f"{part}.py").exists() else list((ROOT / part).rglob("*.py"))
        for file in files:
            # The package of the core brings the losses, so that whoever comes by a part of it finds the atlas full.
            wrong = imported(file) - allowed - {part} - ({"losses"} if file == ROOT / "core" / "__init__.py" else set())
            assert not wrong, f"{file.relative_to(ROOT)} imports {sorted(wrong)}"


def test_the_library_imports_torch_and_numpy_only() -> None:
    heavy = ["scipy", "monai", "nibabel", "matplotlib", "jinja2", "rich", "typer", "yaml", "PIL", "edt"]
    heavy += ["torch._dynamo"]  # a part of torch that takes as long to import as the rest of it
    code = f"import sys, lossodyssey; lossodyssey.Dice; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_reads_results_alone_waits_for_no_torch() -> None:
    modules = "lossodyssey.report, lossodyssey.ranking.rank, lossodyssey.cli.status"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_files_stay_short_and_folders_shallow() -> None:
    for file in ROOT.rglob("*.py"):
        assert file.read_text(encoding="utf-8").count("\n") <= 400, file
        assert len(file.relative_to(ROOT).parts) <= 3, file
