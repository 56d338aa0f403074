"""Which version of a table is meant: by number, as a run left it, or the newest."""

from __future__ import annotations

from caudal.errors import NotThere, nearest
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import runs, steps
from caudal.storage import delta
from caudal.storage.damage import damaged
from caudal.storage.place import place
from caudal.tables.home import Home


def resolve_version(home: Home, ledger: Ledger, product: str, table: str, version: int | None, run_id: str | None) -> delta.Version:
    """Return the version asked for: by number, as a run left it, or the newest.

    Raises
    ------
    NotThere : there is no such table, version or run
    StorageDamaged : the table was published, and its log is gone
    """
    folder = home.table(product, table)
    if delta.version_of(folder) is None:
        published = any(row["output_version"] is not None for row in ledger.find(steps, product=product, name=table))
        if published and folder.is_dir():
            raise damaged(
                f"The log of table '{table}' is gone: '{folder / '_delta_log'}' holds no entry, and the ledger knows of versions.",
                "Put the log back from a backup; `caudal run` makes the table again from its inputs, as its first version.",
                table=table,
            )
        among = [entry.name for entry in folder.parent.iterdir() if entry.name != "_quarantine"] if folder.parent.is_dir() else []
        raise NotThere(
            f"Product '{product}' has published no table '{table}'.",
            nearest=nearest(table, among),
            fix=f"It has {', '.join(sorted(among)) or 'none yet'}.",
        )
    if run_id is not None:
        version = version_of_run(ledger, product, table, run_id)
    found = delta.read(folder, version)
    if version is not None and any(not place(path).exists() for path in found.paths()):
        raise NotThere(
            f"Version {found.number} of '{table}' is not kept any more: files of it were deleted by retention or erasure.",
            fix="Take a newer version.",
            table=table,
        )
    return found


def version_of_run(ledger: Ledger, product: str, table: str, run_id: str) -> int:
    """Return the version of a table that was the newest when a run had ended.

    Raises
    ------
    NotThere : there is no such run, or it did not know the table
    """
    rows = [(row, made) for row in ledger.find(steps, product=product, name=table) if (made := row["output_version"]) is not None]
    order = {row["run_id"]: int(row["seq"]) for row in ledger.find(runs, product=product)}
    until = order.get(run_id, 0)
    at = [made for row, made in rows if order.get(row["run_id"], until) <= until]
    if not at or not ledger.find(steps, product=product, run_id=run_id):
        left = {row["run_id"] for row, _ in rows}
        known = [name for name in order if name in left]
        raise NotThere(
            f"No run '{run_id}' has left a table '{table}'.",
            nearest=nearest(run_id, known),
            fix=f"Runs are: {', '.join(known[-5:])}.",
        )
    return at[-1]
