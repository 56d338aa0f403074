"""That a product was found without fault is kept, by all that could change it: the same check need not start Spark again.

Only "nothing wrong" is kept. Whatever the check saw is part of the key: the code and parameters of every declaration, the whole source
of every module of the user's that is loaded, the columns that were read from files, and the versions of caudal, Spark and Python. In
doubt the key is another, and the check is made.
"""

from __future__ import annotations

import contextlib
import hashlib
import platform
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

import caudal
from caudal.declarations.product import Product
from caudal.engine.cache import cache_dir
from caudal.graph.fingerprint import code_of, describe, digest

KEPT = 200
_OF_CODE = (".py", ".sql", ".toml", ".json", ".yaml", ".yml", ".ini", ".cfg")
_SMALL_BYTES = 2**20


def key_of(product: Product, files: Mapping[str, object]) -> str:
    """Return what identifies a product and all that its check depends on.

    Parameters
    ----------
    files : by source without a full schema, what identifies the file that its columns would be read from
    """
    declared = [code_of(thing) for things in (product.nodes, product.models, product.publications) for thing in things.values()]
    more = [describe(one) for one in (product.servings, product.predictions, product.subjects, product.retentions, product.tz)]
    abouts = {table: sorted(columns) for table, columns in product.abouts.items()}
    knowns = {name: dict(getattr(node, "known", {})) for name, node in product.nodes.items()}
    return digest("check", declared, more, abouts, knowns, dict(files), _sources(), files_of_folder(product), versions())


def is_kept(key: str) -> bool:
    """Tell whether the check of this key found nothing wrong before."""
    file = _folder() / key
    with contextlib.suppress(OSError):
        file.touch(exist_ok=True) if file.is_file() else None
        return file.is_file()
    return False


def keep(key: str) -> None:
    """Keep that the check of this key found nothing wrong; those that were used least recently go."""
    with contextlib.suppress(OSError):  # a cache that cannot be written makes the next check slow, not wrong
        folder = _folder()
        (folder / key).touch()
        for file in sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True)[KEPT:]:
            file.unlink(missing_ok=True)


def _folder() -> Path:
    return cache_dir("checks")


def _sources() -> dict[str, str]:
    """Return the digest of every module of the user's that is loaded."""
    places = tuple(str(Path(place).resolve()) for name in ("stdlib", "purelib", "platlib") if (place := sysconfig.get_path(name)))
    own = str(Path(caudal.__file__).resolve().parent)
    found = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not file.endswith(".py") or name == "__main__":
            continue
        path = str(Path(file).resolve())
        if not path.startswith((*places, own)):
            with contextlib.suppress(OSError):
                found[path] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return found


def files_of_folder(product: Product) -> dict[str, object]:
    """Return what identifies the code and settings in the product's folder: functions may import and read them later."""
    folder = Path(product.where.file).parent
    found: dict[str, object] = {}
    for file in sorted(folder.rglob("*")):
        if file.suffix in _OF_CODE and not any(part.startswith(".") for part in file.relative_to(folder).parts):
            with contextlib.suppress(OSError):
                stat = file.stat()
                small = stat.st_size <= _SMALL_BYTES
                found[str(file)] = hashlib.sha256(file.read_bytes()).hexdigest() if small else (stat.st_size, stat.st_mtime_ns)
    return found


@cache
def versions() -> list[object]:
    """Return the versions of what checks, and when anything was installed last."""
    folder = Path(caudal.__file__).parent
    code = sorted((str(file.relative_to(folder)), file.stat().st_mtime_ns, file.stat().st_size) for file in _files(folder))
    places = {place for name in ("purelib", "platlib") if (place := sysconfig.get_path(name))}
    installed = sorted((place, Path(place).stat().st_mtime_ns) for place in places if Path(place).is_dir())
    return [
        caudal.__version__,
        version("pyspark"),
        platform.python_version(),
        hashlib.sha256(repr([code, installed]).encode()).hexdigest(),
    ]


def _files(folder: Path) -> Iterator[Path]:
    return folder.rglob("*.py")
