"""``caudal check``: check the declaration alone, then analyse it with an engine unless the same declaration passed before."""

from __future__ import annotations

import contextlib
from pathlib import Path

from caudal.commands.check.headers import Note, is_declared
from caudal.commands.check.stream_executors import refusals_on_spark
from caudal.commands.check.verdict import keep, kept_remarks, key_of
from caudal.declarations.connection import Files
from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.declarations.zone import in_zone
from caudal.engine.choice import engines
from caudal.engine.protocol import lack
from caudal.errors import CaudalError
from caudal.extras import INSTALL_SPARK, has_spark, require_spark
from caudal.graph.check import check
from caudal.graph.load import load, product_file, with_data
from caudal.stages.ingest.files import matching_files


def check_product(folder: Path, settings: Settings, *, static: bool = False, note: Note = lambda _: None) -> list[CaudalError]:
    """Return every problem of a product. Only files whose columns are not declared are read, from their beginning.

    The engine gets empty frames and, for features, random rows. Unchanged parts that passed before are not analysed again.

    Parameters
    ----------
    note : called with each remark for the user, such as the file from which columns were read
    """
    file = product_file(folder)
    product = load(file)
    problems: list[CaudalError] = list(check(product))
    if static or problems:
        return problems
    if settings.engine == "spark":
        require_spark("The engine 'spark'")
    settings = with_data(settings, file)
    files = _files(product, settings)
    key = key_of(product, files, settings)
    kept = kept_remarks(key)
    if kept is not None:
        for remark in kept:
            note(remark)
        return []
    engines(settings.engine, master=settings.master, conf=settings.spark)[0].start_ahead(settings.cores)
    remarks: list[str] = [*refusals_on_spark(product)]
    needs_spark: list[str] = []
    for remark in _engine_remarks(product, settings):
        (remarks if has_spark() or settings.engine != "auto" else needs_spark).append(remark)
    from caudal.commands.check.analyse import analyse  # brings PySpark, the ledger and all that steps need

    with in_zone(product.tz):
        problems = analyse(product, settings, remarks.append, files, needs_spark.append)
    for remark in (*remarks, *needs_spark):
        note(remark)
    if needs_spark:
        note(f"Spark is not installed. Run: {INSTALL_SPARK}")
    elif not problems:
        keep(key, remarks)
    return problems


def _engine_remarks(product: Product, settings: Settings) -> list[str]:
    """Return a remark on each step that the first engine of the settings cannot do, as far as the declaration tells."""
    if settings.engine == "spark":
        return []
    from caudal.batch.engine_needs import needs
    from caudal.batch.plan import plan
    from caudal.engine.classic import CLASSIC
    from caudal.runtime.opening import open_home

    first, *others = engines(settings.engine, master=settings.master, conf=settings.spark)
    if first is CLASSIC:
        return []
    lake = open_home(settings).lake
    remarks = []
    for step in plan(product, metastore=settings.metastore is not None):
        for capability, for_ in needs(product, lake, step.kind, step.subject):
            if not first.can(capability):
                elsewhere = f"is done on {others[0].title}" if has_spark() else "needs Spark"
                done = elsewhere if others else f"cannot be done on {first.title}"
                remarks.append(f"Step '{step.name}' {done}: {lack(first, capability, for_).what}")
                break
    return remarks


def _files(product: Product, settings: Settings) -> dict[str, object]:
    """Return path, size and modification time of the files from which columns are read, by source."""
    files_by_source: dict[str, object] = {}
    for name, source in product.sources.items():
        if isinstance(source.connection, Files) and not source.connection.remote and not is_declared(source):
            with contextlib.suppress(CaudalError):
                files_by_source[name] = [
                    (str(path), stat.st_size, stat.st_mtime_ns) for path, stat in matching_files(source.connection, settings.data)
                ]
    return files_by_source
