"""``caudal erase``: remove one person's rows from raw files, tables, quarantine, predictions and old versions, and write a proof.

The raw files are rewritten without the rows, then the product is run, so that every table, aggregate and prediction is rebuilt from what
is left; files of older versions that hold the subject are deleted. After a kill, the same command goes on: it
looks at the current state, not at what was done before.
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

import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import delete

from caudal.batch.batch import run
from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.errors import DeclarationProblem, StepFailed
from caudal.governance.held import Occurrence
from caudal.governance.identity import Person
from caudal.governance.online_views import remove_views
from caudal.governance.proof import write_proof
from caudal.governance.raw_kinds import raw_kind, without_subject
from caudal.governance.request_files import remove_requests
from caudal.governance.subject import (
    column_type,
    columns_of_subject,
    in_raw,
    parse_subject,
    raw_column,
    search_subject,
    search_tables,
    subject_mask,
)
from caudal.graph.load import load, product_file, with_data
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import deletions, erasures, landed, manifests, model_versions, profiles, tombstones
from caudal.ledger.rows import ErasureRow, ModelVersionRow
from caudal.report.figures import plural
from caudal.report.run_document import RunDocument
from caudal.runtime.lifecycle import new_run_id, user_name
from caudal.runtime.opening import hold_product, open_home
from caudal.runtime.progress import Progress
from caudal.storage import delta
from caudal.storage.lease import lease
from caudal.storage.parquet import WRITTEN, read_parquet
from caudal.storage.place import Place, local, writable
from caudal.streaming.sources import stream_lease
from caudal.tables import changes, erased, lifespans
from caudal.tables.home import Home
from caudal.tables.landing import origin_of, store_path

_KINDS = ("raw", "table", "quarantine")  # always reported
_FURTHER_KINDS = ("stream", "requests", "view")  # only if they hold rows


def erase(
    folder: Path, settings: Settings, subject: str, *, yes: bool = False, progress: Progress | None = None, clock: Callable[[], float] = time.time
) -> dict[str, Any]:  # fmt: skip
    """Return where a person's rows lie; with ``yes``, erase them and return the proof.

    Raises
    ------
    DeclarationProblem : the column is not declared as one that identifies a person
    StepFailed : rows of the subject remain
    """
    file = product_file(folder)
    product, home = load(file), open_home(settings)
    settings = with_data(settings, file)
    person_ = parse_subject(product, subject)
    with contextlib.ExitStack() as open_:
        ledger = open_.enter_context(contextlib.closing(home.ledger()))
        open_.enter_context(lease(stream_lease(home, product), f"{product.name} (stream)"))
        with _exclusive(home, ledger, product):
            occurrences, searched, not_searched = search_subject(product, home, ledger, person_)
            plan = _document(product, home, ledger, person_, occurrences, searched, not_searched)
            if not yes or not (occurrences or _running(ledger, product, person_)):
                if yes and not_searched:
                    raise unsearched(plan)
                return {**plan, "done": False, "earlier": _earlier(ledger, product, person_)}
            _check_corrections(product, ledger, occurrences)
            record = _begin(ledger, product, person_, plan, clock())
            _clear_manifests(ledger, product)
            _raw_files(product, home, ledger, person_, occurrences, record["erasure"], clock())
        result = run(file, settings, progress=progress)
        with _exclusive(home, ledger, product):
            _erase_remaining(product, home, ledger, person_, record["erasure"], clock())
            remaining, searched, not_searched = search_subject(product, home, ledger, person_)
            after = _document(product, home, ledger, person_, remaining, searched, not_searched)
            proof = _end(product, home, ledger, record, after, result.document, clock())
    if remaining_rows := [occurrence for occurrence in remaining if occurrence.stays is None]:
        raise StepFailed(
            f"{sum(other.rows for other in remaining_rows)} rows of the subject are left, in {', '.join(sorted({other.name for other in remaining_rows}))}.",
            fix="Mend what the run says is wrong, and give the same command again.", product=product.name,
        )  # fmt: skip
    if after["not_searched"] or after["stays"]:
        raise unsearched(after, proof["page"])
    return proof


def unsearched(document: Mapping[str, Any], page: str | None = None) -> StepFailed:
    """Return the error that rows of the subject stay, or may be left, in places that could not be rewritten or searched."""
    places, stays = document["not_searched"], document["stays"]
    outcome = f"What could be searched and written holds no row of the subject any more ({page})" if page else "Nothing was touched"
    unsearched_text = (
        f"{plural(len(places), 'place')} could not be searched, and may hold rows of the subject: {'; '.join(places)}."
    )
    stay_text = f"{plural(len(stays), 'place')} cannot be written without the subject's rows, which stay: {'; '.join(stays)}."
    return StepFailed(
        " ".join([*([unsearched_text] if places else []), *([stay_text] if stays else [])]),
        fix=f"{outcome}. Mend or erase these at their origin, deliver them again, and give the same command again.",
        product=document["product"], page=page, not_searched=list(places), stays=list(stays),
    )  # fmt: skip


@contextlib.contextmanager
def _exclusive(home: Home, ledger: Ledger, product: Product) -> Iterator[None]:
    """Hold the product for the length of the block, and leave no copy of a remote raw file on this machine."""
    with hold_product(home, ledger, product):
        try:
            yield
        finally:
            shutil.rmtree(home.scratch(product.name), ignore_errors=True)


def _document(
    product: Product, home: Home, ledger: Ledger, person_: Person, occurrences: Sequence[Occurrence], searched: Mapping[str, int], not_searched: Sequence[str]
) -> dict[str, object]:  # fmt: skip
    """Return the search result, JSON-ready."""
    rows = ledger.find(model_versions, product=product.name)
    return {
        "product": product.name, "column": person_.column, "places": [occurrence.as_dict() for occurrence in occurrences], "searched": dict(searched),
        "not_searched": list(not_searched), "stays": [occurrence.where() for occurrence in occurrences if occurrence.stays is not None], "columns": {name: sorted(column) for name, column in columns_of_subject(product, home, ledger, person_).items()},
        "rows": {kind: sum(occurrence.rows for occurrence in occurrences if occurrence.kind == kind) for kind in (*_KINDS, *(kind for kind in _FURTHER_KINDS if any(occurrence.kind == kind for occurrence in occurrences)))},
        "models": [
            {"model": row["model"], "version": row["version"], "training_table": row["training_table"], "training_version": row["training_version"]}
            for row in rows if _learned_from(home, product, row, occurrences)
        ],
        "origins": sorted({str(origin_of(occurrence.row)) for occurrence in occurrences if occurrence.row and origin_of(occurrence.row).exists()}),
    }  # fmt: skip


def _learned_from(home: Home, product: Product, row: ModelVersionRow, occurrences: Sequence[Occurrence]) -> bool:
    """Return whether a model version was trained on a table version that holds the subject."""
    files = {
        occurrence.file for occurrence in occurrences if occurrence.kind == "table" and occurrence.name == row["training_table"]
    }
    spans = lifespans.lifespans(home.table(product.name, row["training_table"]))[0] if files else []
    return any(span.path in files and span.named_by([row["training_version"]]) for span in spans)


def _check_corrections(product: Product, ledger: Ledger, occurrences: Sequence[Occurrence]) -> None:
    """Raise if corrections replace rows of a raw file: they name its rows by a hash that would change."""
    for name in {occurrence.name for occurrence in occurrences if occurrence.kind == "raw"}:
        if ledger.find(landed, product=product.name, source=name, kind="correction"):
            raise DeclarationProblem(
                f"Source '{name}' has corrections, and raw files with corrected rows cannot be rewritten yet.",
                fix="Deliver the files again without the subject and with the corrections in them.", source=name,
            )  # fmt: skip


def _begin(ledger: Ledger, product: Product, person_: Person, plan: Mapping[str, Any], now: float) -> ErasureRow:
    """Return the ledger record of this erasure: an interrupted one, or a new one."""
    if (row := _running(ledger, product, person_)) is not None:
        return row
    salt = secrets.token_hex(16)
    begun: ErasureRow = {
        "erasure": f"erase-{new_run_id()}", "product": product.name, "column": person_.column, "salt": salt, "subject": person_.digest(salt),
        "state": "running", "who": user_name(), "started_at": now, "finished_at": None, "before": dict(plan), "proof_sha256": None,
    }  # fmt: skip
    ledger.add(erasures, begun)
    return begun


def _running(ledger: Ledger, product: Product, person_: Person) -> ErasureRow | None:
    """Return this subject's interrupted erasure, if any."""
    rows = ledger.find(erasures, product=product.name, column=person_.column, state="running")
    return next((row for row in rows if row["subject"] == person_.digest(row["salt"])), None)


