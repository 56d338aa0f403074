"""Numbers, sizes, times and ages as text for people; page and terminal share this format."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caudal.ledger.rows import HoldoutDocument
    from caudal.report.run_document import CandidateDocument

NONE = "–"


def count_text(number: int | None) -> str:
    """Return a count with thousands separators.

    Examples
    --------
    >>> count_text(66802), count_text(None)
    ('66,802', '–')
    """
    return NONE if number is None else f"{number:,}"


def plural(number: int, singular: str, plural_form: str | None = None) -> str:
    """Return a count with its noun.

    Examples
    --------
    >>> plural(1, "file"), plural(2100, "row"), plural(2, "entry", "entries")
    ('1 file', '2,100 rows', '2 entries')
    """
    return f"{number:,} {singular if number == 1 else plural_form or singular + 's'}"


def size(number: int | None) -> str:
    """Return a number of bytes in decimal units.

    Examples
    --------
    >>> size(512), size(12_322), size(3_100_000), size(999_999)
    ('512 B', '12.3 kB', '3.1 MB', '1.0 MB')
    """
    if number is None:
        return NONE
    value, unit = float(number), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.95:
            break
        value, unit = value / 1000, larger
    return f"{number} B" if unit == "B" else f"{value:.1f} {unit}"


def duration(seconds: float | None) -> str:
    """Return a length of time.

    Examples
    --------
    >>> duration(0.012), duration(3.21), duration(75), duration(7380), duration(0)
    ('12 ms', '3.2 s', '1 min 15 s', '2 h 3 min', '0 s')
    """
    if seconds is None:
        return NONE
    if seconds < 0.0005:
        return "0 s"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def age(seconds: float | None) -> str:
    """Return how long ago something was.

    Examples
    --------
    >>> age(20), age(3600), age(200_000), age(None)
    ('just now', '1 hour ago', '2 days ago', 'never')
    """
    if seconds is None:
        return "never"
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            return f"{plural(int(seconds // length), unit)} ago"
    return "just now"


def time_text(at: float | None) -> str:
    """Return a time given as seconds since 1970, in UTC.

    Examples
    --------
    >>> time_text(0)
    '1970-01-01 00:00:00 UTC'
    """
    return NONE if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def share_text(part: int | None, whole: int | None) -> str:
    """Return a part of a whole in per cent; a tiny part is shown as less than 0.01 %, not as nothing.

    Examples
    --------
    >>> share_text(12, 1000), share_text(1, 1_000_000), share_text(0, 10), share_text(1, 0)
    ('1.2 %', '< 0.01 %', '0 %', '–')
    """
    if part is None or not whole:
        return NONE
    per_cent = 100 * part / whole
    if part == 0:
        return "0 %"
    if per_cent < 0.01:
        return "< 0.01 %"
    return f"{per_cent:.2f} %" if per_cent < 1 else f"{per_cent:.1f} %"


def score_text(mean: float | None, spread: float | None = None, places: int | None = None) -> str:
    """Return a score with as many decimal places as two digits of its spread need, or with ``places``.

    Examples
    --------
    >>> score_text(3.4217, 0.0831), score_text(1234.5, 56.7), score_text(0.12345678), score_text(None)
    ('3.422 ± 0.083', '1,234 ± 57', '0.1235', '–')
    """
    if mean is None or not math.isfinite(mean):
        return NONE
    if spread is None or not math.isfinite(spread):
        return number_text(mean) if places is None else f"{mean:,.{places}f}"
    if places is None:
        places = _places(spread, 2) if spread > 0 else _places(mean, 4)
    return f"{mean:,.{places}f} ± {spread:,.{places}f}"


def places_of(candidates: Sequence[CandidateDocument]) -> int | None:
    """Return the decimal places for the scores of a model's candidates: two digits of the chosen candidate's spread."""
    spreads = sorted(candidate["spread"] for candidate in candidates if candidate["spread"])
    chosen = [candidate["spread"] for candidate in candidates if candidate["chosen"] and candidate["spread"]]
    return _places((chosen or spreads)[0], 2) if spreads else None


def number_text(value: float) -> str:
    """Return a number with four significant digits; whole numbers in full.

    Examples
    --------
    >>> number_text(120098.4), number_text(0.000123456), number_text(3.0), number_text(-12.3456)
    ('120,098', '0.0001235', '3', '-12.35')
    """
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if not 1e-6 <= abs(value) < 1e15:
        return f"{value:.3e}"
    text = f"{value:,.{_places(value, 4)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def value(item: object) -> str:
    """Return any value of a JSON document in a few characters."""
    if item is None:
        return NONE
    if isinstance(item, bool):
        return "yes" if item else "no"
    if isinstance(item, int | float):
        return number_text(float(item)) if isinstance(item, float) else count_text(item)
    if isinstance(item, dict):
        return ", ".join(f"{name} {value(part)}" for name, part in item.items()) or NONE
    if isinstance(item, list | tuple):
        return ", ".join(value(part) for part in item) or NONE
    return str(item)


def _places(number: float, digits: int) -> int:
    """Return the decimal places that show a number with so many significant digits."""
    return max(digits - 1 - math.floor(math.log10(abs(number))), 0) if number else 0


def held_out_score(document: HoldoutDocument | None) -> str | None:
    """Return the score on held-out rows as a sentence; None where no rows were held out.

    Examples
    --------
    >>> held_out_score({"of": "the newest 7 days", "rows": 1200, "metric": "mae", "metrics": {"mae": 4.25}})
    'mae 4.25 on 1,200 rows held out: the newest 7 days.'
    """
    if not document:
        return None
    metric_value = document["metrics"].get(document["metric"])
    value_text = "no value" if metric_value is None else f"{metric_value:.4g}"
    return f"{document['metric']} {value_text} on {document['rows']:,} rows held out: {document['of']}."
