"""The server's metrics, in Prometheus' text format."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest, values
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from caudal.serve.champion_cache import ChampionCache, Name
from caudal.serve.input_watch import InputTotals
from caudal.serve.minute_log import ServingMinuteLog
from caudal.serve.monitored import MonitorGauges
from caudal.serve.request_log import CountRows
from caudal.serve.trial_log import TrialTotals

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

disable_created_metrics()  # type: ignore[no-untyped-call]  # no second series per metric with its creation time


def share_counters(folder: Path) -> None:
    """Have all counters that are made from now on in this process kept in files of a folder, where those of several processes add up."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]


class Meter:
    """Requests by route and status, and their latency as a histogram by route.

    Parameters
    ----------
    folder : Path, optional, where several server processes count together, after `share_counters`
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._registry = CollectorRegistry()
        self._monitors: MonitorGauges | None = None
        self._series: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._requests = Counter("caudal_requests", "Requests answered.", ("route", "status"), registry=self._registry)
        self._seconds = Histogram(
            "caudal_request_seconds", "Seconds that a request took.", ("route",), buckets=BOUNDS_S, registry=self._registry
        )

    def input_totals(self) -> InputTotals:
        """Return counters of rows and of odd inputs, which all server processes count together."""
        return InputTotals(self._registry)

    def trial_totals(self) -> TrialTotals:
        """Return counters of trials, which all server processes count together."""
        return TrialTotals(self._registry)

    def request_rows(self) -> CountRows:
        """Return what counts the rows of requests that were logged, and those that were dropped."""
        counted = Counter(
            "caudal_request_log_rows", "Rows for the request log.", ("product", "model", "outcome"), registry=self._registry
        )

        def count(name: Name, outcome: str, rows: int) -> None:
            counted.labels(*name, outcome).inc(rows)

        return count

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        series = self._series.get((route, status))
        if series is None:  # to look up the series by its labels takes longer than to count
            series = self._series[route, status] = (self._requests.labels(route, status), self._seconds.labels(route))
        series[0].inc()
        series[1].observe(seconds)

    def _monitors_of(self, champions: ChampionCache) -> MonitorGauges:
        if self._monitors is None:
            self._monitors = MonitorGauges(champions)
        return self._monitors

    def text(self, champions: ChampionCache, *collectors: Collector) -> str:
        """Return all metrics, with the served version of each model and what the collectors read, as text."""
        versions = CollectorRegistry()
        for collector in (_Versions(champions), *collectors):
            versions.register(collector)
        versions.register(self._monitors_of(champions))
        counted = self._registry
        if self._folder is not None:
            counted = CollectorRegistry()
            MultiProcessCollector(counted, str(self._folder))  # type: ignore[no-untyped-call]
        return (generate_latest(counted) + generate_latest(versions)).decode()


class _Versions(Collector):
    """Reads the served versions at each scrape, because promotions replace champions at any time."""

    def __init__(self, champions: ChampionCache) -> None:
        self._champions = champions

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the versions of all served models."""
        versions = GaugeMetricFamily("caudal_model_version", "Version of a model that is served.", labels=("product", "model"))
        for served in self._champions.all():
            versions.add_metric((served.product, served.model), served.version)
        yield versions


def count_requests(app: Flask, meter: Meter, log: ServingMinuteLog) -> None:
    """Count every request of an app; those for predictions also in the log of minutes, with the rows that their handlers note as ``g.sent``."""

    @app.before_request
    def start_clock() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def count_request(response: Response) -> Response:
        # The rule and not the path: a label must not grow with what callers invent.
        route = request.url_rule.rule if request.url_rule else "none"
        seconds = time.perf_counter() - g.get("started", time.perf_counter())
        args = request.view_args if request.method == "POST" and request.view_args and "model" in request.view_args else None
        sent = g.get("sent")

        def count(status: int, seconds: float) -> None:
            meter.count(route, status, seconds)
            if args is not None:
                log.count(args["product"], args["model"], status, seconds, sent)

        if "stream" in g:  # its end is still to come
            g.stream.counted = count
        else:
            count(response.status_code, seconds)
        return response
