"""Limits of control groups, of version 1 and 2: those of this process's group and of the groups above it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Optional

from caudal.inspection.scope import InspectionScope

_NONE = 1 << 60  # version 1 writes no limit as the greatest number of pages
_ROOT = "/sys/fs/cgroup"


@dataclass(frozen=True)
class GroupLimits:
    """The tightest limits, each with the file that says it; None where there is none.

    Parameters
    ----------
    version : 1 or 2; None where there are no control groups
    cores : as a share of time, such as 1.5
    memory, memory_used, processes : bytes, bytes, number
    """

    version: Optional[int]
    cores: Optional[tuple[float, str]]
    memory: Optional[tuple[int, str]]
    memory_used: Optional[tuple[int, str]]
    processes: Optional[tuple[int, str]]
    groups: str


def group_limits(scope: InspectionScope) -> GroupLimits:
    """Return the limits that hold for this process."""
    lines = [line.split(":", 2) for line in (scope.text("/proc/self/cgroup") or "").splitlines()]
    entries = [line for line in lines if len(line) == 3]
    paths = {name: path for _, names, path in entries for name in names.split(",")}
    if scope.path(f"{_ROOT}/cgroup.controllers").is_file():
        folders = list(_upwards(scope, _ROOT, paths.get("", "/")))
        return GroupLimits(
            2,
            _least(_share(scope, f"{folder}/cpu.max") for folder in folders),
            _least(_whole(scope, f"{folder}/memory.max") for folder in folders),
            next((used for folder in folders if (used := _whole(scope, f"{folder}/memory.current"))), None),
            _least(_whole(scope, f"{folder}/pids.max") for folder in folders),
            paths.get("", "/"),
        )
    if not scope.path(f"{_ROOT}/memory").is_dir() and not scope.path(f"{_ROOT}/cpu").is_dir():
        return GroupLimits(None, None, None, None, None, "")
    cpu, memory, pids = (list(_upwards(scope, f"{_ROOT}/{name}", paths.get(name, "/"))) for name in ("cpu", "memory", "pids"))
    return GroupLimits(
        1,
        _least(_quota(scope, folder) for folder in cpu),
        _least(_whole(scope, f"{folder}/memory.limit_in_bytes") for folder in memory),
        next((used for folder in memory if (used := _whole(scope, f"{folder}/memory.usage_in_bytes"))), None),
        _least(_whole(scope, f"{folder}/pids.max") for folder in pids),
        paths.get("memory", "/"),
    )


def _upwards(scope: InspectionScope, mount: str, group: str) -> Iterator[str]:
    """Yield the folders of a group and of those above it. In a container its path is that of the host and leads nowhere: then the mount alone."""
    parts = [part for part in group.split("/") if part not in ("", "..")]
    for length in range(len(parts), 0, -1):
        folder = "/".join([mount, *parts[:length]])
        if scope.path(folder).is_dir():
            yield folder
    yield mount


def _least(limits: Iterator[tuple[float, str] | None]) -> Any:
    return min((limit for limit in limits if limit is not None), default=None)


def _whole(scope: InspectionScope, path: str) -> tuple[int, str] | None:
    number = scope.number(path)
    return None if number is None or number >= _NONE else (number, path)


def _share(scope: InspectionScope, path: str) -> tuple[float, str] | None:
    """Return the cores of ``cpu.max``: quota and period, or the word ``max``."""
    words = (scope.text(path) or "").split()
    return (int(words[0]) / int(words[1]), path) if len(words) == 2 and words[0].isdigit() else None


def _quota(scope: InspectionScope, folder: str) -> tuple[float, str] | None:
    quota, period = scope.number(f"{folder}/cpu.cfs_quota_us"), scope.number(f"{folder}/cpu.cfs_period_us")
    return (quota / period, f"{folder}/cpu.cfs_quota_us") if quota and quota > 0 and period else None
