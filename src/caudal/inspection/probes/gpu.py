"""GPUs: by NVIDIA's or AMD's tools and drivers, else as devices without a driver."""

from __future__ import annotations

import csv
from typing import Any, Iterator

from caudal.inspection.fact import InspectedFact, InspectionProbe, known, not_known
from caudal.inspection.scope import InspectionScope

ORDER = 70
_FIELDS = ("index", "name", "memory.total", "memory.used", "driver_version", "compute_cap")
_MIB = 1 << 20
_MAKERS = {"0x10de": "NVIDIA", "0x1002": "AMD", "0x8086": "Intel"}


def findings(scope: InspectionScope) -> Iterator[InspectedFact]:
    """Yield the GPUs with their memory, and the variables that choose among them."""
    try:
        printed = scope.run("nvidia-smi", f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits", timeout_s=20)
        rows = [_row(values) for values in csv.reader(printed.splitlines(), skipinitialspace=True) if len(values) == len(_FIELDS)]
        why = None if rows else "nvidia-smi names none"
    except OSError as error:
        rows, why = [], str(error)
    if rows:
        yield known("gpus", "GPUs", rows, f"nvidia-smi --query-gpu={','.join(_FIELDS)}", bytes_in=("memory", "used"))
    elif amd := list(_amd(scope)):
        yield known("gpus", "GPUs", amd, "/sys/class/drm, AMD's driver", bytes_in=("memory", "used"))
    elif devices := list(_devices(scope)):
        yield known("gpus", "GPUs", devices, f"/sys/bus/pci, whether a driver runs them is not known: {why}")
    elif scope.path("/sys/bus/pci/devices").is_dir():
        yield known("gpus", "GPUs", "none", f"{why}; none of NVIDIA's, AMD's or Intel's on /sys/bus/pci")
    else:
        yield not_known("gpus", "GPUs", f"{why}; there is no /sys/bus/pci")
    for variable in ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        if variable in scope.environment:
            yield known(variable.lower(), "Visible GPUs", scope.environment[variable] or "(empty: none)", f"variable {variable}")


def _row(values: list[str]) -> dict[str, Any]:
    index, name, total, used, driver, capability = values
    sizes = [int(float(size)) * _MIB if size.replace(".", "", 1).isdigit() else None for size in (total, used)]
    return {"gpu": f"{index}: {name}", "memory": sizes[0], "used": sizes[1], "driver": driver, "compute_capability": capability}


def _amd(scope: InspectionScope) -> Iterator[dict[str, Any]]:
    for card in sorted(scope.path("/sys/class/drm").glob("card[0-9]*")):
        folder = f"/sys/class/drm/{card.name}/device"
        total = scope.number(f"{folder}/mem_info_vram_total")
        if scope.text(f"{folder}/vendor") == "0x1002" and total:
            used = scope.number(f"{folder}/mem_info_vram_used")
            yield {
                "gpu": scope.text(f"{folder}/product_name") or f"AMD {scope.text(f'{folder}/device')}",
                "memory": total,
                "used": used,
            }


def _devices(scope: InspectionScope) -> Iterator[dict[str, Any]]:
    for device in sorted(scope.path("/sys/bus/pci/devices").glob("*")):
        folder = f"/sys/bus/pci/devices/{device.name}"
        if (scope.text(f"{folder}/class") or "").startswith("0x03"):  # display controllers
            maker = scope.text(f"{folder}/vendor") or ""
            if maker in _MAKERS:
                yield {"gpu": f"{_MAKERS[maker]} device {scope.text(f'{folder}/device')}", "bus": device.name}


PROBE = InspectionProbe("gpu", "GPUs", findings)