def _earlier(ledger: Ledger, product: Product, person_: Person) -> list[dict[str, object]]:
    """Return this subject's completed erasures."""
    rows = ledger.find(erasures, product=product.name, column=person_.column, state="done")
    return [
        {"erasure": row["erasure"], "at": row["finished_at"], "who": row["who"], "proof_sha256": row["proof_sha256"]}
        for row in rows if row["subject"] == person_.digest(row["salt"])
    ]  # fmt: skip


def _clear_manifests(ledger: Ledger, product: Product) -> None:
    """Make the next run look at everything: replacing raw files does not count as an arrival."""
    with ledger.engine.begin() as connection:
        connection.execute(delete(manifests).where(manifests.c.product == product.name))


def _raw_files(
    product: Product, home: Home, ledger: Ledger, person_: Person, occurrences: Sequence[Occurrence], erasure: str, now: float
) -> None:
    """Rewrite each raw file that holds the subject, and requests that are not landed yet, and delete old contents that an interrupted erasure has left."""
    columns = columns_of_subject(product, home, ledger, person_)
    remove_requests(product, home, person_, columns)
    for occurrence in occurrences:
        if occurrence.kind != "raw" or occurrence.stays is not None:
            continue
        folder, source = home.raw(product.name, occurrence.name), product.sources[occurrence.name]
        if not occurrence.current:
            (folder / occurrence.file).unlink(missing_ok=True)
            continue
        assert occurrence.row is not None, "a raw file that the ledger names has its row"
        row, kind = occurrence.row, raw_kind(source, occurrence.row, home.scratch(product.name))
        room = folder if isinstance(folder, Path) else home.scratch(product.name)
        file = local(store_path(folder, row["sha256"], row["path"]), room)
        draft = room / f".landing-erase{''.join(file.suffixes[-2:])}"
        rows, kept_rows = without_subject(file, draft, kind, in_raw(product, home, source, person_, columns[occurrence.name]))
        erased.replace(folder, ledger, row, draft, rows=rows, empty=kept_rows <= 0, erasure=erasure, at=now)


