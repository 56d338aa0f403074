"""The figures of monitors in the server's metrics."""

from __future__ import annotations

from typing import Any

from caudal.ledger.measurements import Measurement, add_measurements
from caudal.ledger.monitored import COLUMNS, KIND, KeptFigure, measurement_of


def test_the_newest_figures_are_gauges(served: Any) -> None:
    def kept(start: float, value: float, state: str) -> Measurement:
        figure = KeptFigure("psi", "hour", {}, start, start + 86_400, value, 500, state, None, 0.1, 3.0, 200.0, 2)
        return measurement_of(figure, product="taxi", run_id="r1", at=1.0, monitor="duration", code="c")

    columns = Measurement("taxi", "r1", 1.0, KIND, "duration", COLUMNS, 1.0, detail={"code": "c", "left_out": {}})
    add_measurements(served.ledger, columns, kept(0.0, 0.05, "inside"), kept(86_400.0, 0.25, "alarm"))
    text = served.app().test_client().get("/metrics").text
    labels = 'column="hour",group="",metric="psi",monitor="duration",product="taxi"'
    assert f"caudal_monitor_value{{{labels}}} 0.25" in text
    assert f"caudal_monitor_alarm{{{labels}}} 1.0" in text
    assert (
        'caudal_monitor_threshold{bound="high",column="hour",group="",metric="psi",monitor="duration",product="taxi"} 0.1' in text
    )
