"""The report as HTML of one file, which needs no other."""

from __future__ import annotations

import base64
from html import escape
from itertools import groupby

from caudal.compare.report.blocks import (
    Block,
    ConclusionRows,
    DataTable,
    Heading,
    Legend,
    Paragraph,
    Plot,
    Report,
    ReportPart,
    Screenshot,
    shown_text,
)
from caudal.compare.report.style import PAGE_STYLE
from caudal.report.markup import FOLDER


def report_page(report: Report) -> str:
    """Return the page."""
    nav = "".join(f'<a href="#{part.name}">{escape(part.title)}</a>' for part in report.sections)
    css = (FOLDER / "run.css").read_text()
    return (
        f'<!DOCTYPE html>\n<html lang="{report.language}">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>{_text(report.title)}</title>\n<style>{css}{PAGE_STYLE}</style>\n</head>\n<body>\n'
        f'<header class="top"><h1>{_text(report.title)}</h1><p class="soft">{_text(report.about)}</p><nav>{nav}</nav></header>\n'
        f'<main class="compared">{"".join(map(_section, report.sections))}</main>\n</body>\n</html>\n'
    )


def _section(part: ReportPart) -> str:
    body = ""
    # Plots of measures stand beside one another where there is room.
    for beside, blocks in groupby(part.blocks, lambda block: isinstance(block, Plot) and block.width is None):
        drawn = [_block(block) for block in blocks]
        body += f'<div class="plots">{"".join(drawn)}</div>' if beside and len(drawn) > 1 else "".join(drawn)
    return f'<section id="{part.name}"><h2>{_text(part.title)}</h2>{body}</section>\n'


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h3>{_text(block.text)}</h3>"
    if isinstance(block, Paragraph):
        mark = ' class="soft"' if block.soft else ""
        return f"<p{mark}>{_text(block.text)}</p>"
    if isinstance(block, ConclusionRows):
        rows = "".join(
            f'<li><span class="sure {escape(key)}">{_text(word)}</span><span>{_text(text)}</span></li>'
            for key, word, text in block.rows
        )
        return f'<ul class="findings">{rows}</ul>'
    if isinstance(block, DataTable):
        return _table(block)
    if isinstance(block, Plot):
        return _plot(block)
    if isinstance(block, Legend):
        entries = "".join(f'<span><i style="background:var(--h{hue % 8})"></i>{_text(text)}</span>' for hue, text in block.entries)
        return f'<div class="legend">{entries}</div>'
    return _screenshot(block)


def _table(table: DataTable) -> str:
    marks = [' class="n"' if number in table.right else "" for number in range(len(table.columns))]
    head = "".join(f"<th{mark}>{_text(column)}</th>" for column, mark in zip(table.columns, marks, strict=True))
    rows = "".join(
        "<tr>"
        + "".join(
            f'<td{mark} data-label="{_text(column)}">{_text(cell)}</td>'
            for column, mark, cell in zip(table.columns, marks, row, strict=True)
        )
        + "</tr>"
        for row in table.rows
    )
    inner = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    return inner if table.folded is None else f"<details><summary>{_text(table.folded)}</summary>{inner}</details>"


def _plot(plot: Plot) -> str:
    caption = f"<figcaption>{_text(plot.caption)}</figcaption>" if plot.caption else ""
    label = _text(plot.label)
    if plot.width is None:
        return f'<figure>{caption}<svg class="plot" width="100%" height="{plot.height:g}" role="img" aria-label="{label}">{plot.inner}</svg></figure>'
    return (
        f'<figure class="drawing">{caption}<svg class="plot" viewBox="0 0 {plot.width:g} {plot.height:g}" width="{plot.width:g}" height="{plot.height:g}" '
        f'role="img" aria-label="{label}">{plot.inner}</svg></figure>'
    )


def _screenshot(picture: Screenshot) -> str:
    data = base64.b64encode(picture.png).decode()
    return f'<figure><figcaption>{_text(picture.title)}</figcaption><img alt="{_text(picture.title)}" loading="lazy" src="data:image/png;base64,{data}"></figure>'


def _text(text: str) -> str:
    return escape(shown_text(text))
