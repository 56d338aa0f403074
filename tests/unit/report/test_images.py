"""The page's section of embedded images."""

from __future__ import annotations

from typing import Any

from caudal.report.images import embedding_sections, explained_variance_chart, scatter_chart


def row(**detail: Any) -> dict[str, Any]:
    return {"name": "embedding", "state": "succeeded", "kind": "table", "detail": detail}


def test_where_the_workers_time_went() -> None:
    took = {"load": 0.0, "read": 1.0, "decode": 2.0, "resize": 0.5, "infer": 6.0, "write": 0.5}
    (said,) = embedding_sections([row(embedding={"seconds": took, "network": "n", "plan": ["two workers"], "images": 100}), row()])
    assert [one["part"] for one in said["parts"]][4] == "the network"
    assert 'width="60.00%"' in said["parts"][4]["bar"]
    assert said["parts"][4]["share"] == "60 %"
    assert said["critical"] == (
        "Of 100.0 ms of a worker for each of 100 images, the network takes 60.0 ms (60%), decoding 20.0 ms, without loading "
        "the network, which a worker does once. A million images take 27.8 hours of one worker."
    )


def test_what_a_worker_does_once_is_not_taken_for_each_image() -> None:
    took = {"load": 8.0, "decode": 0.5, "infer": 1.5}
    (said,) = embedding_sections([row(embedding={"seconds": took, "images": 20})])
    assert said["critical"].startswith("Of 100.0 ms of a worker for each of 20 images, the network takes 75.0 ms (75%)")
    assert said["critical"].endswith("A million images take 27.8 hours of one worker.")


def test_the_scatter_escapes_labels_and_takes_equal_points() -> None:
    drawn = scatter_chart([[0.0, 1.0, "<b>"], [0.0, 1.0, "pear"]], [0.5, 0.25])
    assert "<b>" not in drawn
    assert drawn.count("<circle") == 2
    assert "&lt;b&gt;" in drawn
    assert "component 2, 25.0% of the variance" in drawn


def test_what_components_explain_together_is_said() -> None:
    drawn = explained_variance_chart([0.5, 0.25])
    assert drawn.count("<rect") == 2
    assert "2 components, 75.0% together" in drawn
