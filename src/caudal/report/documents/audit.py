"""Documents of ``caudal audit``: figures of groups of a model version's test rows."""

from __future__ import annotations

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12


class FigureDocument(TypedDict):
    """A number with the ends of its interval."""

    value: float | None
    low: float | None
    high: float | None


class ComparedFigure(FigureDocument):
    """A group's figure, its difference from the reference group's and its ratio to it; ``differs`` says that the difference's interval leaves out 0."""

    reference: bool
    differs: bool
    difference: FigureDocument | None
    ratio: FigureDocument | None


class GroupDocument(TypedDict):
    """A group: its values by column, its test rows, whether these are too few to be compared, and its figures by metric."""

    group: dict[str, str]
    rows: int
    small: bool
    figures: dict[str, ComparedFigure]


class BetweenDocument(FigureDocument):
    """A greatest difference or smallest ratio between groups, and the groups with the least and the greatest figure."""

    lowest: str | None
    highest: str | None


class GroupingDocument(TypedDict):
    """The groups by some columns, and what lies between them."""

    by: list[str]
    groups: list[GroupDocument]
    between: dict[str, BetweenDocument]


class AuditedCandidate(TypedDict):
    """The figures of a candidate: of all test rows, and by group."""

    candidate: str
    chosen: bool
    rows: int
    interval: str
    overall: dict[str, FigureDocument]
    groupings: list[GroupingDocument]
    notes: list[str]


class AuditDocument(TypedDict):
    """The audit of a model version; candidates in the order of training."""

    product: str
    model: str
    version: int
    positive: str | None
    min_rows: int
    candidates: list[AuditedCandidate]


class GuideDocument(TypedDict):
    """The metric that fits the use of a prediction, the reason, and the line that declares it."""

    metric: str
    title: str
    why: str
    line: str
    answers: dict[str, str]
