"""``caudal run``: the flow, top to bottom."""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError

import caudal
from caudal.errors import CaudalError, DeclarationProblem, EnvironmentProblem, Stopped
from caudal.graph.build import build
from caudal.graph.check import check
from caudal.graph.load import load, product_file
from caudal.lake import delta
from caudal.lake.claim import Claim, claim
from caudal.lake.home import Home
from caudal.lake.lease import lease
from caudal.lake.ledger import Ledger
from caudal.lake.ledger_faults import ledger_problem
from caudal.lake.place import Remote, place
from caudal.lake.records import runs
from caudal.run import openlineage
from caudal.run.execute import execute
from caudal.run.governance.declared import remember as remember_declaration
from caudal.run.manifest import nothing_new, remember
from caudal.run.plan import Pipeline, plan
from caudal.run.storage import check_tables
from caudal.run.workspace import Arrived, Process, Progress, Quiet, Workspace, nobody
from caudal.spec.join import Join, is_stream
from caudal.spec.product import Product
from caudal.spec.settings import Settings

LEAST_FILES = 256  # Java has a file open for each of its libraries
ENOUGH_FILES = 4096


@dataclass(frozen=True)
class Result:
    """How a run ended: its document (what ``--json`` prints) and its error, if any."""

    document: dict[str, Any]
    error: CaudalError | None

    @property
    def exit_code(self) -> int:
        """0, or that of the error."""
        return 0 if self.error is None else self.error.exit_code


def run(
    folder: Path, settings: Settings, *, pipeline: Pipeline = "all", progress: Progress | None = None, wait_s: float = 0.0,
    run_id: str | None = None, process: Process | None = None, arrived: Arrived = nobody,
) -> Result:  # fmt: skip
    """Bring a product up to date: land, read, build, train, promote, predict; only what is not up to date yet.

    Parameters
    ----------
    run_id : str, what the run is to be called; made up when left out
    process : whose run this is alone, where it is one process's: it can be asked to stop, and is ended when a step hangs
    arrived : hears of files before they are landed

    Raises
    ------
    DeclarationProblem : the product cannot work; nothing was run
    LeaseHeld : another run of the product is at work
    """
    home = opened(settings)
    # Without --data, patterns are looked up in the product's own folder.
    settings = replace(settings, data=settings.data or product_file(folder).parent)
    with contextlib.closing(home.ledger()) as ledger, answering():
        if (idle := nothing_new(folder, settings, home, ledger, pipeline)) is not None:
            return Result(idle, None)
        product = checked(load(folder))
        with held(home, ledger, product, wait_s) as mine:
            ws = Workspace(
                product, home, ledger, settings, run_id=run_id or new_run_id(), progress=progress or Quiet(), held=mine.check,
                process=process, arrived=arrived, learns=pipeline != "predict",
            )  # fmt: skip
            recover(ws)
            check_tables(ws)
            begin(ws, "run" if pipeline == "all" else pipeline)
            board = execute(ws, plan(product, pipeline, metastore=settings.metastore is not None))
            document = end(ws, board.error)
            if board.error is None:
                remember(folder, settings, home, ledger, product, pipeline, document)
            return Result(document, board.error)


@contextlib.contextmanager
def answering() -> Iterator[None]:
    """Tell in a sentence that the ledger has gone away during the block.

    Raises
    ------
    EnvironmentProblem : it has
    """
    try:
        yield
    except DBAPIError as error:
        raise ledger_problem(error) from None


@contextlib.contextmanager
def held(home: Home, ledger: Ledger, product: Product, wait_s: float = 0.0) -> Iterator[Claim]:
    """Hold a product for the length of the block: its home's lock on this machine, and its name in the ledger for all machines.

    Raises
    ------
    LeaseHeld : another run of the product is at work
    """
    began = time.monotonic()
    with (
        lease(home.lease(product.name), product.name, wait_s),
        claim(ledger, product.name, max(wait_s - (time.monotonic() - began), 0.0)) as mine,
    ):
        yield mine


def checked(product: Product) -> Product:
    """Return the product when its declaration holds.

    Raises
    ------
    DeclarationProblem : with every problem found, one a line
    """
    problems = check(product)
    if not problems:
        return product
    if len(problems) == 1:
        raise problems[0]
    raise DeclarationProblem(
        f"Product '{product.name}' has {len(problems)} problems:\n" + "\n".join(f"  - {one.sentence()}" for one in problems),
        problems=len(problems),
    )


