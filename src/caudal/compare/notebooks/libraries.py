"""The libraries that work needs elsewhere, in the versions that are installed here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions, packages_distributions, requires

from caudal.extras import CLIENT, PYSPARK

_OF_WORK = ("stream", "images", "excel", "avro", "s3", "sftp", "hdfs", "postgres", "fairness")
"""Extras that the work of a product may use without an import of its own."""
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def needed_extras(*, spark: bool) -> list[str]:
    """Return the extras of caudal that are installed here and that work may use.

    Parameters
    ----------
    spark : whether Spark computes there
    """
    of_work = [extra for extra in _OF_WORK if all(map(_is_installed, _requirements(extra)))]
    return ["compare", *(["spark"] if spark else []), *of_work]


def imported_distributions(libraries: Iterable[str]) -> list[str]:
    """Return the distributions from an index that hold modules which a product imports, without those of PySpark, which caudal chooses."""
    held = packages_distributions()
    names = {name for library in libraries for name in held.get(library, ())} - {PYSPARK, CLIENT, "caudal"}
    return sorted(name for name in names if _is_of_index(distribution(name)))


def installed_versions() -> list[str]:
    """Return a line ``name==version`` for each library from an index that is installed here."""
    versions = {each.metadata["Name"]: each.version for each in distributions() if _is_of_index(each)}
    return [f"{name}=={version}" for name, version in sorted(versions.items()) if name != "caudal"]


def _is_of_index(installed: Distribution) -> bool:
    """Return whether an index has a library: not one of a folder or an address, nor a version of some machine (``2.6.0+cpu``)."""
    return (
        installed.read_text("direct_url.json") is None and "+" not in installed.version and installed.metadata["Name"] is not None
    )


def _requirements(extra: str) -> list[str]:
    marker = re.compile(rf"extra == ['\"]{extra}['\"]")
    return [match[0] for line in requires("caudal") or () if marker.search(line) and (match := _NAME.match(line)) is not None]


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
