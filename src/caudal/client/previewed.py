"""The rows of a preview, as frames and in a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from caudal.client.shown import lines_part, page_part
from caudal.commands.preview import Preview
from caudal.tables.frames import pandas_frame

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SHOWN = 10


@dataclass(frozen=True)
class PreviewedRows:
    """The rows that a table's function gives for a sample of its inputs."""

    preview: Preview

    def __len__(self) -> int:
        return int(self.preview.rows.num_rows)

    @property
    def checks(self) -> dict[str, int]:
        """How many rows break each expectation."""
        return {check.expectation: check.broken for check in self.preview.checks}

    def to_arrow(self) -> pa.Table:
        """Return the good rows."""
        return self.preview.rows

    def to_pandas(self) -> pd.DataFrame:
        """Return the good rows as a pandas frame."""
        return pandas_frame(self.preview.rows)

    def quarantine(self) -> pd.DataFrame:
        """Return the rows that would be set aside, with ``_reasons`` and ``_raw``."""
        return pandas_frame(self.preview.quarantined)

    def _repr_html_(self) -> str:
        rows = self.preview.rows
        table = page_part(self._title(), rows.column_names, [tuple(row.values()) for row in rows.slice(0, SHOWN).to_pylist()])
        broken = [f"✗ {name}: {count} rows" for name, count in self.checks.items() if count]
        return table + (lines_part("Expectations", broken) if broken else "")

    def __repr__(self) -> str:
        return f"<{self._title()}>\n{self.to_pandas().head(SHOWN)}"

    def _title(self) -> str:
        preview = self.preview
        inputs = ", ".join(f"{count:,} of {name}" for name, count in preview.inputs.items())
        return f"preview of {preview.table}: {len(self):,} rows, {preview.quarantined.num_rows:,} set aside, from {inputs}; by {preview.engine}"