def recover(ws: Workspace) -> None:
    """Clear up behind runs that died: their rows in the ledger, their files that no version names."""
    swept = isinstance(ws.home.lake, Remote) and _ended_well(ws)
    abandon(ws, [row for row in ws.ledger.find(runs, product=ws.product.name, state="running") if row["command"] != "stream"])
    shutil.rmtree(ws.home.scratch(ws.product.name), ignore_errors=True)
    for name in (*ws.product.nodes, *ws.product.predictions):
        if swept or streams(ws.product, name):  # swept by the stream itself, which may be at work
            continue
        delta.sweep(ws.folder(name))
        delta.sweep(ws.home.quarantine(ws.product.name, name))
    for raw in ws.home.path.glob(f"raw/{ws.product.name}/*/.landing-*"):
        raw.unlink(missing_ok=True)


def _ended_well(ws: Workspace) -> bool:
    """Tell whether the last run of the product left nothing behind: to look for it in a remote lake takes requests for each table."""
    last = [row for row in ws.ledger.find(runs, product=ws.product.name, newest=True, limit=20) if row["command"] != "stream"]
    return bool(last) and last[0]["state"] == "succeeded"


def abandon(ws: Workspace, rows: Sequence[Mapping[str, Any]]) -> None:
    """Tell the ledger that those who wrote these rows are gone: we hold their lease."""
    from caudal.report.document import run_document

    for row in rows:
        ws.ledger.change(runs, {"run_id": row["run_id"]}, state="abandoned", finished_at=ws.clock())
        tell(ws, run_document(ws.ledger, row["run_id"]))
        openlineage.note(ws, row["run_id"])


def streams(product: Product, name: str) -> bool:
    """Tell whether a node's table is written by the product's streams."""
    node = product.nodes.get(name)
    return is_stream(node) or isinstance(node, Join)


def begin(ws: Workspace, command: str) -> None:
    """Tell the ledger that a run has begun."""
    from caudal.run.manifest import folder_digest

    ws.ledger.add(
        runs,
        {
            "run_id": ws.run_id, "product": ws.product.name, "command": command, "state": "running", "started_at": ws.clock(),
            "who": who(), "host": socket.gethostname(), "pid": os.getpid(), "caudal_version": caudal.__version__,
            "code": folder_digest(Path(ws.product.where.file).parent),
        },
    )  # fmt: skip
    openlineage.note_start(ws)


def end(ws: Workspace, error: CaudalError | None) -> dict[str, Any]:
    """Tell the ledger how the run ended, write its page, and return its document."""
    from caudal.report.document import run_document
    from caudal.report.page import write_run_page

    ws.ledger.change(
        runs,
        {"run_id": ws.run_id},
        state="stopped" if isinstance(error, Stopped) else "failed" if error else "succeeded",
        finished_at=ws.clock(),
        error=error.as_dict() if error else None,
    )
    page = ws.home.page(ws.product.name, ws.run_id)
    page.parent.mkdir(parents=True, exist_ok=True)
    document = {**run_document(ws.ledger, ws.run_id), "page": str(page)}
    ws.ledger.change(runs, {"run_id": ws.run_id}, summary=document)
    write_run_page(ws.ledger, ws.run_id, build(ws.product), page)
    remember_declaration(ws.product, ws.ledger, ws.run_id, ws.clock())
    tell(ws, document)
    openlineage.note(ws, ws.run_id)
    return document


def tell(ws: Workspace, document: Mapping[str, Any]) -> None:
    """Tell who wants to be told of what happened; a place that does not answer is tried again by later runs."""
    from caudal.run.alerts import deliver, note
    from caudal.run.alerts.happen import in_run, late

    if not ws.product.alerts:
        return
    happened = [*in_run(ws.ledger, document), *late(ws.product, ws.home, ws.clock())]
    note(ws.ledger, ws.product, happened, ws.run_id, ws.clock(), document.get("page"))
    deliver(ws.ledger, ws.settings, [ws.product], clock=ws.clock)


def opened(settings: Settings) -> Home:
    """Return the home, made when it is not there.

    Raises
    ------
    EnvironmentProblem : the folder cannot be made or written to
    """
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentProblem(
            f"The home folder '{settings.home}' cannot be made: {error.strerror}.", fix="Give another with --home DIR."
        ) from None
    open_files()
    delta.forget()
    return Home(settings.home.absolute(), settings.ledger, place(settings.lake) if settings.lake else None)


def open_files() -> None:
    """Let this process open as many files as it may, up to a number that suffices.

    Raises
    ------
    EnvironmentProblem : these are too few; libraries would end in the middle of their work
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < LEAST_FILES:
        raise EnvironmentProblem(
            f"This process may open {most} files, and needs {LEAST_FILES}.",
            fix="Raise the limit (ulimit -Hn 4096, or LimitNOFILE of the service) and give the same command again; nothing was done.",
            limit=most,
        )


def new_run_id() -> str:
    """Return a run's name. It begins with the clock's time for people; runs are ordered by the ledger's ``seq``."""
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime()) + "-" + secrets.token_hex(3)


def who() -> str:
    """Return the name of the user at the keyboard."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user entry
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"
