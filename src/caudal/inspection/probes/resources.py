"""Cores and memory: what the machine has, and what this process may use of it (control groups, affinity, limits)."""

from __future__ import annotations

import os
import platform
from typing import Any, Iterator

from caudal.inspection.cgroup import group_limits
from caudal.inspection.fact import InspectedFact, InspectionProbe, known, known_if, not_known
from caudal.inspection.scope import InspectionScope

ORDER = 40
_LIMITS = (
    ("NOFILE", "open files", None),
    ("NPROC", "processes of the user", None),
    ("AS", "address space", "bytes"),
    ("MEMLOCK", "locked memory", "bytes"),
    ("STACK", "stack", "bytes"),
    ("CORE", "core file", "bytes"),
)


def findings(scope: InspectionScope) -> Iterator[InspectedFact]:
    """Yield processor, cores, memory, and the limits on them."""
    fields = [tuple(part.strip() for part in line.partition(":")[::2]) for line in (scope.text("/proc/cpuinfo") or "").splitlines()]
    model = next((value for name, value in fields if name in ("model name", "Hardware", "cpu model") and value), None)
    if model:
        yield known("processor", "Processor", model, "/proc/cpuinfo")
    else:
        yield known_if("processor", "Processor", platform.processor(), "uname", "neither /proc/cpuinfo nor uname names it")
    yield known_if("cores", "Cores of the machine (threads)", os.cpu_count(), "os.cpu_count", "the system does not say")
    physical = _physical_cores(fields)
    yield known_if("physical_cores", "Physical cores", physical, "/proc/cpuinfo", "/proc/cpuinfo does not say")
    if hasattr(os, "sched_getaffinity"):
        yield known("usable_cores", "Cores that this process may use", len(os.sched_getaffinity(0)), "sched_getaffinity")
    else:
        yield not_known("usable_cores", "Cores that this process may use", "this system has no sched_getaffinity")
    try:
        load = os.getloadavg()
        yield known("load", "Load over 1, 5 and 15 min", ", ".join(f"{average:.2f}" for average in load), "getloadavg")
    except (OSError, AttributeError):
        yield not_known("load", "Load", "this system has no getloadavg")
    yield from _memory(scope)
    yield from _groups(scope)
    yield from _process_limits()


def _physical_cores(fields: list[Any]) -> int | None:
    """Return the number of different pairs of socket and core."""
    seen, socket = set(), None
    for name, value in fields:
        if name == "physical id":
            socket = value
        elif name == "core id":
            seen.add((socket, value))
    return len(seen) or None


def _memory(scope: InspectionScope) -> Iterator[InspectedFact]:
    lines = (line.partition(":")[::2] for line in (scope.text("/proc/meminfo") or "").splitlines())
    kib = {name: int(value.split()[0]) * 1024 for name, value in lines if value.split() and value.split()[0].isdigit()}
    for name, label, field in (
        ("memory", "Memory of the machine", "MemTotal"), ("memory_available", "Memory available", "MemAvailable"), ("swap", "Swap", "SwapTotal"),
    ):  # fmt: skip
        if field in kib:
            yield known(name, label, kib[field], f"/proc/meminfo, {field}", "bytes")
        elif name == "memory" and hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            yield known(name, label, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "sysconf", "bytes")
        else:
            yield not_known(name, label, f"there is no /proc/meminfo, or it has no {field}")
    shared = scope.path("/dev/shm")  # noqa: S108 the folder of shared memory itself
    if shared.is_dir() and hasattr(os, "statvfs"):
        sizes = os.statvfs(shared)
        yield known("shared_memory", "Shared memory", sizes.f_frsize * sizes.f_blocks, "/dev/shm", "bytes")  # noqa: S108


def _groups(scope: InspectionScope) -> Iterator[InspectedFact]:
    limits = group_limits(scope)
    if limits.version is None:
        yield not_known("cgroup", "Control groups", "there is no /sys/fs/cgroup with the groups of cpu and memory")
        return
    yield known("cgroup", "Control groups", f"version {limits.version}, group {limits.groups}", "/proc/self/cgroup, /sys/fs/cgroup")
    for name, label, limit, unit in (
        ("cgroup_cores", "Limit on cores", limits.cores, None), ("cgroup_memory", "Limit on memory", limits.memory, "bytes"),
        ("cgroup_memory_used", "Memory used by the group", limits.memory_used, "bytes"), ("cgroup_processes", "Limit on processes", limits.processes, None),
    ):  # fmt: skip
        if limit is not None:
            yield known(name, label, limit[0], limit[1], unit)
        elif name == "cgroup_memory_used":
            yield not_known(name, label, "the group's folder has no such file")
        else:
            yield known(name, label, "none", "no group of this process sets one")


def _process_limits() -> Iterator[InspectedFact]:
    try:
        import resource  # not on Windows
    except ImportError:
        yield not_known("limits", "Limits of the process", "this system has no getrlimit")
        return
    rows = []
    for name, label, unit in _LIMITS:
        if hasattr(resource, f"RLIMIT_{name}"):
            soft, hard = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))
            texts = ["unlimited" if limit == resource.RLIM_INFINITY else limit for limit in (soft, hard)]
            rows.append({"limit": label, "soft": texts[0], "hard": texts[1], "unit": unit or ""})
    yield known("limits", "Limits of the process", rows, "getrlimit")


PROBE = InspectionProbe("resources", "Cores and memory", findings)
