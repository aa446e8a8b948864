"""Write what follows from the code: page and picture of each loss, tables, the map, the names for type checkers."""

from __future__ import annotations

import ast
import csv
import re
from pathlib import Path

import lossodyssey as lo
from lossodyssey.guide.advice_text import rules_table
from lossodyssey.guide.look.embedded import embedded, file_of
from lossodyssey.guide.look.figure import NARROW, figure, five_scenes, one_scene
from lossodyssey.guide.look.scenes import scenes
from lossodyssey.guide.look.sight import look, pulled
from lossodyssey.guide.pages import citation, first_formula, page
from lossodyssey.guide.relations import relations
from lossodyssey.guide.relations_map import relations_map

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "losses"
LITERATURE = ROOT / "docs" / "literature"
ADVICE = ROOT / "docs" / "advise.md"
STUB = ROOT / "src" / "lossodyssey" / "__init__.pyi"
RULES = re.compile(r"(<!-- rules -->\n).*?(<!-- /rules -->)", re.DOTALL)
SEEN = """## What it sees

![Value and gradient of {name} for one voxel, and its pull on five small scenes]({name}.svg)

Left above, value and gradient as the probability p of one voxel moves. Then where a training step pushes the object's
logit on five small scenes; full colour is the pull below a picture. [How to read it](../look.md).

"""
EXPLAINED = ("missed lesion", "speckle")
MAP = """---
hide: [toc]
---

# The map of losses

Losses by category, with a line for each relation between two of them. Point at a loss to see its own; a click leads to
its page. All of these relations hold for values and gradients, and a test computes each of them. They are read from one
table, `lossodyssey.guide.relations`; a preset is the sum that it stands for.

![Losses by category, and the relations between them](map.svg)

## The relations in words
"""
MARK = re.compile(r"(<!-- losses -->\n).*?(<!-- /losses -->)", re.DOTALL)


def generated() -> dict[Path, str]:
    """Every generated file with its text."""
    groups = by_category()
    cards = [card for group in groups.values() for card in group]
    files = {PAGES / "README.md": overview(groups)}
    for card in cards:
        text = page(card)
        files[PAGES / f"{card.name}.md"] = text.replace(
            "## One voxel\n", f"{SEEN.format(name=card.name)}## One voxel\n"
        )
        files[PAGES / f"{card.name}.svg"] = picture(card)
    files |= {ROOT / "docs" / "look" / f"{name}.svg": text for name, text in explained().items()}
    files[ROOT / "docs" / "map.svg"] = file_of(relations_map(), "map")
    files[ROOT / "docs" / "map.md"] = relations_page()
    files[ROOT / "docs" / "literature.md"] = literature()
    files[ADVICE] = RULES.sub(
        lambda found: f"{found[1]}{rules_table()}\n{found[2]}", ADVICE.read_text(encoding="utf-8")
    )
    files[STUB] = stub(cards)
    listed = [card for card in cards if card.category != "as_released"]
    readme = ROOT / "README.md"
    files[readme] = MARK.sub(
        lambda found: f"{found[1]}{table(listed, 'docs/losses/', category=True)}\n{found[2]}",
        readme.read_text(encoding="utf-8"),
    )
    return files


def by_category() -> dict[str, list[lo.Card]]:
    """The losses of the atlas under the title of their category, the variants of released code last."""
    groups: dict[str, list[lo.Card]] = {}
    for card in sorted(lo.atlas(), key=lambda card: (card.category == "as_released", card.category)):
        if card.category != "custom":
            groups.setdefault(card.category.replace("_", " ").capitalize(), []).append(card)
    return groups


def overview(groups: dict[str, list[lo.Card]]) -> str:
    """The page that leads to the losses, a table per category."""
    return "\n\n".join(["# The losses", *(f"## {title}\n\n{table(cards)}" for title, cards in groups.items())]) + "\n"


