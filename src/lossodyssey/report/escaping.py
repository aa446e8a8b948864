"""Names as text in LaTeX and Markdown, whatever signs they hold."""

from __future__ import annotations

import re

SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\char34{}", "`": r"\char96{}", "†": r"$^\dagger$",
    "\N{MINUS SIGN}": "$-$", "\N{EN DASH}": "--", "\N{MULTIPLICATION SIGN}": r"$\times$",
}  # fmt: skip
GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma",
    "τ": "tau", "υ": "upsilon", "φ": "varphi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta",
    "Θ": "Theta", "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi", "Σ": "Sigma", "Υ": "Upsilon", "Φ": "Phi", "Ψ": "Psi", "Ω":
    "Omega",
}  # fmt: skip


def escape(text: str) -> str:
    """Escape text for LaTeX; Greek letters become mathematics, line breaks spaces."""
    return "".join(
        # Letter by letter: replacing one sign after the other would escape the escapes.
        SPECIAL.get(letter) or (rf"$\{GREEK[letter]}$" if letter in GREEK else letter)
        for letter in " ".join(text.split())
    )


def code(text: str) -> str:
    """Set text as Markdown code that fits in a cell of a table."""
    line = " ".join(text.split()).replace("|", r"\|")
    # CommonMark: a code span is fenced by more backticks than it holds, with a space where it begins or ends with one.
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    space = " " if "`" in (line[:1], line[-1:]) else ""
    return f"{fence}{space}{line}{space}{fence}"


def plain(text: str) -> str:
    """Escape text for Markdown; line breaks become spaces."""
    return re.sub(r"([\\`*_{}\[\]<>|#$~&])", r"\\\1", " ".join(text.split()))
