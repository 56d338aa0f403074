"""The page's section of embedded images."""

from __future__ import annotations

from typing import Any

from caudal.report.images import explained, scatter, sections


def row(**detail: Any) -> dict[str, Any]:
    return {"name": "embedding", "state": "succeeded", "kind": "table", "detail": detail}


def test_where_the_workers_time_went() -> None:
    took = {"read": 1.0, "decode": 2.0, "resize": 0.5, "infer": 6.0, "write": 0.5}
    (said,) = sections([row(embedding={"seconds": took, "network": "n", "plan": ["two workers"], "critical": "infer"}), row()])
    assert [one["part"] for one in said["parts"]][3] == "the network"
    assert 'width="60.00%"' in said["parts"][3]["bar"]


def test_the_scatter_escapes_labels_and_takes_equal_points() -> None:
    drawn = scatter([[0.0, 1.0, "<b>"], [0.0, 1.0, "pear"]])
    assert "<b>" not in drawn
    assert drawn.count("<circle") == 2
    assert "&lt;b&gt;" in drawn


def test_what_components_explain_together_is_said() -> None:
    drawn = explained([0.5, 0.25])
    assert drawn.count("<rect") == 2
    assert "2 components, 75.0% together" in drawn
