"""Formulas as plain text for a terminal: Greek letters, sums, fractions on one line."""

from __future__ import annotations

import re
import unicodedata

GREEK = {
    "alpha": "α",
    "beta": "β",
    "gamma": "γ",
    "delta": "δ",
    "epsilon": "ε",
    "theta": "θ",
    "kappa": "κ",
    "lambda": "λ",
}
GREEK |= {
    "mu": "μ",
    "pi": "π",
    "rho": "ρ",
    "sigma": "σ",
    "tau": "τ",
    "upsilon": "υ",
    "phi": "φ",
    "psi": "ψ",
    "ell": "l",
}
GREEK |= {"Delta": "Δ", "Sigma": "Σ", "Omega": "Ω"}
SIGNS = {"sum": "Σ", "prod": "Π", "int": "∫", "partial": "∂", "nabla": "∇", "in": "∈", "notin": "∉", "cdot": "·"}
SIGNS |= {"times": "×", "ne": "≠", "le": "≤", "ge": "≥", "approx": "≈", "vee": "∨", "mid": "|", "triangle": "△"}
SIGNS |= {"infty": "∞", "cup": "∪", "cap": "∩", "subset": "⊂", "to": "→", "ldots": "...", "dots": "...", "quad": " "}
SIGNS |= GREEK
MARKS = {"bar": "\u0304", "overline": "\u0304", "hat": "\u0302", "tilde": "\u0303", "underline": "\u0332"}
SPACES = {",": " ", ";": " ", " ": " ", "!": "", "|": "‖", "{": "\ue000", "}": "\ue001"}
"""Braces that are meant as such are set aside until those of groups are gone."""
SPECIAL = re.compile(r"([\\`*_{}\[\]<>|])")
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$]+)\$", re.DOTALL)
CODE = re.compile(r"(```.*?```|`[^`]*`)", re.DOTALL)
COMMAND = re.compile(r"\\([A-Za-z]+|.)", re.DOTALL)
GROUP = r"\{((?:[^{}]|\{[^{}]*\})*)\}"
FRACTION = re.compile(rf"\\[dt]?frac\s*{GROUP}\s*{GROUP}")
MARKED = re.compile(rf"\\({'|'.join(MARKS)})\s*(?:{GROUP}|(\\[A-Za-z]+|\w))")
WORD = re.compile(rf"\\(?:text|mathrm|operatorname|mathbf|mathcal)\*?\s*{GROUP}")
INDEX = re.compile(r"([_^])\{([^{}]*)\}")
SINGLE = re.compile(r"\|?[^\W_][^\W_.\u0300-\u0333]*\|?")

ACCENTS = {"'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "c": "\u0327", "v": "\u030c"}
ACCENTS |= {"=": "\u0304", ".": "\u0307", "u": "\u0306", "H": "\u030b", "r": "\u030a", "k": "\u0328"}
ACCENT = re.compile(r"\\(['`^\"~=.]|[cvuHrk](?=[\s{]))\s*\{?\\?([A-Za-z])\}?")
LETTERS = {"o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "i": "ı", "aa": "å", "AA": "Å", "ae": "æ", "AE": "Æ", "ss": "ß"}


def without_tex(text: str, *, markdown: bool = False) -> str:
    """Write every formula between dollar signs as one line of plain text, and leave code as it is.

    With `markdown` its signs are escaped, so that none is taken for emphasis or the border of a cell.
    """

    def written(found: re.Match[str]) -> str:
        formula = plain(found[1] or found[2])
        return SPECIAL.sub(r"\\\1", formula) if markdown else formula

    parts = CODE.split(text)
    return "".join(part if at % 2 else FORMULA.sub(written, part) for at, part in enumerate(parts))


def without_accents(text: str) -> str:
    """Write the letters of a bibliography, such as `{\\'o}`, as they are, and drop its braces."""
    text = ACCENT.sub(lambda m: unicodedata.normalize("NFC", m[2] + ACCENTS[m[1]]), text)
    text = re.sub(r"\\(aa|AA|ae|AE|ss|[oOlLi])(?![A-Za-z])\s*", lambda m: LETTERS[m[1]], text)
    return re.sub("[{}]", "", text)


def plain(formula: str) -> str:
    """Write a formula without commands: `\\frac{a + b}{c}` as `(a + b) / c`."""
    signs = " ".join(re.sub(r"[{}]", "", _lines(formula)).split())
    return signs.replace("\ue000", "{").replace("\ue001", "}")


def _lines(formula: str) -> str:
    before = ""
    while before != formula:
        # Inner groups first, so that what stands in a fraction is plain when it is its turn.
        before = formula
        formula = MARKED.sub(_marked, WORD.sub(r"\1", formula))
        formula = FRACTION.sub(_fraction, formula)
    formula = INDEX.sub(lambda m: m[1] + (m[2] if SINGLE.fullmatch(plain(m[2])) else f"({m[2]})"), formula)
    return COMMAND.sub(_command, re.sub(rf"\\sqrt\s*{GROUP}", lambda m: f"√({m[1]})", formula))


def _marked(found: re.Match[str]) -> str:
    under = plain(found[2] or found[3])
    # A mark goes over one letter; a bar over more is their mean.
    return under + MARKS[found[1]] if len(under) == 1 else f"mean({under})"


def _fraction(found: re.Match[str]) -> str:
    above, below = (_lines(found[place]) for place in (1, 2))
    if SINGLE.fullmatch(above) and SINGLE.fullmatch(below):
        return f"{above}/{below}"
    return " / ".join(part if SINGLE.fullmatch(part) else f"({part})" for part in (above, below))


def _command(found: re.Match[str]) -> str:
    name = found[1]
    if not name.isalpha():
        return SPACES.get(name, name)
    if name in ("left", "right", "big", "Big", "bigl", "bigr"):
        return ""
    # Functions such as log keep their name.
    return SIGNS.get(name, name)
