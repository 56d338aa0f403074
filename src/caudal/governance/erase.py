"""``caudal erase``: one person's rows leave raw files, tables, quarantine, predictions and old versions; a proof is left.

The raw files are rewritten without the rows, then the product is run, so that every table, aggregate and prediction is made of what
is left; what of the subject lies in files that no newest version names is deleted. Whoever is killed runs the same command again: it
looks at what is there, not at what was done.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from caudal.batch.batch import run
from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.errors import DeclarationProblem, StepFailed
from caudal.governance.held import Held
from caudal.governance.identity import Person
from caudal.governance.proof import write_proof
from caudal.governance.raw_kinds import raw_kind, without_subject
from caudal.governance.subject import columns_of, holding, in_raw, kind_of, person, raw_column, search, search_tables
from caudal.graph.load import load, product_file, with_data
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import deletions, erasures, landed, manifests, model_versions, profiles
from caudal.ledger.rows import ErasureRow, ModelVersionRow
from caudal.report.figures import plural
from caudal.report.run_document import RunDocument
from caudal.runtime.lifecycle import new_run_id, who
from caudal.runtime.opening import held as alone, opened
from caudal.runtime.workspace import Progress
from caudal.storage import delta
from caudal.storage.lease import lease
from caudal.storage.parquet import WRITTEN, read
from caudal.storage.place import Place, local, target
from caudal.tables import changes, erased, lifespans
from caudal.tables.home import Home
from caudal.tables.landing import origin_of, store_path

_KINDS = ("raw", "table", "quarantine")  # told of every product; logs of streams where there are rows


def erase(
    folder: Path, settings: Settings, subject: str, *, yes: bool = False, progress: Progress | None = None, clock: Callable[[], float] = time.time
) -> dict[str, Any]:  # fmt: skip
    """Return where a person's rows lie; with ``yes`` they are erased, and the proof is returned.

    Raises
    ------
    DeclarationProblem : no such column is declared as one that names a person
    StepFailed : rows of the subject are left
    """
    from caudal.streaming.sources import stream_lease

    file = product_file(folder)
    product, home = load(file), opened(settings)
    settings = with_data(settings, file)
    told = person(product, subject)
    with contextlib.ExitStack() as open_:
        ledger = open_.enter_context(contextlib.closing(home.ledger()))
        open_.enter_context(lease(stream_lease(home, product), f"{product.name} (stream)"))
        with _alone(home, ledger, product):
            held, searched, not_searched = search(product, home, ledger, told)
            plan = _document(product, home, ledger, told, held, searched, not_searched)
            if not yes or not (held or _running(ledger, product, told)):
                if yes and not_searched:
                    raise unsearched(plan)
                return {**plan, "done": False, "earlier": _earlier(ledger, product, told)}
            _can(product, ledger, held)
            begun = _begin(ledger, product, told, plan, clock())
            _clear_manifests(ledger, product)
            _raw_files(product, home, ledger, told, held, begun["erasure"], clock())
        result = run(file, settings, progress=progress)
        with _alone(home, ledger, product):
            _what_is_left(product, home, ledger, told, begun["erasure"], clock())
            left, searched, not_searched = search(product, home, ledger, told)
            after = _document(product, home, ledger, told, left, searched, not_searched)
            proof = _end(product, home, ledger, begun, after, result.document, clock())
    if others := [one for one in left if one.stays is None]:
        raise StepFailed(
            f"{sum(other.rows for other in others)} rows of the subject are left, in {', '.join(sorted({other.name for other in others}))}.",
            fix="Mend what the run says is wrong, and give the same command again.", product=product.name,
        )  # fmt: skip
    if after["not_searched"] or after["stays"]:
        raise unsearched(after, proof["page"])
    return proof


def unsearched(told: Mapping[str, Any], page: str | None = None) -> StepFailed:
    """Return that rows of the subject stay, or may be left, in places that could not be written anew or searched."""
    places, stays = told["not_searched"], told["stays"]
    done = f"What could be searched and written holds no row of the subject any more ({page})" if page else "Nothing was touched"
    could_not = f"{plural(len(places), 'place')} could not be searched, and may hold rows of the subject: {'; '.join(places)}."
    stay = f"{plural(len(stays), 'place')} cannot be written without the subject's rows, which stay: {'; '.join(stays)}."
    return StepFailed(
        " ".join([*([could_not] if places else []), *([stay] if stays else [])]),
        fix=f"{done}. Mend or erase these at their origin, deliver them again, and give the same command again.",
        product=told["product"], page=page, not_searched=list(places), stays=list(stays),
    )  # fmt: skip


@contextlib.contextmanager
def _alone(home: Home, ledger: Ledger, product: Product) -> Iterator[None]:
    """Hold the product for the length of the block, and leave no copy of a remote raw file on this machine."""
    with alone(home, ledger, product):
        try:
            yield
        finally:
            shutil.rmtree(home.scratch(product.name), ignore_errors=True)


def _document(
    product: Product, home: Home, ledger: Ledger, told: Person, held: Sequence[Held], searched: Mapping[str, int], not_searched: Sequence[str]
) -> dict[str, Any]:  # fmt: skip
    """Return what was found, JSON-ready."""
    rows = ledger.find(model_versions, product=product.name)
    return {
        "product": product.name, "column": told.column, "places": [one.told() for one in held], "searched": dict(searched),
        "not_searched": list(not_searched), "stays": [one.where() for one in held if one.stays is not None], "columns": {name: sorted(column) for name, column in columns_of(product, home, ledger, told).items()},
        "rows": {kind: sum(one.rows for one in held if one.kind == kind) for kind in (*_KINDS, *(["stream"] if any(one.kind == "stream" for one in held) else []))},
        "models": [
            {"model": row["model"], "version": row["version"], "training_table": row["training_table"], "training_version": row["training_version"]}
            for row in rows if _learned_from(home, product, row, held)
        ],
        "origins": sorted({str(origin_of(one.row)) for one in held if one.row and origin_of(one.row).exists()}),
    }  # fmt: skip


def _learned_from(home: Home, product: Product, row: ModelVersionRow, held: Sequence[Held]) -> bool:
    """Tell whether a model's version was trained on a table version that holds the subject."""
    files = {one.file for one in held if one.kind == "table" and one.name == row["training_table"]}
    spans = lifespans.lifespans(home.table(product.name, row["training_table"]))[0] if files else []
    return any(span.path in files and span.named_by([row["training_version"]]) for span in spans)


