"""Cache of checks that found no problem, keyed by everything that could change the result: the same check starts no engine again.

Only "no problem" is stored, with the remarks that came with it. The key covers everything that the check reads: the code and parameters of every declaration, the whole source
of every loaded module of the user, the columns that were read from files, and the versions of caudal, Spark and Python. In doubt the
key differs, and the check runs again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import caudal
from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.engine.cache import cache_dir, put_file
from caudal.engine.java import spark_java
from caudal.extras import installed
from caudal.graph.fingerprint import code_of, describe, digest
from caudal.graph.modules import resolved

MOST_STORED = 200
_OF_CODE = (".py", ".sql", ".toml", ".json", ".yaml", ".yml", ".ini", ".cfg")
_SMALL_BYTES = 2**20


def key_of(product: Product, files: Mapping[str, object], settings: Settings) -> str:
    """Return the hash of a product and everything that its check depends on.

    Parameters
    ----------
    files : by source without a full schema, what identifies the file that its columns would be read from
    """
    declared = [
        code_of(declaration)
        for group in (product.nodes, product.models, product.audits, product.publications)
        for declaration in group.values()
    ]
    other_parts = [
        describe(part)
        for part in (product.servings, product.lookups, product.predictions, product.subjects, product.retentions, product.tz)
    ]
    descriptions = {table: sorted(columns) for table, columns in product.abouts.items()}
    known_times = {name: dict(getattr(node, "known", {})) for name, node in product.nodes.items()}
    engine = [settings.engine, settings.master, dict(settings.spark), str(settings.lake), settings.metastore is not None]
    return digest(
        "check",
        declared,
        other_parts,
        descriptions,
        known_times,
        dict(files),
        engine,
        _sources(),
        files_of_folder(product),
        versions(),
    )


def kept_remarks(key: str) -> list[str] | None:
    """Return the remarks of an earlier check with this key that found no problem; None where there was none."""
    file = _folder() / key
    try:
        remarks = json.loads(file.read_bytes())
        file.touch()
    except (OSError, ValueError):  # missing, or written by another version
        return None
    return [str(remark) for remark in remarks]


def keep(key: str, remarks: Sequence[str]) -> None:
    """Store that a check with this key found no problem, and its remarks; delete those that were used least recently."""
    with contextlib.suppress(OSError):  # a cache that cannot be written makes the next check slow, not wrong
        folder = _folder()
        put_file(folder / key, json.dumps(list(remarks)).encode())
        for file in sorted(
            (file for file in folder.iterdir() if file.is_file()), key=lambda file: file.stat().st_mtime, reverse=True
        )[MOST_STORED:]:
            file.unlink(missing_ok=True)


def _folder() -> Path:
    return cache_dir("checks")


def _sources() -> dict[str, str]:
    """Return the digest of every loaded module of the user."""
    library_folders = tuple(
        str(Path(place).resolve()) for name in ("stdlib", "purelib", "platlib") if (place := sysconfig.get_path(name))
    )
    caudal_folder = str(Path(caudal.__file__).resolve().parent)
    digests: dict[str, str] = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not file.endswith(".py") or name == "__main__":
            continue
        path = resolved(file)
        if not path.startswith((*library_folders, caudal_folder)):
            with contextlib.suppress(OSError):
                digests[path] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return digests


def files_of_folder(product: Product) -> dict[str, object]:
    """Return a digest, or size and time, of each code and settings file in the product's folder: functions may import and read them later."""
    folder = Path(product.where.file).parent
    states: dict[str, object] = {}
    for file in sorted(folder.rglob("*")):
        if file.suffix in _OF_CODE and not any(part.startswith(".") for part in file.relative_to(folder).parts):
            with contextlib.suppress(OSError):
                stat = file.stat()
                small = stat.st_size <= _SMALL_BYTES
                states[str(file)] = hashlib.sha256(file.read_bytes()).hexdigest() if small else (stat.st_size, stat.st_mtime_ns)
    return states


@cache
def versions() -> list[object]:
    """Return the versions of caudal, Spark, Python and Java, and a hash of what is installed and of what Sail was found to compute as Spark does."""
    folder = Path(caudal.__file__).parent
    # Tables of what is equal come with caudal; those of other versions of Sail lie in the user's cache.
    files = [file for place in (folder, cache_dir("sail")) for kind in ("*.py", "*.json") for file in place.rglob(kind)]
    code = sorted((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
    places = {place for name in ("purelib", "platlib") if (place := sysconfig.get_path(name))}
    site_packages = sorted((place, Path(place).stat().st_mtime_ns) for place in places if Path(place).is_dir())
    return [
        caudal.__version__,
        installed("pyspark").version,
        platform.python_version(),
        None if (java := spark_java()) is None else java.version,  # by it Sail is known to write the same texts of doubles
        hashlib.sha256(repr([code, site_packages]).encode()).hexdigest(),
    ]
