"""Luigi as people know it: its central scheduler with a real graph, tables in a pipeline of the user's, tasks of the user's before a source."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import luigi
import pytest

from caudal.batch.batch import run
from caudal.batch.execute import execute
from caudal.batch.step import Step, StepResult
from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.errors import DeclarationProblem, NotThere
from caudal.ledger.records import runs, steps
from caudal.luigi import Table
from caudal.runtime.progress import NoProgress
from caudal.runtime.run_record import RunRecord
from caudal.runtime.run_reporting import RunReporting
from caudal.runtime.workspace import Workspace
from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home

PRODUCT = """
import luigi
import caudal as cd

class Fetched(luigi.Task):
    def output(self):
        return luigi.LocalTarget({target!r})
    def run(self):
        if {broken}:
            raise ConnectionError("the shop does not answer")
        with self.output().open("w") as out:
            out.write("id,amount\\n1,5\\n2,7\\n")

product = cd.Product("shop")
product.source("sales", cd.files({target!r}), schema=cd.schema(id=cd.column("long"), amount=cd.column("double")), after={after})

@product.table
def dear(sales):
    return sales.where("amount > 6")
"""


def written(folder: Path, *, broken: bool = False, after: str = "Fetched") -> Path:
    """Write the product and return its folder."""
    folder.mkdir(exist_ok=True)
    (folder / "product.py").write_text(PRODUCT.format(target=str(folder / "sales.csv"), broken=broken, after=after))
    return folder


class Luigid:
    """Luigi's central scheduler, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-W", "ignore", "-c", "from luigi.cmdline import luigid; luigid()", "--address", "127.0.0.1",
                   "--port", str(self.port), "--state-path", str(folder / "state.pickle")]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ})
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("luigid did not start")

    def asked(self, what: str, **data: object) -> dict:
        """Return what its page would be told."""
        body = urllib.parse.urlencode({"data": json.dumps(data)}).encode()
        with urllib.request.urlopen(f"{self.url}/api/{what}", body, timeout=10) as answer:
            return json.load(answer)["response"]

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def luigid(tmp_path: Path) -> Iterator[Luigid]:
    """A central scheduler."""
    server = Luigid(tmp_path)
    yield server
    server.kill()


def workspace(tmp_path: Path, scheduler: str) -> Workspace:
    home = Home(tmp_path / "home")
    settings, record = Settings(home=home.path, luigi=scheduler), RunRecord("shop", home.ledger(), "r1")
    return Workspace.compose(Product("shop"), home, settings, record, reporting=RunReporting(Heard()))


class Heard(NoProgress):
    """Keeps what was noted."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def awaited(self, what: str | None) -> None:
        pass

    def noted(self, sentence: str) -> None:
        self.sentences.append(sentence)


def chain(*works) -> list[Step]:
    """Steps, each of which needs the one before."""
    names = [f"table:t{n}" for n in range(len(works))]
    return [
        Step(name, "table", name[6:], tuple(names[:n][-1:]), work) for n, (name, work) in enumerate(zip(names, works, strict=True))
    ]


def done(_) -> StepResult:
    return StepResult(rows_written=1)


def test_the_central_scheduler_shows_the_real_graph(tmp_path, luigid):
    run_state = execute(workspace(tmp_path, luigid.url), chain(done, done, done))
    assert list(run_state.completed) == ["table:t0", "table:t1", "table:t2"]
    found = luigid.asked("task_list", status="DONE", upstream_status="")
    assert {one["params"].get("step") for one in found.values()} == {"table:t0", "table:t1", "table:t2", None}  # and the run
    last = next(name for name, one in found.items() if one["params"].get("step") == "table:t2")
    graph = luigid.asked("dep_graph", task_id=last)
    assert {name: [graph[to]["params"]["step"] for to in one["deps"]] for name, one in graph.items()}[last] == ["table:t1"]
    assert len(graph) == 3
    assert {one["name"] for one in graph.values()} == {"shop.StepTask"}


def test_a_central_scheduler_that_dies_in_the_middle_stops_nobody(tmp_path, luigid):
    calls = []

    def kills(_):
        luigid.kill()
        return StepResult(rows_written=1)

    run_state = execute(workspace(tmp_path, luigid.url), chain(done, kills, lambda _: calls.append(1) or done(_), done))
    assert list(run_state.completed) == ["table:t0", "table:t1", "table:t2", "table:t3"]
    assert calls == [1]


def test_a_central_scheduler_that_is_not_there_is_told_of(tmp_path):
    ws = workspace(tmp_path, "127.0.0.1:1")
    assert list(execute(ws, chain(done)).completed) == ["table:t0"]
    assert "does not answer" in ws.reporting.progress.sentences[0]


def test_a_source_comes_after_a_task_of_the_users_and_a_task_after_a_table(tmp_path):
    folder = written(tmp_path / "shop")
    home = tmp_path / "home"

    class Sum(luigi.Task):
        def requires(self):
            return Table(product=str(folder), table="dear", home=str(home))

        def output(self):
            return luigi.LocalTarget(tmp_path / "sum.txt")

        def run(self):
            with self.output().open("w") as out:
                out.write(str(self.input().pandas()["amount"].sum()))

    assert not Sum().requires().complete()
    assert luigi.build([Sum()], local_scheduler=True, log_level="CRITICAL")
    assert (tmp_path / "sum.txt").read_text() == "7.0"
    assert Sum().requires().complete()
    with pytest.raises(NotThere, match="dear"):
        Table(product=str(folder), table="deer", home=str(home)).complete()


def test_a_task_of_the_users_that_fails_fails_the_source_with_its_reason(tmp_path):
    folder, home = written(tmp_path / "shop", broken=True), Home(tmp_path / "home")
    result = run(folder, Settings(home=home.path))
    assert "task Fetched(), which comes before 'land:sales'" in str(result.error)
    assert "the shop does not answer" in str(result.error)
    ledger = home.ledger()
    assert [(row["step"], row["state"]) for row in ledger.find(steps)] == [
        ("land:sales", "failed"), ("read:sales", "waiting"), ("table:dear", "waiting"),
    ]  # fmt: skip
    written(folder)
    assert run(folder, Settings(home=home.path)).error is None
    assert arrow(delta.read_version(home.table("shop", "dear"))).num_rows == 1
    assert [row["state"] for row in ledger.find(runs)] == ["failed", "succeeded"]
    ledger.close()


def test_what_is_no_task_is_said(tmp_path):
    with pytest.raises(DeclarationProblem, match="no Luigi task"):
        run(written(tmp_path / "shop", after="'Fetched'"), Settings(home=tmp_path / "home"))
