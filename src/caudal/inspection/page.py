"""An inspection as HTML: a page of one file, or a part of a notebook."""

from __future__ import annotations

import time
from html import escape
from typing import Any, Mapping

from caudal.inspection.shown import table_columns, table_texts

_FOLDED_ROWS = 12
# What the page has beyond the style of caudal's pages; a notebook has these alone.
STYLE = """
.inspected table{width:100%}.inspected td{text-align:left;vertical-align:top}.inspected td.label{width:24%;min-width:150px}
.inspected .how{font-size:13px;opacity:.75;overflow-wrap:anywhere}.inspected td.how{width:36%}.inspected td.value{overflow-wrap:anywhere}
.inspected .missing{font-style:italic;opacity:.75}.inspected table.inner{width:auto;margin:2px 0}
.inspected table.inner td,.inspected table.inner th{font-size:13px;padding:2px 16px 2px 0;text-align:left;overflow-wrap:anywhere}.inspected table.inner td:not(:last-child){min-width:34px}
.inspected table.inner .right{text-align:right;white-space:nowrap}.inspected .scroll{overflow-x:auto;margin:0;padding:0}
@media (max-width:600px){.inspected td.how,.inspected td.value,.inspected td.label{width:100%}.inspected td.label{font-weight:600}.inspected table.inner td{flex:0 1 auto}}
"""


def inspection_page(document: Mapping[str, Any], css: str = "") -> str:
    """Return the whole page, which needs no other file.

    Parameters
    ----------
    css : the style of caudal's pages
    """
    facts = [fact for section in document["sections"] for fact in section["facts"]]
    missing = sum(not fact["found"] for fact in facts)
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(document["at"]))
    head = {
        "Inspected": when, "Took": f"{document['took_s']:.1f} s", "Found": str(len(facts) - missing), "Not found, with the reason": str(missing),
    }  # fmt: skip
    nav = "".join(f'<a href="#{escape(section["name"])}">{escape(section["title"])}</a>' for section in document["sections"])
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>Inspection of {escape(document["host"])}</title>\n<style>{css}{STYLE}</style>\n</head>\n<body>\n'
        f'<header class="top"><h1>Inspection of {escape(document["host"])}</h1><dl class="facts">'
        + "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in head.items())
        + f'</dl><nav>{nav}</nav></header>\n<main class="inspected">{inspection_sections(document)}</main>\n'
        "<footer>Each line says how it was found out. Secrets are masked.</footer>\n</body>\n</html>\n"
    )


def notebook_part(document: Mapping[str, Any]) -> str:
    """Return the inspection as a part of a notebook's page."""
    return f'<style>{STYLE}</style><div class="inspected"><strong>Inspection of {escape(document["host"])}</strong>{inspection_sections(document)}</div>'


def inspection_sections(document: Mapping[str, Any]) -> str:
    """Return the sections, each a table of facts."""
    return "\n".join(
        f'<section id="{escape(section["name"])}"><h2>{escape(section["title"])}</h2><table><tbody>{"".join(map(_row, section["facts"]))}</tbody></table></section>'
        for section in document["sections"]
    )


def _row(fact: Mapping[str, Any]) -> str:
    label = f'<td class="label">{escape(fact["label"])}</td>'
    if not fact["found"]:
        return f'<tr>{label}<td class="value missing">not found</td><td class="how">{escape(fact["why_not"])}</td></tr>'
    if fact["text"] is None and isinstance(fact["value"][0], Mapping):  # a table takes the whole width
        return f'<tr>{label}<td class="value" colspan="2"><div class="how">{escape(fact["how"])}</div>{_table(fact)}</td></tr>'
    value = escape(fact["text"]) if fact["text"] is not None else _table(fact)
    return f'<tr>{label}<td class="value">{value}</td><td class="how">{escape(fact["how"])}</td></tr>'


def _table(fact: Mapping[str, Any]) -> str:
    columns, rows = table_texts(fact)
    if columns == [""]:
        inner = escape(", ".join(row[0] for row in rows))
    else:
        right = [
            all(isinstance(row.get(name), (int, float, type(None))) for row in fact["value"])
            for name in table_columns(fact["value"])
        ]
        head = "".join(f"<th{_right(at)}>{escape(column)}</th>" for column, at in zip(columns, right))
        body = "".join(
            "<tr>"
            + "".join(
                f'<td{_right(at)} data-label="{escape(column)}">{escape(cell)}</td>'
                for column, cell, at in zip(columns, row, right)
            )
            + "</tr>"
            for row in rows
        )
        inner = f'<div class="scroll"><table class="inner"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    return inner if len(rows) <= _FOLDED_ROWS else f"<details><summary>{len(rows)}</summary>{inner}</details>"


def _right(right: bool) -> str:
    return ' class="right"' if right else ""
