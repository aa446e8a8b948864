"""Reads built pages: where their links lead, and the places in them that a link can name."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The anchors and the targets of one page: links, pictures, scripts and style sheets."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.targets: set[str] = set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name"):
                self.anchors.add(value or "")
            elif name in ("href", "xlink:href", "src"):
                self.targets.add(value or "")


def dead(site: Path) -> list[str]:
    """Return every target within the site that is not there, with the page that names it."""
    pages = {file: Page(file) for file in site.rglob("*.html")}
    return [
        f"{file.relative_to(site)}: {target}"
        for file, page in sorted(pages.items())
        for target in sorted(page.targets)
        if not reached(site, file, target, pages)
    ]


def reached(site: Path, file: Path, target: str, pages: dict[Path, Page]) -> bool:
    """Return whether a target is there, as a file and as a place in it; other machines are not asked."""
    address = urlsplit(target)
    if address.scheme or address.netloc:
        return True
    path = unquote(address.path)
    # The page of an error begins its links with a slash, because it is shown at any address.
    found = (site / path[1:] if path.startswith("/") else file.parent / path).resolve() if path else file
    anchor = unquote(address.fragment)
    return found.is_file() and (not anchor or found not in pages or anchor in pages[found].anchors)
