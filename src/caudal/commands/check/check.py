"""``caudal check``: the declaration by itself, then analysed by Spark unless the same was found without fault before."""

from __future__ import annotations

import contextlib
from pathlib import Path

from caudal.commands.check.headers import Note, is_declared
from caudal.commands.check.verdict import is_kept, keep, key_of
from caudal.declarations.connection import Files
from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.declarations.zone import in_zone
from caudal.errors import CaudalError
from caudal.graph.check import check as check_declaration
from caudal.graph.load import load, product_file, with_data
from caudal.stages.ingest.files import matching_files


def check(folder: Path, settings: Settings, *, static: bool = False, note: Note = lambda _: None) -> list[CaudalError]:
    """Return every problem of a product. No data is read but the beginnings of files whose columns nothing declares.

    Spark sees frames of no rows and, for features, made-up rows. What was found without fault before, and has not changed, is not
    analysed again.

    Parameters
    ----------
    note : is told what a reader of the verdict should know, such as where columns were read from
    """
    file = product_file(folder)
    product = load(file)
    problems: list[CaudalError] = list(check_declaration(product))
    if static or problems:
        return problems
    settings = with_data(settings, file)
    files = _files(product, settings)
    key = key_of(product, files)
    if is_kept(key):
        return []
    from caudal.commands.check.analyse import analysed  # brings Spark, the ledger and all that steps need

    with in_zone(product.tz):
        problems = analysed(product, settings, note, files)
    if not problems:
        keep(key)
    return problems


def _files(product: Product, settings: Settings) -> dict[str, object]:
    """Return, by source whose columns are read from files, what those are now."""
    found: dict[str, object] = {}
    for name, source in product.sources.items():
        if isinstance(source.connection, Files) and not source.connection.remote and not is_declared(source):
            with contextlib.suppress(CaudalError):
                found[name] = [
                    (str(path), stat.st_size, stat.st_mtime_ns) for path, stat in matching_files(source.connection, settings.data)
                ]
    return found
