"""Service levels in words: what is promised, what was measured, and shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caudal.declarations.duration import text

if TYPE_CHECKING:
    from caudal.service_levels.assess import ObjectiveState

_MEASURED = {
    "fresh": "was fresh {level} of the last {over}",
    "p95": "was fast enough in {level} of its minutes in the last {over}",
    "available": "was available {level} of the last {over}",
    "complete": "was complete in {level} of its versions of the last {over}",
    "valid": "had {level} valid rows in the last {over}",
}


def promised(objective: str, limit: float, target: float) -> str:
    """Return what is promised, with the share of minutes or versions where that is another.

    Examples
    --------
    >>> promised("fresh", 7200, 0.99), promised("p95", 0.05, 0.99), promised("valid", 0.98, 0.98)
    ('2 hours, 99 %', '50 ms, 99 %', '98 %')
    """
    if objective in ("valid", "available"):
        return percent_text(limit)
    if objective == "complete":
        return f"{percent_text(limit)}, {percent_text(target)}"
    return f"{limit * 1000:g} ms, {percent_text(target)}" if limit < 1 else f"{text(limit)}, {percent_text(target)}"


def measured(subject: str, state: ObjectiveState, over_s: float) -> str:
    """Return in a sentence what was measured of an objective, beside what is promised."""
    level = percent_text(state.figures.level or 0.0)
    sentence = _MEASURED[state.objective].format(level=level, over=text(over_s))
    return f"'{subject}' {sentence}; its SLA promises {percent_text(state.target)}."


def percent_text(value: float) -> str:
    """Return a share in percent; near 100 % with as many digits as it takes to tell it from that.

    Examples
    --------
    >>> percent_text(0.98), percent_text(0.99873), percent_text(0.999996), percent_text(1.0), percent_text(-0.5)
    ('98 %', '99.87 %', '99.9996 %', '100 %', '-50 %')
    """
    for digits in (2, 3, 4, 5, 6):
        written = f"{value * 100:.{digits}f}".rstrip("0").rstrip(".")
        if value == 1 or written != "100":
            return f"{written} %"
    return "99.999999 %"
