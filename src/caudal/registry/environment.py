"""The environment of a training: Python and the libraries on which the stored model depends."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from caudal.extras import CANDIDATE_LIBRARIES
from caudal.json_value import JsonObject

LIBRARIES = ("caudal", "scikit-learn", "skops", "numpy", "scipy", "pandas", "pyarrow", "pyspark")


def model_environment(format: str, types: Iterable[str] = ()) -> JsonObject:
    """Return Python, platform and library versions, with the model's types that skops does not trust by default."""
    versions: dict[str, str] = {}
    of_candidates = sorted({type_.partition(".")[0] for type_ in types} & CANDIDATE_LIBRARIES.keys())
    for name in (*LIBRARIES, *(each for library in of_candidates for each in CANDIDATE_LIBRARIES[library])):
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
