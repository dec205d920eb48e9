"""The parts of a Markdown file that can be tried out: fenced blocks, links, headings and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    *sorted(path.name for path in ROOT.glob("*.md")),
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")),
    "deploy/README.md",
)

_FENCE = re.compile(r"```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_REASON = re.compile(r"<!-- (?:not tested|slow): (?P<reason>[^>]+) -->\s*\Z")
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. `tags` are the words after the language; `reason` is the remark before a block that has one."""

    page: str
    number: int
    language: str
    tags: tuple[str, ...]
    text: str
    reason: str | None

    @property
    def place(self) -> str:
        """Where it is, as a test's name says it."""
        return f"{self.page}, block {self.number}"


def text_of(page: str) -> str:
    """The text of a page, named by its path in the repository."""
    return (ROOT / page).read_text("utf-8")


def blocks_of(page: str, *languages: str) -> list[Block]:
    """The fenced blocks of a page in their order, only those in `languages` if any are given."""
    text = text_of(page)
    found = []
    for number, match in enumerate(_FENCE.finditer(text), start=1):
        language, *tags = match["info"].split() or [""]
        remark = _REASON.search(text[: match.start()])
        reason = remark["reason"] if remark else None
        found.append(Block(page, number, language, tuple(tags), match["text"], reason))
    return [block for block in found if not languages or block.language in languages]


def prose_of(page: str) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", text_of(page))


def links_of(page: str) -> list[str]:
    """The targets of the links of a page."""
    return [match["target"] for match in _LINK.finditer(prose_of(page))]


def anchors_of(page: str) -> set[str]:
    """The anchors that the headings of a page have."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def section_of(page: str, heading: str) -> str:
    """The text below a heading, up to the next one of the same or a higher level, blocks included."""
    match = re.search(rf"^(#+) {re.escape(heading)}$", text_of(page), re.MULTILINE)
    assert match, f"{page} has no heading {heading!r}"
    rest = text_of(page)[match.end() :]
    following = re.search(
        rf"^#{{1,{len(match[1])}}} ", _FENCE.sub(lambda fence: " " * len(fence[0]), rest), re.MULTILINE
    )
    return rest[: following.start()] if following else rest


def rows_of(text: str) -> Iterator[tuple[str, ...]]:
    """The rows of every table in `text`, headings and rules included, cells stripped."""
    for line in text.splitlines():
        if line.startswith("|"):
            yield tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|")))
