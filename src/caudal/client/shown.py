"""How objects of a home are shown in a notebook."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from caudal.ledger.rows import RunRow


def page_part(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a heading and a table as HTML; every text is escaped, and columns of texts begin at the left, where notebooks would end them at the right.

    Examples
    --------
    >>> page_part("a<b", ["x"], [[1]])
    '<div><strong>a&lt;b</strong><table><thead><tr><th>x</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table></div>'
    """
    left = [not all(_is_number(row[place]) for row in rows) for place in range(len(columns))]
    head = _cells("th", columns, left)
    body = "".join(f"<tr>{_cells('td', row, left)}</tr>" for row in rows)
    return f"<div><strong>{html.escape(title)}</strong><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _cells(tag: str, values: Sequence[object], left: Sequence[bool]) -> str:
    styles = (' style="text-align:left"' if is_left else "" for is_left in left)
    return "".join(f"<{tag}{style}>{html.escape(_text(value))}</{tag}>" for value, style in zip(values, styles, strict=True))


def _text(value: object) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _is_number(value: object) -> bool:
    """Return whether a cell shows a number, a share or nothing."""
    return value is None or isinstance(value, int | float) or re.fullmatch(r"-?[\d.,]*\s?%?", str(value)) is not None


def lines_part(title: str, lines: Sequence[str]) -> str:
    """Return a heading and a list of lines as HTML; every text is escaped.

    Examples
    --------
    >>> lines_part("Problems", ["a<b"])
    '<div><strong>Problems</strong><ul><li>a&lt;b</li></ul></div>'
    """
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return f"<div><strong>{html.escape(title)}</strong><ul>{items}</ul></div>"


def runs_frame(rows: Sequence[RunRow]) -> pd.DataFrame:
    """Return runs as a frame."""
    import pandas as pd

    frame = pd.DataFrame(
        [
            (
                row["run_id"],
                row["command"],
                row["state"],
                row["started_at"],
                (row["finished_at"] or float("nan")) - row["started_at"],
            )
            for row in rows
        ],
        columns=["run_id", "command", "state", "started_at", "took_s"],
    )
    return frame.assign(started_at=pd.to_datetime(frame["started_at"], unit="s", utc=True))
