"""Installed versions of libraries: of their distributions, or the digest of a module that belongs to no distribution."""

from __future__ import annotations

import hashlib
import importlib.metadata
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from caudal.extras import installed
from caudal.graph.modules import with_parents

# Distributions whose name differs from the module's; searching all installed distributions takes half a second.
_NAMES = {"sklearn": "scikit-learn", "PIL": "pillow", "yaml": "PyYAML", "dateutil": "python-dateutil", "bs4": "beautifulsoup4"}


def library_state(module: str) -> dict[str, str]:
    """Return the versions of the distributions that a module comes from, by name."""
    return {name: library_version(name) for name in distributions(module)} or {module: _bytes(module)}


@cache
def distributions(module: str) -> tuple[str, ...]:
    """Return the names of the distributions that a top-level module comes from."""
    name = _NAMES.get(module, module)
    try:
        metadata = installed(name).metadata
        return (name if name == "pyspark" else metadata["Name"],)  # its client is a part of it: with Spark nothing is made again
    except importlib.metadata.PackageNotFoundError:
        return tuple(sorted(set(_by_module().get(module, ()))))


@cache
def _by_module() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def library_version(distribution: str) -> str:
    """Return the version of a distribution; of one that was installed from a folder or a repository, its list of files too."""
    try:
        found = installed(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
    if found.read_text("direct_url.json") is None:
        return found.version
    return f"{found.version}, files {hashlib.sha256((found.read_text('RECORD') or '').encode()).hexdigest()[:16]}"


def _bytes(module: str) -> str:
    loaded_module = next((sys.modules[name] for name in with_parents(module) if name in sys.modules), None)
    file = getattr(loaded_module, "__file__", None)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16] if file and Path(file).is_file() else "no file"
