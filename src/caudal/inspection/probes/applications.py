"""Running applications of Spark, by the REST API of their pages: those of ``--ui``, else those on this machine."""

from __future__ import annotations

from typing import Any, Iterator

from caudal.inspection.fact import InspectedFact, InspectionProbe, known, not_known
from caudal.inspection.scope import InspectionScope

ORDER = 130
_PORTS = (4040, 4041, 4042)
_BYTES = ("storage_memory",)


def findings(scope: InspectionScope) -> Iterator[InspectedFact]:
    """Yield each application with its executors."""
    pages = list(scope.ui) or [f"http://127.0.0.1:{port}" for port in _PORTS]
    refusals, seen = [], set()
    for page in pages:
        base = f"{page.rstrip('/')}/api/v1"
        try:
            applications = [
                application
                for application in scope.json(f"{base}/applications")
                if isinstance(application, dict) and application.get("id")
            ]
            for application in applications:
                if application["id"] not in seen:
                    seen.add(application["id"])
                    yield from _application(scope, base, application)
        except (OSError, TypeError) as error:
            refusals.append(str(error) if isinstance(error, OSError) else f"{base} does not answer as Spark does")
    if not seen:
        yield not_known("applications", "Running applications", "; ".join(refusals) or f"{', '.join(pages)} names none")


def _application(scope: InspectionScope, base: str, application: dict[str, Any]) -> Iterator[InspectedFact]:
    attempt = (application.get("attempts") or [{}])[-1]
    how = f"{base}/applications"
    version = attempt.get("appSparkVersion")
    text = f"{application.get('name')} ({application['id']}), user {attempt.get('sparkUser')}, since {attempt.get('startTime')}"
    yield known("application", "Application", f"{text}, Spark {version}" if version else text, how)
    url = f"{how}/{application['id']}/executors"
    try:
        rows = [
            {
                "executor": executor.get("id"), "host": executor.get("hostPort"), "cores": executor.get("totalCores"), "storage_memory": executor.get("maxMemory"),
                "tasks": executor.get("totalTasks"), "failed": executor.get("failedTasks"),
            }
            for executor in scope.json(url)
        ]  # fmt: skip
    except (OSError, TypeError, AttributeError) as error:
        yield not_known("executors", "Its executors", str(error))
        return
    yield known("executors", "Its executors", rows, url, bytes_in=_BYTES)


PROBE = InspectionProbe("applications", "Running applications", findings)