def _erase_remaining(product: Product, home: Home, ledger: Ledger, person_: Person, erasure: str, now: float) -> None:
    """Rewrite tables that no run rebuilds, without the subject; then delete files of older versions that hold the subject."""
    columns = columns_of_subject(product, home, ledger, person_)
    occurrences = list(search_tables(product, home, person_, columns, {}, []))
    for name in dict.fromkeys(occurrence.name for occurrence in occurrences if occurrence.current):
        table = name.rpartition("/")[2]
        folder, source = _folder(home, product, name), product.sources.get(table)
        subject_columns = columns[table] | ({raw_column(source, column) for column in columns[table]} if source else set())
        paths = [occurrence.file for occurrence in occurrences if occurrence.name == name and occurrence.current]
        _rewrite(folder, paths, subject_columns, person_, column_type(product, home, table, columns[table]), erasure, now)
    occurrences = list(search_tables(product, home, person_, columns, {}, []))
    for name in dict.fromkeys(occurrence.name for occurrence in occurrences if not occurrence.current):
        files = [
            lifespans.Lifespan(occurrence.file, (_folder(home, product, name) / occurrence.file).stat().st_size, 0)
            for occurrence in occurrences
            if occurrence.name == name and not occurrence.current
        ]
        deleted = {"erasure": erasure, "paths": [file.path for file in files]}
        ledger.add(deletions, {"product": product.name, "table": name, "kind": "erasure", "why": "held rows of an erased subject", "who": user_name(), "at": now,
                               "files": len(files), "bytes": sum(file.bytes for file in files), "document": deleted})  # fmt: skip
        lifespans.unlink(_folder(home, product, name), files)
    remove_views(product, home, person_, columns)
    _figures(product, home, ledger, person_, columns)


