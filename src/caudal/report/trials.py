"""What was seen of two versions in a trial, as lines for the terminal and for the card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypedDict

from caudal.registry.seen import SeenDocument
from caudal.report.figures import duration, number_text

WORDS = {"champion": "in production", "shadow": "in shadow", "canary": "as a canary"}


class SeenLine(TypedDict):
    """A figure of each version."""

    name: str
    values: list[str]


def seen_lines(seen: Sequence[SeenDocument], unit: str | None = None) -> list[SeenLine]:
    """Return the figures of versions in a trial, one line each; figures that no version has are left out.

    Parameters
    ----------
    unit : of the predictions
    """
    in_unit = f", {unit}" if unit else ""
    lines: list[tuple[str, Callable[[SeenDocument], str | None]]] = [
        ("rows", lambda each: f"{each['rows']:,}"),
        ("errors", lambda each: f"{each['errors']:,}"),
        (f"mean prediction{in_unit}", lambda each: _number(each["mean"])),
        *((f"share of {label}", _share_of(label)) for label in sorted({label for each in seen for label in each["classes"] or ()})),
        ("half of the rows take", lambda each: _seconds(each["p50_s"])),
        ("95 % of the rows take", lambda each: _seconds(each["p95_s"])),
        ("rows compared", lambda each: None if each["compared"] is None else f"{each['compared']:,}"),
        ("same prediction", lambda each: None if each["equal_share"] is None else f"{each['equal_share']:.1%}"),
        (f"mean difference{in_unit}", lambda each: _number(each["difference"])),
        ("rows left out, as too many waited", lambda each: None if each["dropped"] is None else f"{each['dropped']:,}"),
    ]
    texts = [(name, [text(each) for each in seen]) for name, text in lines]
    return [{"name": name, "values": [value or "" for value in values]} for name, values in texts if any(values)]


def _number(value: float | None) -> str | None:
    return None if value is None else number_text(value)


def _seconds(value: float | None) -> str | None:
    """Return a short time with its unit.

    Examples
    --------
    >>> _seconds(0.0000871), _seconds(0.0042), _seconds(2.5)
    ('87.1 µs', '4.2 ms', '2.5 s')
    """
    if value is None:
        return None
    if value >= 1:
        return duration(value)
    return f"{value * 1000:.3g} ms" if value >= 0.001 else f"{value * 1e6:.3g} µs"


def _share_of(label: str) -> Callable[[SeenDocument], str | None]:
    return lambda each: f"{(each['classes'] or {}).get(label, 0.0):.1%}" if each["rows"] else None
