"""The document of ``caudal inspect`` as PDF, set by Typst."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from caudal.extras import require
from caudal.inspection.shown import table_texts
from caudal.report.figures import time_text
from caudal.report.markup import FOLDER

_MOST_BESIDE = 6  # a longer list stands below its label

if TYPE_CHECKING:
    from caudal.report.documents.inspection import InspectDocument, InspectedFactDocument


def inspection_pdf(document: InspectDocument) -> bytes:
    """Return the PDF; the same document gives the same bytes.

    Raises
    ------
    EnvironmentProblem : the library that sets it is not installed
    """
    typst = require("typst", extra="pdf", for_="caudal inspect --pdf")
    facts = [fact for section in document["sections"] for fact in section["facts"]]
    known = sum(fact["found"] for fact in facts)
    content = {
        "title": f"Inspection of {document['host']}",
        "about": f"{time_text(document['at'])}, in {document['took_s']:.1f} s. {known} facts were found, {len(facts) - known} were not.",
        "sections": [
            {"title": section["title"], "facts": [_fact(fact) for fact in section["facts"]]} for section in document["sections"]
        ],
    }
    template = (FOLDER / "inspection.typ").read_bytes()
    made: bytes = typst.compile(template, format="pdf", sys_inputs={"content": json.dumps(content)}, timestamp=int(document["at"]))
    return made


def _fact(fact: InspectedFactDocument) -> dict[str, object]:
    label, how = fact["label"], fact["how"] if fact["found"] else fact["why_not"]
    if not fact["found"] or fact["text"] is not None:
        return {"label": label, "text": fact["text"], "how": how, "columns": [], "rows": []}
    columns, rows = table_texts(fact)
    if columns == [""]:
        if len(rows) <= _MOST_BESIDE:
            return {"label": label, "text": ", ".join(row[0] for row in rows), "how": how, "columns": [], "rows": []}
        return {"label": label, "text": None, "how": how, "columns": [], "rows": [row[0] for row in rows]}
    return {"label": label, "text": None, "how": how, "columns": columns, "rows": rows}
