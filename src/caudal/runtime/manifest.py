"""Decides whether a run has anything to do, without importing the product, Spark or scikit-learn.

After a run that succeeded, the ledger keeps what the run was made of: the product folder's files, every other module of the user's,
what loading the product and its functions read, the settings, the installed versions, the sources' arrivals and the tables' versions.
While all of that is unchanged, a run has nothing to do. A product for which that cannot be decided is always loaded.
"""

from __future__ import annotations

import math
import os
import sys
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

import caudal
from caudal.declarations.connection import Files
from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.errors import CaudalError
from caudal.extras import installed
from caudal.graph.fingerprint import digest, file_digest, loaded_of
from caudal.graph.libraries import library_state, library_version
from caudal.graph.loaded import product_files
from caudal.graph.modules import add_product_folder, locate
from caudal.graph.reads import Reads
from caudal.graph.registered import tables_of
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import decisions, landed, manifests
from caudal.ledger.rows import CodeDocument, PatternDocument
from caudal.ledger.trials import open_trials
from caudal.report.document import run_document
from caudal.report.run_document import RunDocument
from caudal.runtime.storage import files_exist, files_of_tables, missing_raw
from caudal.secret import shown
from caudal.stages.ingest import KnownFile, arrivals
from caudal.storage import delta
from caudal.tables.home import Home
from caudal.tables.view_places.sqlite import view_file, views

if TYPE_CHECKING:
    from sqlalchemy import Table

LIBRARIES = ("pyspark", "scikit-learn", "numpy", "pandas", "pyarrow", "deltalake")


def folder_digest(folder: Path) -> str:
    """Return the fingerprint of all Python and SQL files of a product's folder, but its tests."""
    return file_digest(product_files(folder, ("*.py", "*.sql", "*.toml")))


def store_manifest(
    file: Path, settings: Settings, home: Home, ledger: Ledger, product: Product, pipeline: str, document: RunDocument, *,
    due_at: float | None = None,
) -> None:  # fmt: skip
    """Store the manifest of a run that succeeded: what it was made of. Products with remote sources have none: only a request shows a change.

    Parameters
    ----------
    due_at : time from which a run has something to do though nothing has changed; None: never
    """
    sources = {
        name: {
            "pattern": source.connection.pattern,
            "format": source.connection.format,
            "settle_s": source.connection.settle_s,
            "required": source.connection.required,
        }
        for name, source in product.sources.items()
        if isinstance(source.connection, Files)
    }
    connections = [source.connection for source in product.sources.values()]
    if any(connection.remote if isinstance(connection, Files) else connection.kind != "simulated" for connection in connections):
        return
    if any(source.after for source in product.sources.values()):  # whether the user's tasks are complete is checked each time
        return
    if product.lookups and settings.online:  # what another place of online views holds is asked by the steps
        return
    if product.custom:  # only their packages know whether their output is still there
        return
    reads = Reads()
    for name in product.tables:
        reads = reads.merged_with(reads_of(home, product.name, name))
    code = code_document(product, reads)
    if code is None:
        return
    manifest = {
        "product": product.name, "pipeline": pipeline, "made_of": _made_of(file, settings), "sources": sources,
        "warehouses": {name: _address(variable, settings) for name, variable in _warehouses(product).items()},
        "publications": _warehouses(product), **code,
        "versions": {name: _version(home, product.name, name) for name in tables_of(product)},
        "decisions": _newest(ledger, decisions, product.name), "landed": _newest(ledger, landed, product.name), "run_id": document["run_id"],
        "steps": [step["step"] for step in document["steps"]],
        "files": files_of_tables(home, product.name, tables_of(product)), "due_at": due_at,
        "views": [model for model, _ in views(home.online(product.name))],
    }  # fmt: skip
    with ledger.engine.begin() as connection:
        key = {"product": product.name, "folder": _key(file, pipeline)}
        connection.execute(delete(manifests).where(manifests.c.product == key["product"], manifests.c.folder == key["folder"]))
        connection.execute(insert(manifests).values(document=manifest, **key))


def nothing_new(file: Path, settings: Settings, home: Home, ledger: Ledger, pipeline: str) -> RunDocument | None:
    """Return the document of a run without work, when nothing has changed since the last run of the file; else None."""
    began = time.perf_counter()
    rows = ledger.find(manifests, folder=_key(file, pipeline))
    if not rows:
        return None
    manifest = rows[-1]["document"]
    product = manifest["product"]
    is_unchanged = (
        manifest["made_of"] == _made_of(file, settings)
        and time.time() < (manifest.get("due_at") or math.inf)
        and is_code_unchanged(manifest, file.resolve().parent)
        and all(_version(home, product, name) == number for name, number in manifest["versions"].items())
        and manifest.get("warehouses", {})
        == {name: _address(variable, settings) for name, variable in manifest.get("publications", {}).items()}
        and manifest.get("decisions") == _newest(ledger, decisions, product)
        and not open_trials(ledger, product=product)  # what servers have seen meanwhile may decide it
        and manifest.get("landed") == _newest(ledger, landed, product)
        and files_exist(home, product, manifest.get("files", ()))
        and not missing_raw(home, ledger, product)
        and all(view_file(home.online(product), model).is_file() for model in manifest.get("views", ()))
        and all(_nothing_arrived(ledger, settings, product, name, source) for name, source in manifest["sources"].items())
    )
    if not is_unchanged:
        return None

    last = run_document(ledger, manifest["run_id"])
    document = last.copy()
    document["state"], document["seconds"] = "up to date", round(time.perf_counter() - began, 4)
    document["landed"] = {name: {"files": 0, "rows": 0, "bytes": 0} for name in last["landed"]}
    document["tables"] = {
        name: {
            "rows_read": 0, "rows_written": 0, "rows_quarantined": 0, "version": table["version"], "partitions_written": 0, "reasons": {},
        }
        for name, table in last["tables"].items()
    }  # fmt: skip
    document["steps"] = [{"step": step, "state": "skipped", "seconds": 0.0, "why": "nothing new"} for step in manifest["steps"]]
    return document


