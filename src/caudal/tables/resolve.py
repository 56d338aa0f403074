"""Resolve a version of a table: by number, as a run left it, or the newest."""

from __future__ import annotations

from caudal.errors import NotThere, nearest
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import runs, steps
from caudal.storage import delta
from caudal.storage.damage import damage_error
from caudal.storage.place import place
from caudal.tables.home import Home


def resolve_version(home: Home, ledger: Ledger, product: str, table: str, version: int | None, run_id: str | None) -> delta.Version:
    """Return the requested version: by number, as a run left it, or the newest.

    Raises
    ------
    NotThere : the table, version or run does not exist
    StorageDamaged : the table was published, but its log is gone
    """
    folder = home.table(product, table)
    if delta.version_of(folder) is None:
        published = any(row["output_version"] is not None for row in ledger.find(steps, product=product, name=table))
        if published and folder.is_dir():
            raise damage_error(
                f"The log of table '{table}' is gone: '{folder / '_delta_log'}' holds no entry, and the ledger knows of versions.",
                "Put the log back from a backup; `caudal run` makes the table again from its inputs, as its first version.",
                table=table,
            )
        table_names = (
            [entry.name for entry in folder.parent.iterdir() if entry.name != "_quarantine"] if folder.parent.is_dir() else []
        )
        raise NotThere(
            f"Product '{product}' has published no table '{table}'.",
            nearest=nearest(table, table_names),
            fix=f"It has {', '.join(sorted(table_names)) or 'none yet'}.",
        )
    if run_id is not None:
        version = version_of_run(ledger, product, table, run_id)
    resolved = delta.read_version(folder, version)
    if version is not None and any(not place(path).exists() for path in resolved.paths()):
        raise NotThere(
            f"Version {resolved.number} of '{table}' is not kept any more: files of it were deleted by retention or erasure.",
            fix="Take a newer version.",
            table=table,
        )
    return resolved


def version_of_run(ledger: Ledger, product: str, table: str, run_id: str) -> int:
    """Return the newest version of a table at the end of a run.

    Raises
    ------
    NotThere : the run does not exist, or it did not have the table
    """
    rows = [
        (row, version) for row in ledger.find(steps, product=product, name=table) if (version := row["output_version"]) is not None
    ]
    order = {row["run_id"]: int(row["seq"]) for row in ledger.find(runs, product=product)}
    until = order.get(run_id, 0)
    versions = [version for row, version in rows if order.get(row["run_id"], until) <= until]
    if not versions or not ledger.find(steps, product=product, run_id=run_id):
        writers = {row["run_id"] for row, _ in rows}
        run_ids = [name for name in order if name in writers]
        raise NotThere(
            f"No run '{run_id}' has left a table '{table}'.",
            nearest=nearest(run_id, run_ids),
            fix=f"Runs are: {', '.join(run_ids[-5:])}.",
        )
    return versions[-1]
