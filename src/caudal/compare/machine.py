"""What is said of the machine on which a comparison measures."""

from __future__ import annotations

import platform
from pathlib import Path

from caudal.engine.settings import usable_cores, usable_memory


def this_machine() -> dict[str, str]:
    """Return host, system, cores, memory, processor and Python, by the names under which the report shows them."""
    return {
        "host": platform.node(), "system": f"{platform.system()} {platform.release()}", "cores": str(usable_cores()),
        "memory": f"{usable_memory() / 2**30:.1f} GiB", "processor": _processor(), "Python": platform.python_version(),
    }  # fmt: skip


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())
