"""Is there anything to do at all? Told without importing the product, Spark or scikit-learn.

After a run that succeeded, the ledger keeps what the run was made of: the product folder's files, every other module of the user's,
what loading the product and its functions read, the settings, the installed versions, the sources' arrivals and the tables' versions.
While all of that is as it was, a run has nothing to do. A product of which that cannot be told is always loaded.
"""

from __future__ import annotations

import importlib.metadata
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
from caudal.graph.fingerprint import digest, file_digest, loaded_of
from caudal.graph.libraries import library_state, version
from caudal.graph.loaded import product_files
from caudal.graph.modules import enter, locate
from caudal.graph.reads import Reads
from caudal.graph.registered import tables_of
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import decisions, landed, manifests
from caudal.ledger.rows import CodeDocument, PatternDocument
from caudal.report.document import run_document
from caudal.report.run_document import RunDocument
from caudal.runtime.storage import files_of_tables, missing_raw, still_there
from caudal.secret import shown
from caudal.stages.ingest import KnownFile, arrivals
from caudal.storage import delta
from caudal.tables.home import Home

if TYPE_CHECKING:
    from sqlalchemy import Table

LIBRARIES = ("pyspark", "scikit-learn", "numpy", "pandas", "pyarrow", "deltalake")


def folder_digest(folder: Path) -> str:
    """Return the fingerprint of all Python and SQL files of a product's folder, but its tests."""
    return file_digest(product_files(folder, ("*.py", "*.sql", "*.toml")))


def remember(
    file: Path, settings: Settings, home: Home, ledger: Ledger, product: Product, pipeline: str, document: RunDocument
) -> None:
    """Keep what a run of a product's file that succeeded was made of; products that must be asked over the network are not kept."""
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
    asked = [source.connection for source in product.sources.values()]
    if any(one.remote if isinstance(one, Files) else one.kind != "simulated" for one in asked):
        return
    if any(source.after for source in product.sources.values()):  # tasks of others are asked each time whether they are complete
        return
    if product.custom:  # only their packages know whether what they made is still there
        return
    reads = Reads()
    for name in product.tables:
        reads = reads.also(reads_of(home, product.name, name))
    code = code_document(product, reads)
    if code is None:
        return
    said = {
        "product": product.name, "pipeline": pipeline, "made_of": _made_of(file, settings), "sources": sources,
        "warehouses": {name: _address(variable, settings) for name, variable in _warehouses(product).items()},
        "publications": _warehouses(product), **code,
        "versions": {name: _version(home, product.name, name) for name in tables_of(product)},
        "decisions": _newest(ledger, decisions, product.name), "landed": _newest(ledger, landed, product.name), "run_id": document["run_id"],
        "steps": [step["step"] for step in document["steps"]],
        "files": files_of_tables(home, product.name, tables_of(product)),
    }  # fmt: skip
    with ledger.engine.begin() as connection:
        key = {"product": product.name, "folder": _key(file, pipeline)}
        connection.execute(delete(manifests).where(manifests.c.product == key["product"], manifests.c.folder == key["folder"]))
        connection.execute(insert(manifests).values(document=said, **key))


def nothing_new(file: Path, settings: Settings, home: Home, ledger: Ledger, pipeline: str) -> RunDocument | None:
    """Return the document of a run of a product's file that does nothing, when nothing has changed since the last one; else None."""
    began = time.perf_counter()
    found = ledger.find(manifests, folder=_key(file, pipeline))
    if not found:
        return None
    said = found[-1]["document"]
    product = said["product"]
    same = (
        said["made_of"] == _made_of(file, settings)
        and code_as_it_was(said, file.resolve().parent)
        and all(_version(home, product, name) == number for name, number in said["versions"].items())
        and said.get("warehouses", {})
        == {name: _address(variable, settings) for name, variable in said.get("publications", {}).items()}
        and said.get("decisions") == _newest(ledger, decisions, product)
        and said.get("landed") == _newest(ledger, landed, product)
        and still_there(home, product, said.get("files", ()))
        and not missing_raw(home, ledger, product)
        and all(_nothing_arrived(ledger, settings, product, name, source) for name, source in said["sources"].items())
    )
    if not same:
        return None

    last = run_document(ledger, said["run_id"])
    document = last.copy()
    document["state"], document["seconds"] = "up to date", round(time.perf_counter() - began, 4)
    document["landed"] = {name: {"files": 0, "rows": 0, "bytes": 0} for name in last["landed"]}
    document["tables"] = {
        name: {
            "rows_read": 0, "rows_written": 0, "rows_quarantined": 0, "version": table["version"], "partitions_written": 0, "reasons": {},
        }
        for name, table in last["tables"].items()
    }  # fmt: skip
    document["steps"] = [{"step": step, "state": "skipped", "seconds": 0.0, "why": "nothing new"} for step in said["steps"]]
    return document


