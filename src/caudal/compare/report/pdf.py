"""The report as PDF, set by Typst."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

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
from caudal.compare.report.style import PAPER_HUES, PAPER_STYLE
from caudal.extras import require
from caudal.report.markup import FOLDER

_WIDTH = 700.0
"""Units of a plot that has none of its own: a sheet's width."""
_DRAWN = 860.0
"""Units of a drawing that fill the sheet's width: its letters are then as large as those of a plot's axis."""
_TALLEST = 0.72
"""Height of a picture as a share of the sheet's width, at most."""


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
            "language": report.language, "title": shown_text(report.title), "about": shown_text(report.about),
            "sections": [
                {"title": part.title, "blocks": _blocks(part, folder)}
                for part in report.sections
            ],
        }  # fmt: skip
        (folder / "content.json").write_text(json.dumps(content))
        (folder / "main.typ").write_bytes((FOLDER / "comparison.typ").read_bytes())
        pdf: bytes = typst.compile(str(folder / "main.typ"), root=str(folder), format="pdf", timestamp=int(report.at))
        return pdf


def _blocks(part: ReportPart, folder: Path) -> list[Mapping[str, object]]:
    """Return the blocks of a section; plots that follow one another stand two in a row."""
    shown: list[Mapping[str, object]] = []
    for beside, blocks in groupby(enumerate(part.blocks), lambda each: _is_narrow(each[1])):
        numbered = list(blocks)
        sheet = _WIDTH * 0.48 if beside and len(numbered) > 1 else _WIDTH
        items = [_block(block, folder, f"{part.name}-{number}", sheet) for number, block in numbered]
        shown += [{"kind": "plots", "items": items}] if sheet < _WIDTH else items
    return shown


def _is_narrow(block: Block) -> bool:
    return isinstance(block, Plot) and block.width is None and block.caption is not None


def _block(block: Block, folder: Path, name: str, sheet: float) -> Mapping[str, object]:
    if isinstance(block, Heading):
        return {"kind": "heading", "text": shown_text(block.text)}
    if isinstance(block, Paragraph):
        return {"kind": "paragraph", "text": shown_text(block.text), "soft": block.soft}
    if isinstance(block, ConclusionRows):
        return {"kind": "findings", "rows": [[key, word, shown_text(text)] for key, word, text in block.rows]}
    if isinstance(block, DataTable):
        rows = [[shown_text(cell) for cell in row] for row in block.rows]
        return {"kind": "table", "columns": list(block.columns), "rows": rows, "right": sorted(block.right), "folded": block.folded}
    if isinstance(block, Plot):
        (folder / f"{name}.svg").write_text(_svg(block, sheet))
        return {
            "kind": "picture",
            "file": f"{name}.svg",
            "caption": block.caption,
            "width": min(block.width / _DRAWN, 1.0) if block.width else 1.0,
            "label": shown_text(block.label),
        }
    if isinstance(block, Legend):
        return {"kind": "legend", "entries": [[PAPER_HUES[hue % len(PAPER_HUES)], shown_text(text)] for hue, text in block.entries]}
    return _screenshot(block, folder, name)


def _screenshot(block: Screenshot, folder: Path, name: str) -> Mapping[str, object]:
    (folder / f"{name}.png").write_bytes(block.png)
    across, down = (int.from_bytes(block.png[at : at + 4], "big") for at in (16, 20))  # of PNG's first chunk
    width = min(1.0, _TALLEST * across / max(down, 1))
    return {"kind": "screenshot", "file": f"{name}.png", "caption": block.title, "label": block.title, "width": width}


def _svg(plot: Plot, sheet: float) -> str:
    width = plot.width or sheet
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="-2 -2 {width + 4:g} {plot.height + 6:g}" width="{width + 4:g}" height="{plot.height + 6:g}" '
        f'font-family="DejaVu Sans"><style>{PAPER_STYLE}</style><svg width="{width:g}" height="{plot.height:g}" viewBox="0 0 {width:g} {plot.height:g}" overflow="visible">{plot.inner}</svg></svg>'
    )
