"""A parcel: all that the work needs where nothing of this machine can be read, in one zip file."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import caudal
from caudal.compare.sent_files import code_files, source_files
from caudal.graph.load import load, product_file

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
    files = code_files(root) | {
        f"{flags['data']}/{name}": file for name, file in source_files(load(product), data, "a service").items()
    }
    with zipfile.ZipFile(parcel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_ORDER, json.dumps(document, indent=1))
        for name, file in sorted(files.items()):
            archive.write(file, name)


def unpack_parcel(parcel: Path, folder: Path) -> dict[str, Any]:
    """Unpack a parcel and return its order, with the paths that it has here."""
    with zipfile.ZipFile(parcel) as archive:
        archive.extractall(folder)
    order: dict[str, Any] = json.loads((folder / _ORDER).read_text())
    data = folder / order["flags"]["data"]
    data.mkdir(parents=True, exist_ok=True)
    return {**order, "product": str(folder / order["product"]), "flags": {**order["flags"], "data": str(data)}}
