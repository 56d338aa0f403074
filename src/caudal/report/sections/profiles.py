"""The section on statistics of the written columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from caudal.ledger.ledger import Ledger
from caudal.ledger.records import profiles
from caudal.ledger.rows import ProfileRow
from caudal.report.figures import count_text, plural, share_text, value
from caudal.report.section import ReportedRun, ReportSection


class Profiles(ReportSection):
    """A table of column statistics for each written table."""

    name, order = "profiles", 100
    template = """\
<section id="profiles">
<h2>Columns of what was written</h2>
{% for table in profiles %}
<details{% if loop.length == 1 %} open{% endif %}>
<summary><code>{{ table.table }}</code><span class="soft">version {{ table.version if table.version is not none else "–" }}, {{ table.rows }}, {{ table.change }}</span></summary>
<div class="scroll"><table>
<thead><tr><th>Column</th><th class="n">Nulls</th><th class="n">Share</th><th class="n">Min</th><th class="n">Mean</th><th class="n">Max</th><th class="n">Deviation</th><th class="n">Distinct</th></tr></thead>
<tbody>
{% for column in table.columns %}
<tr><td class="name mono" title="{{ column.name }}">{{ column.name }}</td><td class="n" data-label="Nulls">{{ column.nulls }}</td><td class="n soft" data-label="Share">{{ column.share }}</td><td class="n" data-label="Min">{{ column.min }}</td><td class="n" data-label="Mean">{{ column.mean }}</td><td class="n" data-label="Max">{{ column.max }}</td><td class="n" data-label="Deviation">{{ column.stddev }}</td><td class="n" data-label="Distinct">{{ column.distinct }}</td></tr>
{% endfor %}
</tbody></table></div>
</details>
{% endfor %}
</section>
"""

    def content(self, run: ReportedRun) -> Mapping[str, object] | None:
        """Return the statistics of each written table."""
        tables = [table_profile(run.ledger, row) for row in run.ledger.find(profiles, run_id=run.run["run_id"])]
        return {"profiles": tables} if tables else None

    def links(self, content: Mapping[str, object]) -> Iterable[tuple[str, str]]:
        """Return the link to the tables."""
        return [("profiles", "Columns")]


def table_profile(ledger: Ledger, row: ProfileRow) -> dict[str, object]:
    """Return the statistics of a table's columns, and the change of its row count since the version before."""
    older = ledger.find(profiles, product=row["product"], table=row["table"], newest=True)
    before = next((earlier for earlier in older if earlier["id"] < row["id"]), None)
    columns = [
        {
            "name": name,
            "nulls": count_text(column.get("nulls")),
            "share": share_text(column.get("nulls"), row["rows"]) if column.get("nulls") else "",
            **{figure: _short(value(column.get(figure))) for figure in ("min", "mean", "max", "stddev", "distinct")},
        }
        for name, column in row["columns"].items()
    ]
    change = f"{row['rows'] - before['rows']:+,} since the run before" if before else "first version measured"
    return {
        "table": row["table"],
        "version": row["version"],
        "rows": plural(row["rows"], "row"),
        "change": change,
        "columns": columns,
    }


def _short(text: str, most: int = 40) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


SECTION = Profiles()