def reads_of(home: Home, product: str, table: str) -> Reads:
    """Return what a table's function read when the newest version was made."""
    folder = home.table(product, table)
    number = delta.version_of(folder)
    return Reads.of(delta.identity(folder, number).get("reads") if number is not None else None)


def code_document(product: Product, reads: Reads | None = None) -> CodeDocument | None:
    """Return what a product's code is made of beside the files of its folder; None where that cannot be told without loading it.

    Parameters
    ----------
    reads : what its functions read when they were called
    """
    loaded = loaded_of(product)
    if loaded is None or loaded.imports is None:
        return None
    whole = loaded.reads.also(reads or Reads()).also(Reads(dict(loaded.named)))
    if whole.unseen or loaded.by_clock:  # what it was told cannot be asked again without loading it
        return None
    root, imports = loaded.root, loaded.imports
    outside = {*map(str, _outside(root)), *(file for file in imports.users.values() if not Path(file).is_relative_to(root))}
    return {
        "outside": {path: file_digest([Path(path)]) for path in sorted(outside)}, "imports": dict(imports.origins),
        "libraries": {name: state for module in sorted(imports.libraries) for name, state in library_state(module).items()},
        "reads": whole.document(),
    }  # fmt: skip


def code_as_it_was(said: CodeDocument, root: Path) -> bool:
    """Tell whether what `code_document` returned is still so: modules elsewhere, where imports lead, what was read, libraries."""
    enter(root)
    reads = Reads.of(said.get("reads"))
    return (
        all(state == version(name) for name, state in said.get("libraries", {}).items())
        and all(locate(name, root) == origin for name, origin in said.get("imports", {}).items())
        and all(Path(path).is_file() and file_digest([Path(path)]) == known for path, known in said["outside"].items())
        and reads.now() == reads
    )


def _warehouses(product: Product) -> dict[str, str | None]:
    """Return the variable, or None for the setting, that says where each publication goes, where the product's file does not."""
    places = {name: publication.to.address for name, publication in product.publications.items()}
    return {name: None if place is None else place.variable for name, place in places.items() if place is None or place.variable}


def _address(variable: str | None, settings: Settings) -> str:
    return shown((settings.warehouse if variable is None else os.environ.get(variable)) or "")


def _made_of(file: Path, settings: Settings) -> str:
    told = [
        folder_digest(file.parent),
        str(settings.data and settings.data.resolve()),
        dict(settings.spark),
        settings.metastore,
    ]
    told += [settings.lake] if settings.lake else []
    return digest(*told, caudal.__version__, {name: importlib.metadata.version(name) for name in LIBRARIES}, sys.version)


def _nothing_arrived(ledger: Ledger, settings: Settings, product: str, name: str, source: PatternDocument) -> bool:
    rows = ledger.find(landed, product=product, source=name)
    seen = {row["path"]: KnownFile(row["etag"], row["modified_ns"], row["bytes"], row["sha256"]) for row in rows}
    newest = {row["path"]: (row["bytes"], row["modified_ns"]) for row in rows}
    connection = Files(source["pattern"], source["format"], {}, source["settle_s"], source["required"])
    try:
        found = arrivals(connection, data=settings.data, scratch=Path(), seen=seen, clock=time.time)
    except CaudalError:
        return False  # the run itself will say what is wrong
    return all(newest.get(one.path) == (one.bytes, one.modified_ns) for one in found)


def _outside(root: Path) -> list[Path]:
    """Return the modules of the user's that lie elsewhere than in the product's folder, and still do."""
    places = [sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")]
    known = [Path(place).resolve() for place in places if place] + [Path(caudal.__file__).resolve().parent, root]
    # Most of some three thousand modules are told by their names; to follow the links of each would take seconds.
    plain = tuple(f"{place}{os.sep}" for place in known)
    files = {file for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None)) and file.endswith(".py")}
    asked = [Path(file).resolve() for file in sorted(files) if not file.startswith(plain)]
    ours = [one for one in asked if not any(one.is_relative_to(place) for place in known) and "site-packages" not in one.parts]
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
