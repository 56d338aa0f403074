"""What goes along to another machine: the product, what its work reads, caudal itself, and the order of work."""

from __future__ import annotations

import bz2
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.compare.notebooks.libraries import imported_distributions, installed_versions, needed_extras
from caudal.compare.notebooks.order import ORDER, NotebookOrder
from caudal.compare.sent_files import code_files, matches_files, open_settings, source_files
from caudal.compare.wheel import installed_wheel
from caudal.graph.fingerprint import loaded_of
from caudal.graph.load import product_file

if TYPE_CHECKING:
    from caudal.compare.comparison import ComparisonRequest
    from caudal.compare.platform import Platform
    from caudal.declarations.product import Product
    from caudal.declarations.settings import Settings

MOST_WITHIN = 6 << 20
"""Bytes that a notebook holds before it is written as text; data beyond that goes beside it."""
_TRIED_WITHIN = 4 * MOST_WITHIN
_KEPT_SETTINGS = ("memory", "jobs", "workers", "settle")


@dataclass(frozen=True)
class Parcel:
    """A parcel.

    Parameters
    ----------
    content : a packed archive (zip within bzip2)
    data : bytes of data that does not fit in, and its files by their path in the archive; empty where all is in the content
    extras, libraries : of caudal, and distributions that the product imports
    left : settings that stay here, since they hold secrets
    read_there : sources that are read from where they are
    """

    order: NotebookOrder
    content: bytes
    apart: Mapping[str, Path]
    data_bytes: int
    extras: Sequence[str]
    libraries: Sequence[str]
    left: Sequence[str]
    read_there: Sequence[str]


def pack_parcel(request: ComparisonRequest, product: Product, platforms: Sequence[Platform]) -> Parcel:
    """Return the parcel with the work that platforms elsewhere are to do.

    Raises
    ------
    DeclarationProblem : a source reads what lies on this machine, and not below the folder of the data
    """
    file = product_file(request.order.product).resolve()
    flag = request.order.flags.get("data")
    folder = Path(flag) if flag is not None else file.parent
    sources = source_files(product, folder, "Colab")
    code = {
        **code_files(file.parent, [*sources.values(), request.folder, request.settings.home.absolute()]),
        **_modules(product, file.parent),
    }
    data = {f"data/{path}": each for path, each in sources.items()}
    for share, place in request.messages.items():
        data |= {
            f"{messages_folder(share)}/{each.relative_to(place).as_posix()}": each
            for each in sorted(place.rglob("*"))
            if each.is_file()
        }
    order = NotebookOrder(
        version("caudal"), request.product, request.order.workload, _digest(code), _digest(data), file.parent.name, file.name,
        tuple(platform.text for platform in platforms), request.repeats, request.warm_ups, request.seed, request.limit_s,
        tuple(fault.name for fault in request.faults), tuple(sorted(request.messages)), bool(sources),
        {platform.text: request.price[platform.text] for platform in platforms if platform.text in request.price},
        {path: each.stat().st_mtime_ns for path, each in data.items()},
    )  # fmt: skip
    loaded = loaded_of(product)
    libraries = imported_distributions(loaded.imports.libraries) if loaded is not None and loaded.imports is not None else []
    text, left = _settings_text(request.settings)
    name, wheel = installed_wheel()
    files = {
        ORDER: order.text().encode(), "caudal.toml": text.encode(), "constraints.txt": "\n".join(installed_versions()).encode(), f"wheel/{name}": wheel,
        **{path: each.read_bytes() for path, each in code.items()},
    }  # fmt: skip
    size = sum(each.stat().st_size for each in data.values())
    content, apart = b"", data
    if size <= _TRIED_WITHIN:
        content, apart = _packed({**files, **{path: each.read_bytes() for path, each in data.items()}}), {}
    if not content or len(content) > MOST_WITHIN:
        content, apart = _packed(files), data
    there = [
        f"{source.name} ({source.connection.kind})"
        for source in product.sources.values()
        if source.connection.kind not in ("stream", "simulated") and not matches_files(source.connection)
    ]
    spark = any(platform.engine == "spark" and platform.executor == "spark" for platform in platforms)
    return Parcel(order, content, apart, size, needed_extras(spark=spark), libraries, left, there)


def messages_folder(share: float) -> str:
    """Return the name of the folder of a parcel with the messages of a share of the data."""
    return f"messages-{share:g}"


def write_apart(parcel: Parcel, target: Path) -> str:
    """Write the data that does not fit into the parcel as a zip file, and return its SHA-256."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, file in parcel.apart.items():
            archive.write(file, path)
    with target.open("rb") as written:
        return hashlib.file_digest(written, "sha256").hexdigest()


def _packed(files: Mapping[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return bz2.compress(held.getvalue())


def _modules(product: Product, root: Path) -> dict[str, Path]:
    """Return the user's modules outside of the product's folder which the product imports."""
    loaded = loaded_of(product)
    imports = loaded.imports if loaded is not None else None
    return dict(_named_modules(imports.users, root)) if imports is not None else {}


def _named_modules(users: Mapping[str, str], root: Path) -> Iterator[tuple[str, Path]]:
    for name, text in users.items():
        file = Path(text).resolve()
        if not file.is_relative_to(root):
            place = name.replace(".", "/")
            yield f"modules/{place}/__init__.py" if file.stem == "__init__" else f"modules/{place}{file.suffix}", file


def _digest(files: Mapping[str, Path]) -> str:
    total = hashlib.sha256()
    for path, file in sorted(files.items()):
        with file.open("rb") as content:
            total.update(f"{path} {hashlib.file_digest(content, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()[:32]


def _settings_text(settings: Settings) -> tuple[str, list[str]]:
    """Return a ``caudal.toml`` of the settings that hold on each platform, and the names of those that hold secrets and stay here."""
    lines = [f"{name} = {json.dumps(value)}" for name in _KEPT_SETTINGS if (value := getattr(settings, name)) is not None]
    lines += [f"trust = {json.dumps(list(settings.trust))}"] if settings.trust else []
    spark = open_settings(settings.spark)
    lines += ["[spark]", *(f"{json.dumps(name)} = {json.dumps(value)}" for name, value in spark.items())]
    return "\n".join(lines) + "\n", sorted(settings.spark.keys() - spark.keys())
