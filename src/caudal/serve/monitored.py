"""The newest figures of monitors as Prometheus gauges, read from the ledger once a minute at most."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from caudal.ledger.ledger import Ledger
from caudal.report.documents.monitors import MonitorDocument
from caudal.report.monitors import monitors_document
from caudal.serve.champion_cache import ChampionCache

EVERY_S = 60.0
LABELS = ("product", "monitor", "metric", "column", "group")


class MonitorGauges(Collector):
    """The figures of the products whose models are served; none where they have no monitor."""

    def __init__(self, champions: ChampionCache) -> None:
        self._champions = champions
        self._read_at = -float("inf")
        self._monitors: list[tuple[str, MonitorDocument]] = []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield value, thresholds and alarm of each figure."""
        value = GaugeMetricFamily("caudal_monitor_value", "A figure of a monitor in its newest window.", labels=LABELS)
        limit = GaugeMetricFamily("caudal_monitor_threshold", "A threshold of the figure.", labels=(*LABELS, "bound"))
        alarm = GaugeMetricFamily("caudal_monitor_alarm", "1 where the figure is in alarm, else 0.", labels=LABELS)
        for product, monitor in self._current():
            for figure in monitor["figures"]:
                group = ",".join(f"{column}={part}" for column, part in figure["group"].items())
                labels = [product, monitor["monitor"], figure["metric"], figure["column"] or "", group]
                value.add_metric(labels, figure["value"])
                alarm.add_metric(labels, float(figure["state"] == "alarm"))
                for bound, number in (("low", figure["low"]), ("high", figure["high"])):
                    if number is not None:
                        limit.add_metric([*labels, bound], number)
        if value.samples:
            yield from (value, limit, alarm)

    def _current(self) -> list[tuple[str, MonitorDocument]]:
        if time.monotonic() - self._read_at >= EVERY_S and not self._champions.ledger_gone:
            self._monitors = list(_read(self._champions.ledger, sorted({served.product for served in self._champions.all()})))
            self._read_at = time.monotonic()
        return self._monitors


def _read(ledger: Ledger, products: list[str]) -> Iterator[tuple[str, MonitorDocument]]:
    for product in products:
        for monitor in monitors_document(ledger, product)["monitors"]:
            yield product, monitor
