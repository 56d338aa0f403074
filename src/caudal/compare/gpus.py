"""Whether this machine shows a GPU."""

from __future__ import annotations

from pathlib import Path

_DEVICES = (Path("/proc/driver/nvidia/gpus"), Path("/dev/nvidia0"))


def has_gpu() -> bool:
    """Return whether this machine shows a GPU of NVIDIA."""
    return any(device.exists() for device in _DEVICES)