def _can(product: Product, ledger: Ledger, held: Sequence[Held]) -> None:
    """Refuse where corrections stand in for rows of a raw file: they name its rows by a hash that would change."""
    for name in {one.name for one in held if one.kind == "raw"}:
        if ledger.find(landed, product=product.name, source=name, kind="correction"):
            raise DeclarationProblem(
                f"Source '{name}' has corrections, and raw files with corrected rows cannot be rewritten yet.",
                fix="Deliver the files again without the subject and with the corrections in them.", source=name,
            )  # fmt: skip


def _begin(ledger: Ledger, product: Product, told: Person, plan: Mapping[str, Any], now: float) -> ErasureRow:
    """Return the record of this erasure: the one that was cut off, or a new one."""
    if (row := _running(ledger, product, told)) is not None:
        return row
    salt = secrets.token_hex(16)
    begun: ErasureRow = {
        "erasure": f"erase-{new_run_id()}", "product": product.name, "column": told.column, "salt": salt, "subject": told.digest(salt),
        "state": "running", "who": who(), "started_at": now, "finished_at": None, "before": dict(plan), "proof_sha256": None,
    }  # fmt: skip
    ledger.add(erasures, begun)
    return begun


def _running(ledger: Ledger, product: Product, told: Person) -> ErasureRow | None:
    """Return the erasure of this subject that was cut off."""
    rows = ledger.find(erasures, product=product.name, column=told.column, state="running")
    return next((row for row in rows if row["subject"] == told.digest(row["salt"])), None)


def _earlier(ledger: Ledger, product: Product, told: Person) -> list[dict[str, Any]]:
    """Return the erasures of this subject that were done before."""
    rows = ledger.find(erasures, product=product.name, column=told.column, state="done")
    return [
        {"erasure": row["erasure"], "at": row["finished_at"], "who": row["who"], "proof_sha256": row["proof_sha256"]}
        for row in rows if row["subject"] == told.digest(row["salt"])
    ]  # fmt: skip


def _clear_manifests(ledger: Ledger, product: Product) -> None:
    """Make the next run look at everything: that raw files were replaced is no arrival."""
    from sqlalchemy import delete

    with ledger.engine.begin() as connection:
        connection.execute(delete(manifests).where(manifests.c.product == product.name))


def _raw_files(product: Product, home: Home, ledger: Ledger, told: Person, held: Sequence[Held], erasure: str, now: float) -> None:
    """Rewrite each raw file that holds the subject, and delete old contents that a cut-off erasure has left."""
    columns = columns_of(product, home, ledger, told)
    for one in held:
        if one.kind != "raw" or one.stays is not None:
            continue
        folder, source = home.raw(product.name, one.name), product.sources[one.name]
        if not one.current:
            (folder / one.file).unlink(missing_ok=True)
            continue
        assert one.row is not None, "a raw file that the ledger names has its row"
        row, kind = one.row, raw_kind(source, one.row, home.scratch(product.name))
        room = folder if isinstance(folder, Path) else home.scratch(product.name)
        file = local(store_path(folder, row["sha256"], row["path"]), room)
        draft = room / f".landing-erase{''.join(file.suffixes[-2:])}"
        rows, kept_rows = without_subject(file, draft, kind, in_raw(product, home, source, told, columns[one.name]))
        erased.replace(folder, ledger, row, draft, rows=rows, empty=kept_rows <= 0, erasure=erasure, at=now)


