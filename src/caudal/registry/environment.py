"""The environment of a training: Python and the libraries on which the stored model depends."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from caudal.json_value import JsonObject

LIBRARIES = ("caudal", "scikit-learn", "skops", "numpy", "scipy", "pandas", "pyarrow", "pyspark")


def model_environment(format: str, types: Iterable[str] = ()) -> JsonObject:
    """Return Python, platform and library versions, with the model's types that skops does not trust by default."""
    versions: dict[str, str] = {}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # run from the source tree, or a part that is not installed
            continue
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "libraries": versions,
        "format": format,
        "types": sorted(types),
    }


def requirements(described: dict[str, Any]) -> str:
    """Return the libraries in pip's format."""
    return "".join(f"{name}=={number}\n" for name, number in described["libraries"].items() if name != "caudal")
