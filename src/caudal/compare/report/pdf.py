"""The report as PDF, set by Typst."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from caudal.compare.report.blocks import Block, DataTable, Findings, Heading, Legend, Paragraph, Plot, Report, Screenshot
from caudal.compare.report.style import PAPER_HUES, PAPER_STYLE
from caudal.extras import require
from caudal.report.markup import FOLDER
from caudal.secret import redact

_WIDTH = 700.0
"""Units of a plot that has none of its own: a sheet's width."""


def report_pdf(report: Report) -> bytes:
    """Return the PDF; the same report gives the same bytes.

    Raises
    ------
    EnvironmentProblem : the library that sets it is not installed
    """
    typst = require("typst", extra="pdf", for_="The report of caudal compare as PDF")
    with tempfile.TemporaryDirectory(prefix="caudal-report-") as name:
        folder = Path(name)  # Typst reads pictures from files
        content = {
            "language": report.language, "title": redact(report.title), "about": redact(report.about),
            "sections": [
                {"title": part.title, "blocks": [_block(block, folder, f"{part.name}-{number}") for number, block in enumerate(part.blocks)]}
                for part in report.sections
            ],
        }  # fmt: skip
        (folder / "content.json").write_text(json.dumps(content))
        (folder / "main.typ").write_bytes((FOLDER / "comparison.typ").read_bytes())
        made: bytes = typst.compile(str(folder / "main.typ"), root=str(folder), format="pdf", timestamp=int(report.at))
        return made


def _block(block: Block, folder: Path, name: str) -> Mapping[str, object]:
    if isinstance(block, Heading):
        return {"kind": "heading", "text": redact(block.text)}
    if isinstance(block, Paragraph):
        return {"kind": "paragraph", "text": redact(block.text), "soft": block.soft}
    if isinstance(block, Findings):
        return {"kind": "findings", "rows": [[key, word, redact(text)] for key, word, text in block.rows]}
    if isinstance(block, DataTable):
        rows = [[redact(cell) for cell in row] for row in block.rows]
        return {"kind": "table", "columns": list(block.columns), "rows": rows, "right": sorted(block.right), "folded": block.folded}
    if isinstance(block, Plot):
        (folder / f"{name}.svg").write_text(_svg(block))
        return {
            "kind": "picture",
            "file": f"{name}.svg",
            "caption": block.caption,
            "width": min((block.width or _WIDTH) / _WIDTH, 1.0),
            "label": redact(block.label),
        }
    if isinstance(block, Legend):
        return {"kind": "legend", "entries": [[PAPER_HUES[hue % len(PAPER_HUES)], redact(text)] for hue, text in block.entries]}
    return _screenshot(block, folder, name)


def _screenshot(block: Screenshot, folder: Path, name: str) -> Mapping[str, object]:
    (folder / f"{name}.png").write_bytes(block.png)
    return {"kind": "screenshot", "file": f"{name}.png", "caption": block.title, "label": block.title}


def _svg(plot: Plot) -> str:
    width = plot.width or _WIDTH
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="-2 -2 {width + 4:g} {plot.height + 6:g}" width="{width + 4:g}" height="{plot.height + 6:g}" '
        f'font-family="DejaVu Sans"><style>{PAPER_STYLE}</style><svg width="{width:g}" height="{plot.height:g}" viewBox="0 0 {width:g} {plot.height:g}" overflow="visible">{plot.inner}</svg></svg>'
    )
