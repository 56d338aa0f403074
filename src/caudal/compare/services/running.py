"""A platform whose work a service does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.compare.attempt import WorkOrder
from caudal.compare.platform import Platform, RunningPlatform
from caudal.compare.services.service_attempt import ServiceAttempt
from caudal.errors import CaudalError

if TYPE_CHECKING:
    from caudal.compare.services.service import Service
    from caudal.declarations.settings import Settings

NO_PROCESSES = "processor time and memory of its processes: they are on the service's machines"


@contextmanager
def running_service(platform: Platform, service: Service, engine: str, settings: Settings) -> Iterator[RunningPlatform]:
    """Yield a platform whose work a service does; afterwards nothing of it is left there."""
    changes = {"engine": engine, "master": None, "cores": None}
    sent = {**changes, "jobs": settings.jobs, "trust": list(settings.trust)}

    def attempt(order: WorkOrder, place: Path, home: Path) -> ServiceAttempt:
        return ServiceAttempt(order, running, place, home, service=service, settings=sent, writes_log=engine == "spark")

    running = RunningPlatform(platform, changes, attempt=attempt)
    try:
        yield running
    finally:
        with contextlib.suppress(CaudalError):  # what was measured counts more than what is left there
            service.clear()
