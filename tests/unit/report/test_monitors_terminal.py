"""The monitors in a narrow terminal: names are folded, numbers are whole."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from caudal.report.terminal.monitors import monitors


def test_no_number_is_cut_off_where_room_is_short() -> None:
    figure: dict[str, Any] = {
        "figure": "share where dropoff_borough = Manhattan", "metric": "share", "column": None, "group": {}, "value": 0.012345, "rows": 9,
        "low": 0.34871, "high": 0.42362, "state": "learning", "evidence": 1.0, "evidence_needed": 20.0, "reference": None,
        "window_start": None, "window_end": None, "history": [{"start": None, "value": 0.1, "state": "inside"}] * 60,
    }  # fmt: skip
    out = io.StringIO()
    document: Any = {
        "product": "taxi",
        "monitors": [{"monitor": "trips", "state": "inside", "windows": 60, "figures": [figure], "left_out": {}}],
    }
    monitors(document, Console(file=out, width=72))
    printed = out.getvalue()
    assert all(part in printed for part in ("0.01235", "0.3487 to 0.4236", "learning"))
    assert "…" not in printed
    assert " ".join("".join(line[:24] for line in printed.splitlines()[2:4]).split()).startswith("share where")