def _what_is_left(product: Product, home: Home, ledger: Ledger, told: Person, erasure: str, now: float) -> None:
    """Take the subject out of tables that no run makes anew, then delete every file of it that no newest version names."""
    columns = columns_of(product, home, ledger, told)
    held = list(search_tables(product, home, told, columns, {}, []))
    for name in dict.fromkeys(one.name for one in held if one.current):
        table = name.rpartition("/")[2]
        folder, source = _folder(home, product, name), product.sources.get(table)
        own = columns[table] | ({raw_column(source, column) for column in columns[table]} if source else set())
        paths = [one.file for one in held if one.name == name and one.current]
        _rewrite(folder, paths, own, told, kind_of(product, home, table, columns[table]), erasure, now)
    held = list(search_tables(product, home, told, columns, {}, []))
    for name in dict.fromkeys(one.name for one in held if not one.current):
        files = [
            lifespans.Lifespan(one.file, (_folder(home, product, name) / one.file).stat().st_size, 0)
            for one in held
            if one.name == name and not one.current
        ]
        said = {"erasure": erasure, "paths": [file.path for file in files]}
        ledger.add(deletions, {"product": product.name, "table": name, "kind": "erasure", "why": "held rows of an erased subject", "who": who(), "at": now,
                               "files": len(files), "bytes": sum(file.bytes for file in files), "document": said})  # fmt: skip
        lifespans.unlink(_folder(home, product, name), files)
    _figures(product, home, ledger, told, columns)


def _rewrite(
    folder: Place, paths: Sequence[str], columns: set[str], told: Person, kind: str | None, erasure: str, now: float
) -> None:
    """Publish a version whose files are as before, without the subject's rows."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    version = delta.read(folder)
    days = {unquote(file.path): file.day for file in version.files}
    stage = folder / f"part-{erasure}-{version.number}"
    for number, path in enumerate(paths):
        rows = read(folder / path)
        below = stage if days[path] is None else stage / f"{delta.DAY}={days[path]}"
        below.mkdir(parents=True, exist_ok=True)
        with target(below / f"{number}.parquet") as out:
            pq.write_table(rows.filter(pc.invert(holding(rows, columns, told, kind))), out, **WRITTEN)
    about = {name: one for name, one in version.identity.items() if name != "done"}
    said = {**about, "run_id": erasure, "step": "erase", "at": now, "compacted": len(paths)}
    files = delta.staged(folder, stage)
    delta.commit(folder, files, version.schema, partitioned=version.partitioned, replace=frozenset(paths), identity=said)


def _figures(product: Product, home: Home, ledger: Ledger, told: Person, columns: Mapping[str, set[str]]) -> None:
    """Blot out smallest and largest values that were the subject's, in the ledger and in what commits said, and delete the pages that showed them."""
    for row in ledger.find(profiles, product=product.name, table=list(columns)):
        if _blotted(row["columns"], columns[row["table"]], told):
            ledger.change(profiles, {"id": row["id"]}, columns=row["columns"])
            home.page(product.name, row["run_id"]).unlink(missing_ok=True)
    for name, own in columns.items():

        def blot(said: dict[str, Any], own: set[str] = own) -> bool:
            return _blotted(((said.get("done") or {}).get("profile") or {}).get("columns") or {}, own, told)

        changes.amend(home.table(product.name, name), blot)


def _blotted(figures: dict[str, Any], columns: set[str], told: Person) -> bool:
    """Take the subject's value out of a profile's bounds, and tell whether it was there."""
    found = False
    for column in columns & figures.keys():
        for bound in ("min", "max"):
            if told.could_be(figures[column].get(bound)):
                figures[column][bound], found = None, True
    return found


def _folder(home: Home, product: Product, name: str) -> Place:
    aside, _, table = name.rpartition("/")
    return home.quarantine(product.name, table) if aside else home.table(product.name, table)


def _end(
    product: Product, home: Home, ledger: Ledger, begun: ErasureRow, after: Mapping[str, Any], run_document: RunDocument, now: float
) -> dict[str, Any]:
    """Write the proof, and say in the ledger that it is done where nothing is left."""
    from caudal.ledger.records import tombstones

    stones = ledger.find(tombstones, product=product.name, erasure=begun["erasure"])
    done = not after["places"] and not after["not_searched"]
    document = {
        "erasure": begun["erasure"], "product": product.name, "owner": product.owner, "column": begun["column"], "subject_sha256": begun["subject"],
        "salt": begun["salt"], "who": begun["who"], "started_at": begun["started_at"], "finished_at": now, "done": done,
        "before": begun["before"], "after": after,
        "raw_files": [{name: row[name] for name in ("source", "old_sha256", "new_sha256", "rows")} for row in stones],
        "run": {name: run_document.get(name) for name in ("run_id", "state")},
    }  # fmt: skip
    proof = write_proof(home.path / "erasures" / product.name, document)
    if done:
        ledger.change(erasures, {"erasure": begun["erasure"]}, state="done", finished_at=now, proof_sha256=proof["sha256"])
    return proof
