"""Check the English of docstrings, comments and error texts; `make lint` runs it.

    python tests/lint/english.py [FILES]

A function's docstring begins with a verb. Classes, modules, properties, measures and presets say what the thing is,
and so does the string below an attribute. No text holds one of the `PATTERNS`; code between backticks is not read.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHECKED = ("src/lossodyssey", "benchmarks", "examples")

VERBS = tuple(
    """Add Adjust Advance Answer Apply Arrange Ask Average Begin Bound Build Call Carry Check Choose Clip Close Collect
    Compare Compile Complete Compute Condense Convert Copy Correct Count Crop Cut Decide Describe Dilate Distribute
    Divide Download Draw Drop Encode Erode Escape Estimate Evaluate Execute Export Fetch Fill Find Fit Format Frame
    Gather Give Go Group Hand Hold Import Join Keep Lay Leave Let Lift Link List Listen Load Log Look Make Map Mark
    Match Measure Merge Move Name Normalise Note Open Order Pair Parse Pass Pick Plan Plot Pool Predict Prepare Print
    Put Raise Rank Read Reduce Refuse Register Remove Render Repeat Replace Report Rescale Resample Return Round Run
    Save Say Score Segment Select Send Set Shift Show Simulate Skip Smooth Solve Sort Split Spread Stack Start Store
    Sum Tabulate Take Tell Test Time Train Turn Unpack Use Wait Warn Watch Weigh Wrap Write Yield""".split()  # noqa: SIM905
)
OBJECTS = re.compile(r"(.*\.)?(cached_property|property|setter|getter|Lazy|lazy|measure|distance|preset)")
"""Decorators that make an object of a function, whose docstring says what the object is."""

START = r"(?:\A\s*|[.!?:]\s+|\n\s*\n\s*)"
PATTERNS = {
    r"\bthat (?:is|are) none\b": "name the thing: 'a file that is not an image', not 'a file that is none'",
    r"(?<![Tt]here\s)\b(?:is|are|was|were)\s+no\s+(?!longer|more|less|[a-z]+er\b)[a-z]+": "say 'is not a ...'",
    r"\bso many\b": "name the number: 'every 16th plane', 'that number of cases'",
    START + r"What\b(?![^.]*\?)": "begin with the noun: 'The settings that ...', not 'What ...'",
    START + r"Those (?:that|who|of)\b": "begin with the noun: 'Losses that ...', not 'Those that ...'",
    r"\b[Ww]alk(?:s|ed|ing)?\b": "the standard word is 'pass over the logits'",
    r"\b[Pp]rice[sd]?\b": "the standard word is 'weight' (of an error) or 'gradient' (of a sum)",
    r"\b[Ss]lopes?\b": "the standard word is 'gradient' or 'derivative'",
    r"\bworth\b": "say 'large enough to matter', 'useful', or the number",
}


def problems(text: str) -> list[tuple[int, str]]:
    """List the problems of one file's text as (line, message), in order of their lines."""
    tree = ast.parse(text)
    found = [*_without_verb(tree)]
    for line, said in [*_strings(tree), *_comments(text)]:
        # Blanked, not removed: positions must still count the lines of the file.
        plain = re.sub(r"`[^`]*`", lambda code: re.sub(r"\S", "`", code[0]), said)
        for pattern, advice in PATTERNS.items():
            for hit in re.finditer(pattern, plain):
                words = " ".join(hit[0].split()).lstrip(".!?: ")
                found.append((line + plain[: hit.end()].count("\n"), f"{words!r}: {advice}"))
    return sorted(set(found))


def _without_verb(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or any(map(_makes_object, node.decorator_list)):
            continue
        words = (ast.get_docstring(node) or "").split()
        # "Sum of the losses" begins with a noun, "Sum the losses" with a verb.
        if words and (words[0].rstrip(",;:") not in VERBS or words[1:2] == ["of"]):
            begun = " ".join(words[:2])
            yield node.body[0].lineno, f"{begun!r}: begin the docstring of {node.name} with a verb such as Return"


def _makes_object(decorator: ast.expr) -> bool:
    return bool(OBJECTS.fullmatch(ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)))


def _strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield docstrings, strings that stand alone, and the texts of raised errors."""
    for node in ast.walk(tree):
        parts = [node.value] if isinstance(node, ast.Expr) else [*ast.walk(node)] if isinstance(node, ast.Raise) else []
        yield from ((own.lineno, own.value) for own in parts if isinstance(own, ast.Constant) and _is_text(own))


def _is_text(constant: ast.Constant) -> bool:
    return isinstance(constant.value, str)


def _comments(text: str) -> Iterator[tuple[int, str]]:
    """Yield blocks of comments: a sentence may run over several lines."""
    block: list[str] = []
    first = last = column = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            if block and (token.start[0] != last + 1 or token.start[1] != column):
                yield first, "\n".join(block)
                block = []
            first = first if block else token.start[0]
            last, column = token.start
            block.append(token.string.lstrip("#! "))
    if block:
        yield first, "\n".join(block)


def files() -> list[Path]:
    """List the files that are checked: the package, the benchmarks and the examples."""
    return sorted(path for folder in CHECKED for path in (ROOT / folder).rglob("*.py"))


def main(names: list[str]) -> int:
    """Print every problem with its file and line; return 1 where there is one."""
    lines = [
        f"{path}:{line}: {message}"
        for path in (map(Path, names) if names else files())
        for line, message in problems(path.read_text(encoding="utf-8"))
    ]
    print(*lines, sep="\n", end="\n" if lines else "")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
