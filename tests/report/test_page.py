from __future__ import annotations

import base64
import csv
import gzip
import io
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from lossodyssey.ranking.rank import rank
from lossodyssey.report import Overlay, RunSummary, render, write
from lossodyssey.table import Row


class Reader(HTMLParser):
    """Collects tags, ids and visible text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.text: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href", "srcset", "data"):
                self.addresses.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="session")
def html(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def reader(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    return reader


def test_names_are_shown_as_text(html: str, reader: Reader) -> None:
    assert reader.tags["script"] == 1
    assert reader.tags["b"] == html.count("<b>") and "data <b>&" not in html
    text = "".join(reader.text)
    assert "<script>alert('loss')</script> & $x_1$" in text
    assert "loss is NaN at step 7 <i>" in text
    assert "best <case>" in text


def test_nothing_points_outside(html: str, reader: Reader) -> None:
    assert all(address.startswith(("data:", "#")) for address in reader.addresses)
    assert not re.search(r"(?:https?:)?//[a-z]", re.sub(r"data:[^\"]*", "", html))
    assert "@import" not in html


def test_ids_are_unique_and_every_reference_has_one(html: str, reader: Reader) -> None:
    assert max(Counter(reader.ids).values()) == 1
    wanted = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', html))
    assert {first or second for first, second in wanted} <= set(reader.ids)


def test_every_figure_has_a_title_a_caption_and_numbers(reader: Reader, html: str) -> None:
    assert reader.tags["svg"] >= 10
    assert html.count("Numbers&nbsp;(CSV)") == reader.tags["svg"]
    assert reader.tags["figcaption"] == reader.tags["figure"] == reader.tags["svg"] + 1


def test_the_downloads_are_the_data(html: str, rows: list[Row]) -> None:
    packed = re.search(r'download="cases\.csv" href="data:text/csv;base64,([^"]+)"', html)
    assert packed is not None
    lines = list(csv.reader(io.StringIO(base64.b64decode(packed[1]).decode())))
    assert len(lines) == len(rows) + 1
    assert lines[1] == rows[0].cells()


def test_long_tables_are_compressed() -> None:
    link = str(render.csv_uri([("column",), *(("x" * 50,) for _ in range(10_000))], "Long table"))
    packed = re.fullmatch(r'download="long-table\.csv\.gz" href="data:application/gzip;base64,(.*)"', link)
    assert packed is not None
    assert len(gzip.decompress(base64.b64decode(packed[1]))) == 10_000 * 51 + 7


def test_figures_are_written_with_their_numbers(page: Path, reader: Reader) -> None:
    folder = page.with_name("figures")
    kinds = Counter(path.suffix for path in folder.iterdir())
    assert kinds[".svg"] == kinds[".png"] == kinds[".csv"] == reader.tags["svg"]
    first = sorted(folder.glob("*.png"))[0]
    assert first.read_bytes().startswith(b"\x89PNG")


def test_the_page_repeats_byte_for_byte(tmp_path: Path, rows: list[Row]) -> None:
    pages = [tmp_path / "a.html", tmp_path / "b.html"]
    for path in pages:
        write([row for row in rows if row.metric == "DSC"], path, draws=20)
    assert pages[0].read_bytes() == pages[1].read_bytes()


def test_a_refusal_is_the_headline(tmp_path: Path, rows: list[Row]) -> None:
    few = [row for row in rows if row.case in ("case 1", "case 2")]
    answer = write(few, tmp_path / "few.html", draws=10)
    text = (tmp_path / "few.html").read_text(encoding="utf-8")
    assert answer.choice is None
    assert "Only 2 cases were scored" in text and "do not support a recommendation" in text


def test_nothing_is_written_for_a_table_that_cannot_be_ranked(tmp_path: Path, rows: list[Row]) -> None:
    with pytest.raises(ValueError, match="one loss only"):
        write([row for row in rows if row.loss == rows[0].loss], tmp_path / "none.html")
    assert list(tmp_path.iterdir()) == []


def test_costs_and_failures_are_shown(reader: Reader, runs: list[RunSummary]) -> None:
    text = " ".join(" ".join(reader.text).split())
    assert "0 of 1" in text and "1 of 1" in text
    assert "61.0 s" in text and "256 MiB" in text
    assert runs[0].command in text and "make it" in text


@pytest.mark.parametrize(
    "seconds, text", [(float("nan"), "–"), (12.34, "12.3 s"), (600.0, "10.0 min"), (7200.0, "2.0 h")]
)
def test_durations_take_the_unit_that_suits(seconds: float, text: str) -> None:
    assert render.duration(seconds) == text


HARD = [
    "back\\slash",
    r"\g<0> \1",
    "$x^{ 50 %",
    "<b>&amp;",
    "a\nline",
    "n" * 80,
    "../../up/{{ 7 * 7 }}",
    "<script>alert(2)</script>",
]


@pytest.mark.parametrize("name", HARD)
def test_any_name_of_a_data_set_class_metric_or_group_is_text(name: str, rows: list[Row], tmp_path: Path) -> None:
    hard = [
        replace(row, dataset=f"d{name}", class_name=f"{row.class_name}{name}", group=f"g{row.case}{name}")
        for row in rows
    ]
    hard = [replace(row, metric=f"m{name}") if row.metric == "HD95" else row for row in hard]
    ranking = rank(hard, higher_is_better={f"m{name}": False})
    square = np.eye(8, dtype=np.int64)
    picture = Overlay(f"worst case: g{name}", square + 0.1, square, square)
    write(hard, tmp_path / "page.html", ranking=ranking, overlays=[picture], figures=tmp_path / "figures", draws=5)
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    found = Reader()
    found.feed(html)
    assert found.tags["script"] == 1 and "<b>&amp;" not in html
    shown = " ".join("".join(found.text).split())
    assert " ".join(f"worst case: g{name}".split()) in shown
    assert " ".join(f"m{name}, d{name}".split()) in shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures", "page.html"]
    assert all(path.is_file() for path in (tmp_path / "figures").iterdir())


def test_the_recommended_loss_is_set_as_code_wherever_it_is_named() -> None:
    found = render.mark("still falling for DiceCE() and Dice(): use Dice(). <b>", "Dice()")
    assert found == "still falling for DiceCE() and <code>Dice()</code>: use <code>Dice()</code>. &lt;b&gt;"
    assert render.mark("FocalDice() leads", "Dice()") == "FocalDice() leads"
    assert render.mark("use <a>", "<a>") == "use <code>&lt;a&gt;</code>"


def test_a_page_of_models_never_speaks_of_losses(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = [
        Row(name, "hearts", 0, seed, f"c{case}", "LV", metric, float(np.clip(base + rng.normal(0, 0.02), 0, 1)))
        for name, base in (("UNet", 0.80), ("SwinUNETR", 0.83), ("nnU-Net", 0.84))
        for seed in range(2)
        for case in range(12)
        for metric in ("DSC", "NSD")
    ]
    file = tmp_path / "page.html"
    write(table, file, draws=50, what="model", title="Which model segments hearts?", references=["Isensee (2021) <i>"])
    read = Reader()
    read.feed(re.sub(r"<(script|style)\b.*?</\1>", "", file.read_text(encoding="utf-8"), flags=re.DOTALL))
    text = "".join(read.text).replace("LossOdyssey", "")
    assert not re.findall(r".{30}\bloss(?:es)?\b.{30}", text, re.IGNORECASE | re.DOTALL)
    assert "Which model segments hearts?" in text and "Isensee (2021) <i>" in text
    assert "In short: in mean DSC" in text and "We compared 3 models: UNet, SwinUNETR and nnU-Net" in text
    assert "DSC ↑" in text
