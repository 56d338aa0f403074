"""What a model was trained with: Python and the libraries that its stored form depends on."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

LIBRARIES = ("caudal", "scikit-learn", "skops", "numpy", "scipy", "pandas", "pyarrow", "pyspark")


def environment(format: str, types: Iterable[str] = ()) -> dict[str, Any]:
    """Return Python, platform and library versions, with the types that the stored model consists of beyond skops' own."""
    found: dict[str, str] = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from the source tree, or a part that is not installed
            continue
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "libraries": found,
        "format": format,
        "types": sorted(types),
    }


def requirements(told: dict[str, Any]) -> str:
    """Return the libraries as pip reads them."""
    return "".join(f"{name}=={number}\n" for name, number in told["libraries"].items() if name != "caudal")
