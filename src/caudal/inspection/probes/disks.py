"""Disks: what is mounted where, its size and what is free; and the folders for temporary files."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Iterator

from caudal.inspection.fact import InspectedFact, InspectionProbe, known, not_known
from caudal.inspection.scope import InspectionScope, within
from caudal.inspection.session import session_setting

ORDER = 50
_PATIENCE_S = 2.0
_BYTES = ("size", "free")
# File systems of the kernel's own, which hold no data.
_NO_DISKS = {
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs", "fusectl", "hugetlbfs", "mqueue",
    "nsfs", "proc", "pstore", "rpc_pipefs", "securityfs", "selinuxfs", "squashfs", "sysfs", "tracefs",
}  # fmt: skip
_OVER_NETWORK = ("nfs", "cifs", "smb", "fuse", "9p", "ceph", "gluster", "lustre", "wekafs", "beegfs")


def findings(scope: InspectionScope) -> Iterator[InspectedFact]:
    """Yield the mounted disks, and where temporary files go."""
    mounts = scope.text("/proc/self/mountinfo")
    if mounts is None:
        usage = shutil.disk_usage(os.getcwd())
        row = {"folder": os.getcwd(), "type": "", "device": "", "size": usage.total, "free": usage.free, "disk": ""}
        yield known("disks", "Disks", [row], "the disk of the working folder; there is no /proc/self/mountinfo", bytes_in=_BYTES)
    else:
        yield known("disks", "Disks", list(_disks(scope, mounts)), "/proc/self/mountinfo, statvfs, /sys/dev/block", bytes_in=_BYTES)
    yield from _scratch(scope)


def _disks(scope: InspectionScope, mounts: str) -> Iterator[dict[str, Any]]:
    """Yield a row for each file system, where it is mounted first: containers mount single files of the same disk."""
    seen: dict[str, dict[str, Any]] = {}
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        places, kinds = before.split(), after.split()
        if len(places) < 5 or len(kinds) < 2 or kinds[0] in _NO_DISKS:
            continue
        folder = (
            places[4].encode().decode("unicode_escape", errors="replace").encode("latin-1", "replace").decode("utf-8", "replace")
        )
        if folder.startswith(("/proc/", "/sys/", "/dev/", "/run/credentials/")):
            continue
        row = {"folder": folder, "type": kinds[0], "device": kinds[1], "number": places[2]}
        kept = seen.get(places[2])
        if kept is None or len(folder) < len(kept["folder"]):
            seen[places[2]] = row
    for row in sorted(seen.values(), key=lambda row: row["folder"]):
        number = row.pop("number")
        yield {**row, **_sizes(scope, row["folder"]), "disk": _kind(scope, number, row["type"])}


def _sizes(scope: InspectionScope, folder: str) -> dict[str, Any]:
    try:
        sizes = within(_PATIENCE_S, lambda: os.statvfs(scope.path(folder)))
        return {"size": sizes.f_frsize * sizes.f_blocks, "free": sizes.f_frsize * sizes.f_bavail}
    except OSError as error:
        return {"size": None, "free": f"unknown: {error.strerror or error}"}


def _kind(scope: InspectionScope, number: str, type: str) -> str:
    """Return whether a disk turns, is solid, in memory or away."""
    if type in ("tmpfs", "ramfs"):
        return "memory"
    if type.startswith(_OVER_NETWORK):
        return "network or user space"
    if type == "overlay":
        return "layers of a container"
    for folder in (f"/sys/dev/block/{number}", f"/sys/dev/block/{number}/.."):  # a partition's queue is that of its disk
        turns = scope.text(f"{folder}/queue/rotational")
        if turns is not None:
            return "says it turns" if turns == "1" else "solid state"
    return ""


def _scratch(scope: InspectionScope) -> Iterator[InspectedFact]:
    yield _folder("temporary", "Temporary files", tempfile.gettempdir(), "TMPDIR, TEMP, TMP, else the system's")
    folders = session_setting(scope, "spark.local.dir")
    how = "Spark setting spark.local.dir"
    for variable in ("SPARK_LOCAL_DIRS", "LOCAL_DIRS"):  # the master's and YARN's word over the setting
        if scope.environment.get(variable):
            folders, how = scope.environment[variable], f"variable {variable}"
    if not folders:
        why = "neither SPARK_LOCAL_DIRS nor LOCAL_DIRS is set" + ("" if scope.spark is not None else f", and {scope.spark_missing}")
        yield not_known("spark_local", "Spark's shuffle and spill", why)
        return
    for folder in folders.split(","):
        yield _folder("spark_local", "Spark's shuffle and spill", folder.strip(), how)


def _folder(name: str, label: str, folder: str, how: str) -> InspectedFact:
    place = Path(folder)
    while not place.exists() and place != place.parent:  # it may be made only at its first use
        place = place.parent
    try:
        free = within(_PATIENCE_S, lambda: shutil.disk_usage(place).free)
    except OSError as error:
        return not_known(name, label, f"{folder}: {error.strerror or error}")
    return known(name, label, f"{folder} ({free / 2**30:.1f} GiB free)", how)


PROBE = InspectionProbe("disks", "Disks", findings)