def reads_of(home: Home, product: str, table: str) -> Reads:
    """Return what a table's function read when the newest version was made."""
    folder = home.table(product, table)
    number = delta.version_of(folder)
    return Reads.of(delta.identity(folder, number).get("reads") if number is not None else None)


def code_document(product: Product, reads: Reads | None = None) -> CodeDocument | None:
    """Return what a product's code depends on beside the files of its folder; None where that cannot be decided without loading it.

    Parameters
    ----------
    reads : what its functions read when they were called
    """
    loaded = loaded_of(product)
    if loaded is None or loaded.imports is None:
        return None
    all_reads = loaded.reads.merged_with(reads or Reads()).merged_with(Reads(dict(loaded.named)))
    if all_reads.unseen or loaded.reads_clock:  # that can be read again only by loading the product
        return None
    root, imports = loaded.root, loaded.imports
    outside = {
        *map(str, _user_modules_elsewhere(root)),
        *(file for file in imports.users.values() if not Path(file).is_relative_to(root)),
    }
    return {
        "outside": {path: file_digest([Path(path)]) for path in sorted(outside)}, "imports": dict(imports.origins),
        "libraries": {name: state for module in sorted(imports.libraries) for name, state in library_state(module).items()},
        "reads": all_reads.document(),
    }  # fmt: skip


def is_code_unchanged(document: CodeDocument, root: Path) -> bool:
    """Return whether what `code_document` returned is unchanged: modules elsewhere, targets of imports, what was read, libraries."""
    add_product_folder(root)
    reads = Reads.of(document.get("reads"))
    return (
        all(state == library_version(name) for name, state in document.get("libraries", {}).items())
        and all(locate(name, root) == origin for name, origin in document.get("imports", {}).items())
        and all(
            Path(path).is_file() and file_digest([Path(path)]) == known_digest for path, known_digest in document["outside"].items()
        )
        and reads.current() == reads
    )


def _warehouses(product: Product) -> dict[str, str | None]:
    """Return the environment variable, or None for the setting, with the address of each publication whose address the product's file does not give."""
    places = {name: publication.to.address for name, publication in product.publications.items()}
    return {name: None if place is None else place.variable for name, place in places.items() if place is None or place.variable}


def _address(variable: str | None, settings: Settings) -> str:
    return shown((settings.warehouse if variable is None else os.environ.get(variable)) or "")


def _made_of(file: Path, settings: Settings) -> str:
    parts = [
        folder_digest(file.parent),
        str(settings.data and settings.data.resolve()),
        dict(settings.spark),
        settings.metastore,
    ]
    parts += [settings.lake] if settings.lake else []
    parts += [shown(settings.online)] if settings.online else []
    return digest(*parts, caudal.__version__, {name: installed(name).version for name in LIBRARIES}, sys.version)


def _nothing_arrived(ledger: Ledger, settings: Settings, product: str, name: str, source: PatternDocument) -> bool:
    rows = ledger.find(landed, product=product, source=name)
    known_files = {row["path"]: KnownFile(row["etag"], row["modified_ns"], row["bytes"], row["sha256"]) for row in rows}
    newest = {row["path"]: (row["bytes"], row["modified_ns"]) for row in rows}
    connection = Files(source["pattern"], source["format"], {}, source["settle_s"], source["required"])
    try:
        arrived = arrivals(connection, data=settings.data, scratch=Path(), landed=known_files, clock=time.time)
    except CaudalError:
        return False  # the run itself reports the error
    return all(newest.get(arrival.path) == (arrival.bytes, arrival.modified_ns) for arrival in arrived)


def _user_modules_elsewhere(root: Path) -> list[Path]:
    """Return the files of the user's modules outside the product's folder, as far as they exist."""
    places = [sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")]
    excluded = [Path(place).resolve() for place in places if place] + [Path(caudal.__file__).resolve().parent, root]
    # Most of some three thousand modules are excluded by their names; resolving the links of each would take seconds.
    plain = tuple(f"{place}{os.sep}" for place in excluded)
    files = {file for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None)) and file.endswith(".py")}
    candidates = [Path(file).resolve() for file in sorted(files) if not file.startswith(plain)]
    ours = [
        candidate
        for candidate in candidates
        if not any(candidate.is_relative_to(place) for place in excluded) and "site-packages" not in candidate.parts
    ]
    return [our for our in ours if our.is_file()]


def _version(home: Home, product: str, name: str) -> int | None:
    return delta.version_of(home.table(product, name))


def _newest(ledger: Ledger, table: Table, product: str) -> int:
    """Return the number of a product's newest entry in one of the ledger's tables."""
    number = table.c.seq if "seq" in table.c else table.c.id
    newest = ledger.rows(select(table).where(table.c.product == product).order_by(number.desc()).limit(1))
    return int(newest[0].get("seq") or newest[0]["id"]) if newest else 0


def _key(file: Path, pipeline: str) -> str:
    return f"{file.resolve()}#{pipeline}"
