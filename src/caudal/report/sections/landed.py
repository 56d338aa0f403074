"""The section on files that landed, and on those left for the next run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from caudal.graph.registered import steps_where
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import landed
from caudal.ledger.rows import StepRow
from caudal.report.document import files_of
from caudal.report.figures import plural, size
from caudal.report.run_document import LandedDocument, RunDocument
from caudal.report.section import RecordedRun, ReportedRun, ReportSection, TerminalPart

FILES_SHOWN = 100
_NOT_LANDED = {"waiting": "still being written", "link": "a link that is not followed"}


class Landed(ReportSection):
    """The files of each source."""

    name, order, terminal_order = "landed", 110, 10
    template = """\
<section id="files">
<h2>Landed files</h2>
<div class="scroll"><table>
<thead><tr><th>Source</th><th>File</th><th class="n">Size</th><th>SHA-256</th><th>State</th></tr></thead>
<tbody>{% for file in files %}<tr><td class="name mono" title="{{ file.source }}">{{ file.source }}</td><td class="mono long">{{ file.path }}</td><td class="n" data-label="Size">{{ file.bytes }}</td><td class="mono" data-label="SHA-256">{{ file.sha }}</td><td>{{ file.state }}</td></tr>{% endfor %}</tbody>
</table></div>
{% if more_files %}<p class="soft">and {{ more_files }} more.</p>{% endif %}
</section>
"""

    def document(self, record: RecordedRun) -> dict[str, LandedDocument]:
        """Return files, rows and bytes of each source."""
        return {row["name"]: _landed(record, row) for row in record.steps if row["kind"] in steps_where(section="landed")}

    def content(self, run: ReportedRun) -> Mapping[str, object] | None:
        """Return a line for each file."""
        content = landed_files(run.ledger, run.run["run_id"], run.steps)
        return content if content["files"] else None

    def links(self, content: Mapping[str, object]) -> Iterable[tuple[str, str]]:
        """Return the link to the files."""
        return [("files", "Files")]

    def terminal(self, document: RunDocument) -> Iterator[TerminalPart]:
        """Yield a line for each source that landed files or rows."""
        from caudal.report.terminal.console import grid, inset

        rows = grid("left", "right", "right", "right")
        for name, source in document["landed"].items():
            if source["files"] or source["rows"]:
                amounts = (plural(source["files"], "file"), size(source["bytes"])) if source["files"] else ("stream", "")
                rows.add_row(name, *amounts, plural(source["rows"], "row"))
        if rows.row_count:
            yield TerminalPart("Landed", [inset(rows)])


def _landed(record: RecordedRun, row: StepRow) -> LandedDocument:
    files = record.ledger.find(landed, run_id=row["run_id"], source=row["name"])
    read_step = record.step("read", row["name"])
    rows = row["rows_read"] or (read_step["rows_read"] if read_step else None) or 0  # a stream's rows are counted when they land
    return {"files": len(files), "rows": rows, "bytes": sum(file["bytes"] for file in files)}


def landed_files(ledger: Ledger, run_id: str, run_steps: Sequence[StepRow]) -> dict[str, object]:
    """Return the files that this run landed, then those that it left for the next."""
    files = [
        {
            "source": row["source"],
            "path": row["path"],
            "bytes": size(row["bytes"]),
            "sha": row["sha256"][:12],
            "state": "correction" if row["kind"] == "correction" else "landed",
        }
        for row in ledger.find(landed, run_id=run_id)
    ]
    files += [
        {
            "source": row["name"],
            "path": file["path"],
            "bytes": size(file.get("bytes")),
            "sha": "",
            "state": _NOT_LANDED[file["state"]],
        }
        for row in run_steps
        if row["kind"] in steps_where(section="landed")
        for file in files_of(row)
        if file.get("state") in _NOT_LANDED
    ]
    return {"files": files[:FILES_SHOWN], "more_files": max(len(files) - FILES_SHOWN, 0)}


SECTION = Landed()
