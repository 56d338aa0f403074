"""Retention and erasure with the lake elsewhere: ``python -m tests.faults.lake_erasure FOLDER LAKE ACT`` prints what came of it, as JSON.

``made DEATH …`` runs the product, lets go what is over, and has a customer erased by processes that die at some of ``DEATHS``: before or after a call.
The last of them is the process itself, so that Spark is started once. ``erase`` erases the customer; a death does so too, and dies there.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests import zygote

PRODUCT = """
import caudal as cd
from caudal import expect as ex

SALES = cd.schema(customer=cd.column("long", nullable=False), at=cd.column("timestamp", nullable=False), pounds=cd.column("double"))
product = cd.Product("shop")
product.source("sales", cd.files("in/*.csv*"), schema=SALES, event_time="at", partition="day")
product.subject("customer")


@product.table(event_time="at", partition="day", expect=[ex.between("pounds", 0, 100).quarantine(max_share=0.9)])
def bought(sales):
    return sales


@product.table(event_time="window_start", partition="day")
def daily(bought):
    return cd.tumble(bought, "1 day", by=["customer"]).agg(pounds="sum")


product.retain(versions="30 days", quarantine="30 days")
product.retain(daily, days="365 days")
"""
DEATHS = (
    "caudal.tables.erased:put:after",  # the new raw bytes are there, the ledger has the old ones
    "caudal.storage.place:Remote.unlink:before",  # the ledger has the new ones, the old bytes are there
    "caudal.governance.erase:run:before",
    "caudal.tables.lifespans:unlink:after",  # the product was run, and of one table old files are gone
)
DAY_S = 86_400.0
WHOSE = "customer=7"
HEAD = "customer,at,pounds\n"
FIRST = HEAD + "7,2024-01-01 08:00:00,1.5\n8,2024-01-01 09:00:00,2.5\n7,2024-01-02 08:00:00,999\n9,2024-01-02 09:00:00,4\n"
SECOND = HEAD + "7,2024-01-02 10:00:00,5\n8,2024-01-02 11:00:00,998\n8,2024-01-03 08:00:00,6\n"


def product_in(folder: Path) -> tuple[Path, Any]:
    """Return the product's folder, and the settings for a lake."""
    from caudal.declarations.settings import settings

    return folder / "product", settings(environment={}, home=folder / "home", lake=sys.argv[2], cores=2, memory="1g")


def made(folder: Path) -> dict[str, Any]:
    """Run twice, let go what is over in forty days, and what has no reader an hour later."""
    from caudal.batch.batch import run
    from caudal.governance.retain import retain

    product, set_to = product_in(folder)
    (product / "in").mkdir(parents=True)
    (product / "product.py").write_text(PRODUCT)
    for name, content in (("first.csv", FIRST), ("second.csv", SECOND)):
        (product / "in" / name).write_text(content)
        assert run(product, set_to).error is None
    said: dict[str, Any] = {"before": tables(set_to), "files": len(files(set_to))}
    then = time.time() + 40 * DAY_S
    said["plan"] = [
        [one["kind"], one["table"], one["name"], one["files"]] for one in retain(product, set_to, clock=lambda: then)["going"]
    ]
    said["untouched"] = len(files(set_to))
    retain(product, set_to, yes=True, clock=lambda: then)
    said["kept"] = tables(set_to)
    retain(product, set_to, yes=True, clock=lambda: then + 2 * 3600)
    said["left to go"] = retain(product, set_to, clock=lambda: then + 3 * 3600)["going"]
    said["after"] = len(files(set_to))
    said["again"] = run(product, set_to).document["state"]
    return said


def look(folder: Path) -> dict[str, Any]:
    """Return where the customer is said to be, by a command that changes nothing; it leaves no copy of a raw file on this machine."""
    from caudal.governance.erase import erase

    plan = erase(*product_in(folder), WHOSE)
    return {"rows": plan["rows"], "here": here(folder)}


def here(folder: Path) -> list[str]:
    """Return the files of this machine that hold the customer's rows."""
    files = [path for path in (folder / "home").rglob("*") if path.is_file()]
    return [str(path) for path in files if b"7,2024-01-0" in path.read_bytes()]


def erased(folder: Path) -> dict[str, Any]:
    """Erase the customer, and look at what there is."""
    from caudal.batch.batch import run
    from caudal.governance.erase import erase
    from caudal.storage.place import Remote

    product, set_to = product_in(folder)
    proof = erase(product, set_to, WHOSE, yes=True)
    held = [str(one) for one in files(set_to) if one.suffix == ".csv" and b"\n7," in b"\n" + one.read_bytes()]
    assert all(isinstance(one, Remote) for one in files(set_to))
    again = erase(product, set_to, WHOSE, yes=True)
    return {
        "done": proof["done"], "rows": proof["before"]["rows"], "after": proof["after"]["places"], "raw": [one["rows"] for one in proof["raw_files"]],
        "not searched": proof["after"]["not_searched"], "held": held, "tables": tables(set_to), "earlier": len(again["earlier"]),
        "here": here(folder), "again": run(product, set_to).document["state"], "sha256": proof["sha256"] == again["earlier"][0]["proof_sha256"],
    }  # fmt: skip


def files(set_to: Any) -> list[Any]:
    """Return all data files of the lake."""
    from caudal.storage.place import place

    return [one for one in place(set_to.lake).rglob("*") if one.suffix in (".csv", ".parquet") and "_delta_log" not in str(one)]


def tables(set_to: Any) -> dict[str, list[str]]:
    """Return what is published, by table."""
    from caudal.runtime.opening import open_home
    from caudal.storage import delta
    from caudal.tables.frames import arrow

    home = open_home(set_to)
    found = {}
    for name in ("sales", "bought", "daily"):
        rows = arrow(delta.read_version(home.table("shop", name))).to_pylist()
        found[name] = sorted(f"{row['customer']} {row.get('at', row.get('window_start'))} {row['pounds']}" for row in rows)
    aside = home.quarantine("shop", "bought")
    found["quarantine"] = sorted(row["_raw"] for row in arrow(delta.read_version(aside)).to_pylist())
    return found


def die_at(moment: str) -> None:
    """Arm a function: the process is killed before or after it is called."""
    module, name, when = moment.split(":")
    owner: Any = importlib.import_module(module)
    *inside, name = name.split(".")
    for one in inside:
        owner = getattr(owner, one)
    plain = getattr(owner, name)

    @functools.wraps(plain)
    def call(*arguments: Any, **named: Any) -> Any:
        if when == "after":
            plain(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, call)


def main(folder: Path, act: str, deaths: Sequence[str]) -> None:
    """Do what is said."""
    if act == "made":
        said = {**made(folder), "look": look(folder), "died": []}
        for death in deaths[:-1]:
            command = [sys.executable, "-m", "tests.faults.lake_erasure", str(folder), sys.argv[2], death]
            said["died"].append(zygote.run(command, timeout=120).returncode)
        print(json.dumps(said), flush=True)
        act = deaths[-1]
    if act != "erase":
        die_at(act)
    print(json.dumps(erased(folder)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[3], sys.argv[4:])
