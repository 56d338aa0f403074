"""What the server counts of itself, in Prometheus' text format."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import defaultdict

from flask import Flask, Response, g, request

from caudal.serve.champion_cache import ChampionCache

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Meter:
    """Requests by route and status, and their latency as a histogram by route."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, int], int] = defaultdict(int)
        self._buckets: dict[str, list[int]] = defaultdict(lambda: [0] * (len(BOUNDS_S) + 1))
        self._seconds: dict[str, float] = defaultdict(float)

    def count(self, route: str, status: int, seconds: float) -> None:
        """Note one answered request."""
        with self._lock:
            self._counts[route, status] += 1
            self._buckets[route][bisect_left(BOUNDS_S, seconds)] += 1
            self._seconds[route] += seconds

    def text(self, champions: ChampionCache) -> str:
        """Return all figures, and which version is served of each model."""
        with self._lock:
            counts, seconds = dict(self._counts), dict(self._seconds)
            buckets = {route: list(found) for route, found in self._buckets.items()}
        lines = ["# TYPE caudal_requests_total counter"]
        for (route, status), n in sorted(counts.items()):
            lines.append(f'caudal_requests_total{{route="{route}",status="{status}"}} {n}')
        lines.append("# TYPE caudal_request_seconds histogram")
        for route, found in sorted(buckets.items()):
            total = 0
            for bound, n in zip((*BOUNDS_S, "+Inf"), found, strict=True):
                total += n
                lines.append(f'caudal_request_seconds_bucket{{route="{route}",le="{bound}"}} {total}')
            lines.append(f'caudal_request_seconds_sum{{route="{route}"}} {seconds[route]:.6f}')
            lines.append(f'caudal_request_seconds_count{{route="{route}"}} {total}')
        lines.append("# TYPE caudal_model_version gauge")
        lines += [f'caudal_model_version{{product="{one.product}",model="{one.model}"}} {one.version}' for one in champions.all()]
        return "\n".join(lines) + "\n"


def measure(app: Flask, meter: Meter) -> None:
    """Count every request of an app."""

    @app.before_request
    def started() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def answered(response: Response) -> Response:
        # The rule and not the path: a label must not grow with what callers invent.
        route = request.url_rule.rule if request.url_rule else "none"
        meter.count(route, response.status_code, time.perf_counter() - g.get("started", time.perf_counter()))
        return response