def literature() -> str:
    """The page of the literature: each row of the tables that the atlas answers, with the losses here or the reason."""
    head = (LITERATURE / "head.md").read_text(encoding="utf-8").strip()
    lines = ["| paper | here | formula | held against | remark |", "|---|---|---|---|---|"]
    with (LITERATURE / "rows.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    parts = [head]
    for title, of in (("The comparison and SegLoss's table", True), ("Of the other two works, and newer", False)):
        own = [row for row in rows if ("Loss odyssey" in row["table"] or "SegLoss" in row["table"]) == of]
        parts += [f"## {title}", "\n".join([*lines, *map(literature_row, own)])]
    return "\n\n".join(parts) + "\n"


def literature_row(row: dict[str, str]) -> str:
    """A row of the table; the formula is the first of the loss's own description."""
    cards = [lo.card(name.strip()) for name in row["losses"].split(";") if name.strip()]
    links = ", ".join(f"[{card.name}](losses/{card.name}.md)" for card in cards) or "-"
    formula = written(cards[0]).replace("|", "\\vert{}") if cards else ""
    return f"| {row['paper']} | {links} | {formula} | {row['checked']} | {row['remark']} |"


def written(card: lo.Card) -> str:
    """The sum that a preset stands for, or the first formula of a loss's description."""
    return f"`{card.same_as}`" if card.preset else first_formula(card)


def stub(cards: list[lo.Card]) -> str:
    """The public names for editors and type checkers, which cannot see what the atlas files at run time."""
    source = STUB.with_name("public.py").read_text(encoding="utf-8")
    nodes = [node for node in ast.parse(source).body if isinstance(node, ast.ImportFrom)]
    names = [(str(node.module), alias.name) for node in nodes for alias in node.names if alias.name != "*"]
    names.remove(("__future__", "annotations"))
    names += [(card.build.__module__, card.name) for card in cards]
    lines = [imported(module, name) for module, name in sorted(names)]
    return "\n".join(["# Generated by docs/generate.py", *lines, "", "__version__: str", ""])


def imported(module: str, name: str) -> str:
    """The import of a public name, on several lines where one is too long for the formatter."""
    line = f"from {module} import {name} as {name}"
    return line if len(line) <= 120 else f"from {module} import (\n    {name} as {name},\n)"


def table(cards: list[lo.Card], folder: str = "", *, category: bool = False) -> str:
    """Losses as a Markdown table, with the category as its first column where no heading says it."""
    rows = ["| loss | what it is | paper |", "|---|---|---|"]
    for card in cards:
        summary, paper = card.summary.split(": ")[0], citation(card.paper, short=True)
        rows.append(f"| [{card.name}]({folder}{card.name}.md) | {summary} | {paper} |")
    first = ["| category ", "|---", *(f"| {card.category} " for card in cards)] if category else [""] * len(rows)
    return "\n".join(map(str.__add__, first, rows))


def picture(card: lo.Card) -> str:
    """The loss under the microscope, in a figure that a phone can show."""
    return embedded(figure([look(card())], columns=NARROW, predictions=False), card.name, f"What {card.name} sees")


def explained() -> dict[str, str]:
    """The pictures of `look.md`: the scenes, and two of them with three losses each."""
    drawn = {"scenes": embedded(five_scenes(look(lo.Dice())), "scenes", "The five scenes")}
    for scene in scenes():
        if scene.name in EXPLAINED:
            pulls = {f"{loss!r}": pulled(loss, scene) for loss in (lo.Dice(), lo.CrossEntropy(), lo.Boundary())}
            name = scene.name.replace(" ", "-")
            drawn[name] = embedded(one_scene(pulls), name, f"Dice, cross entropy and boundary loss: {scene.name}")
    return drawn


def relations_page() -> str:
    """The page of the map: the picture, and below it every relation in words, which phones read better."""
    groups: dict[str, list[str]] = {}
    for relation in relations():
        card = lo.card(relation.ends[0])
        line = f"- [{card.name}](losses/{card.name}.md): {relation.told}"
        groups.setdefault(card.category.capitalize(), []).append(line)
    parts = [f"### {title}\n\n" + "\n".join(lines) for title, lines in sorted(groups.items())]
    return "\n\n".join([MAP.strip(), *parts]) + "\n"


def main() -> None:
    """Write the files that changed, remove those of losses that are gone."""
    files = generated()
    stale = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    stale += [path for path in sorted(PAGES.glob("*.*")) if path not in files]
    for path in stale:
        if path in files:
            path.parent.mkdir(exist_ok=True)
            path.write_text(files[path], encoding="utf-8")
        else:
            path.unlink()
    print(f"{len(stale)} of {len(files)} files written")


if __name__ == "__main__":
    main()
