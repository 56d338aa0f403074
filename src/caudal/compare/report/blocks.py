"""What a report is made of, before it is a page or a PDF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from caudal.inspection.masking import mask_text
from caudal.secret import redact


@dataclass(frozen=True)
class Heading:
    """The title of a part of a section."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    """A sentence or some; ``soft`` for what explains the rest."""

    text: str
    soft: bool = False


@dataclass(frozen=True)
class ConclusionRows:
    """Conclusions: how sure, in a word of the language and as its key, and the sentence."""

    rows: Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class DataTable:
    """A table of texts.

    Parameters
    ----------
    right : numbers of the columns that hold figures
    folded : whether a page shows it only when asked to
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: frozenset[int] = frozenset()
    folded: str | None = None


@dataclass(frozen=True)
class Plot:
    """A drawing as the inside of an SVG element.

    Parameters
    ----------
    width : in units; None for one whose horizontal places are percentages, so that it fits any screen
    label : what it shows, for those who do not see it
    """

    inner: str
    height: float
    label: str
    width: float | None = None
    caption: str | None = None


@dataclass(frozen=True)
class Legend:
    """Colours and what they stand for: number of the colour, text."""

    entries: Sequence[tuple[int, str]]


@dataclass(frozen=True)
class Screenshot:
    """A picture of a page as PNG."""

    title: str
    png: bytes


Block = Heading | Paragraph | ConclusionRows | DataTable | Plot | Legend | Screenshot


@dataclass(frozen=True)
class ReportPart:
    """A section of the report."""

    name: str
    title: str
    blocks: list[Block] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    """The whole report in one language."""

    language: str
    title: str
    about: str
    at: float
    sections: Sequence[ReportPart]


def shown_text(text: str) -> str:
    """Return a text of the document without secrets: neither declared ones nor passwords in addresses."""
    return mask_text(redact(text))