def _rewrite(
    folder: Place, paths: Sequence[str], columns: set[str], person_: Person, kind: str | None, erasure: str, now: float
) -> None:
    """Publish a version with the same files, without the subject's rows."""
    version = delta.read_version(folder)
    days = {unquote(file.path): file.day for file in version.files}
    stage = folder / f"part-{erasure}-{version.number}"
    for number, path in enumerate(paths):
        rows = read_parquet(folder / path)
        below = stage if days[path] is None else stage / f"{delta.DAY}={days[path]}"
        below.mkdir(parents=True, exist_ok=True)
        with writable(below / f"{number}.parquet") as out:
            pq.write_table(rows.filter(pc.invert(subject_mask(rows, columns, person_, kind))), out, **WRITTEN)
    kept_info = {name: value for name, value in version.identity.items() if name != "done"}
    identity = {**kept_info, "run_id": erasure, "step": "erase", "at": now, "compacted": len(paths)}
    files = delta.staged(folder, stage)
    delta.commit(folder, files, version.schema, partitioned=version.partitioned, replace=frozenset(paths), identity=identity)


def _figures(product: Product, home: Home, ledger: Ledger, person_: Person, columns: Mapping[str, set[str]]) -> None:
    """Remove minima and maxima that are the subject's value from the ledger and from commits, and delete the pages that showed
    them."""
    for row in ledger.find(profiles, product=product.name, table=list(columns)):
        if _remove_bounds(row["columns"], columns[row["table"]], person_):
            ledger.change(profiles, {"id": row["id"]}, columns=row["columns"])
            home.page(product.name, row["run_id"]).unlink(missing_ok=True)
    for name, subject_columns in columns.items():

        def blot(identity: dict[str, Any], subject_columns: set[str] = subject_columns) -> bool:
            return _remove_bounds(
                ((identity.get("done") or {}).get("profile") or {}).get("columns") or {}, subject_columns, person_
            )

        changes.amend(home.table(product.name, name), blot)


def _remove_bounds(figures: dict[str, Any], columns: set[str], person_: Person) -> bool:
    """Remove the subject's value from a profile's bounds; return whether it was there."""
    was_found = False
    for column in columns & figures.keys():
        for bound in ("min", "max"):
            if person_.could_be(figures[column].get(bound)):
                figures[column][bound], was_found = None, True
    return was_found


def _folder(home: Home, product: Product, name: str) -> Place:
    aside, _, table = name.rpartition("/")
    return home.quarantine(product.name, table) if aside else home.table(product.name, table)


def _end(
    product: Product,
    home: Home,
    ledger: Ledger,
    record: ErasureRow,
    after: Mapping[str, object],
    run_document: RunDocument,
    now: float,
) -> dict[str, Any]:
    """Write the proof, and record in the ledger that the erasure is done, if nothing is left."""
    tombstone_rows = ledger.find(tombstones, product=product.name, erasure=record["erasure"])
    complete = not after["places"] and not after["not_searched"]
    document = {
        "erasure": record["erasure"], "product": product.name, "owner": product.owner, "column": record["column"], "subject_sha256": record["subject"],
        "salt": record["salt"], "who": record["who"], "started_at": record["started_at"], "finished_at": now, "done": complete,
        "before": record["before"], "after": after,
        "raw_files": [{name: row[name] for name in ("source", "old_sha256", "new_sha256", "rows")} for row in tombstone_rows],
        "run": {name: run_document.get(name) for name in ("run_id", "state")},
    }  # fmt: skip
    proof = write_proof(home.path / "erasures" / product.name, document)
    if complete:
        ledger.change(erasures, {"erasure": record["erasure"]}, state="done", finished_at=now, proof_sha256=proof["sha256"])
    return proof
