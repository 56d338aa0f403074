"""A parcel: all that the work needs where nothing of this machine can be read, in one zip file."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import caudal
from caudal.declarations.connection import Files
from caudal.declarations.database import Database
from caudal.errors import DeclarationProblem
from caudal.graph.load import load, product_file
from caudal.stages.ingest.files import matching_files

if TYPE_CHECKING:
    from caudal.compare.attempt import WorkOrder

_ORDER = "order.json"
_PRODUCT, _DATA = "product", "data"


def write_parcel(parcel: Path, order: WorkOrder, settings: Mapping[str, Any]) -> None:
    """Write the product's folder, the files that its sources match on this machine, and the order of work.

    Parameters
    ----------
    settings : those that the work has there, as `caudal.compare.repetition` takes them

    Raises
    ------
    DeclarationProblem : a source reads what lies on this machine and cannot be sent
    """
    product = product_file(order.product)
    root = product.absolute().parent
    data = Path(str(order.flags.get("data") or root)).absolute()
    folder = f"{_PRODUCT}/{root.name}"
    inside = data.is_relative_to(root)
    flags = {**order.flags, "data": str(PurePosixPath(folder, data.relative_to(root).as_posix())) if inside else _DATA}
    document = {
        "product": f"{folder}/{product.name}" if order.product.suffix == ".py" else folder, "workload": order.workload, "flags": flags,
        "changes": dict(settings), "caudal": caudal.__version__,
    }  # fmt: skip
    with zipfile.ZipFile(parcel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_ORDER, json.dumps(document, indent=1))
        for file in _product_files(root):
            archive.write(file, f"{folder}/{file.relative_to(root).as_posix()}")
        for file in sorted({*_source_files(product, data)}):
            if not file.is_relative_to(root):
                archive.write(file, f"{_DATA}/{file.relative_to(data).as_posix()}")


def unpack_parcel(parcel: Path, folder: Path) -> dict[str, Any]:
    """Unpack a parcel and return its order, with the paths that it has here."""
    with zipfile.ZipFile(parcel) as archive:
        archive.extractall(folder)
    order: dict[str, Any] = json.loads((folder / _ORDER).read_text())
    data = folder / order["flags"]["data"]
    data.mkdir(parents=True, exist_ok=True)
    return {**order, "product": str(folder / order["product"]), "flags": {**order["flags"], "data": str(data)}}


def _product_files(root: Path) -> Iterator[Path]:
    """Yield the files of a product's folder, without hidden ones, such as its home, and without what Python has compiled."""
    for file in sorted(root.rglob("*")):
        parts = file.relative_to(root).parts
        if file.is_file() and "__pycache__" not in parts and not any(part.startswith(".") for part in parts):
            yield file


def _source_files(product: Path, data: Path) -> Iterator[Path]:
    for source in load(product).sources.values():
        connection = source.connection
        if isinstance(connection, Database) and str(connection.address).startswith("sqlite"):
            raise _stays_here(source.name, "a database of this machine")
        pattern = getattr(connection, "pattern", None)
        if not isinstance(pattern, str) or "://" in pattern:
            continue
        if Path(pattern).expanduser().is_absolute() or ".." in Path(pattern).parts:
            raise _stays_here(source.name, f"'{pattern}' on this machine, which is no path below the data folder")
        follows = bool(getattr(connection, "follow_links", True))
        yield from (path for path, _ in matching_files(Files(pattern, required=False, follow_links=follows), data))


def _stays_here(source: str, what: str) -> DeclarationProblem:
    return DeclarationProblem(
        f"Source '{source}' reads {what}, and a service cannot reach it.",
        fix="Compare it with files below --data, or at an address that the service reaches.",
    )
