"""What a table is, where the ledger was not told of the step that made it; and files that hold the same bytes."""

from __future__ import annotations

import pyarrow as pa
import pytest
from tests import lakes

import caudal as cd
from caudal.batch.steps import land
from caudal.commands.status import home_status
from caudal.declarations.settings import Settings
from caudal.ledger.records import runs
from caudal.report.terminal.progress import TerminalProgress
from caudal.runtime.progress import NoProgress
from caudal.runtime.run_record import RunRecord
from caudal.runtime.run_reporting import RunReporting
from caudal.runtime.workspace import Workspace
from caudal.storage import delta
from caudal.tables.home import Home


class Heard(NoProgress):
    def __init__(self) -> None:
        self.sentences: list[str] = []

    def noted(self, sentence: str) -> None:
        self.sentences.append(sentence)


@pytest.mark.parametrize(("step", "kind"), [("read:t", "read"), ("table:t", "table"), ("features:t", "features"), ("predict:t", "predict"), ("stream:t", "stream"), ("follow:t", "stream")])  # fmt: skip
def test_a_table_is_what_its_commit_says_when_its_run_has_failed(tmp_path, step, kind):
    home = Home(tmp_path / "home")
    ledger = home.ledger()
    ledger.add(runs, {"run_id": "r", "product": "p", "command": "run", "state": "failed", "started_at": 1.0, "finished_at": 2.0})
    ledger.close()
    version = lakes.write(home.table("p", "t"), pa.table({"x": [1]}))
    delta.commit(version.folder, [], version.schema, partitioned=False, replace="none", identity={"step": step, "upto": 1.0})
    (product,) = home_status(Settings(home=home.path))["products"]
    assert [(table["table"], table["kind"], table["rows"]) for table in product["tables"]] == [("t", kind, 1)]


def test_identical_files_under_two_names_are_told_when_they_land(tmp_path):
    product = cd.Product("p")
    product.source("s", cd.files("*.csv"), schema=cd.schema(id="long"))
    for name in "abc":
        (tmp_path / f"{name}.csv").write_text("id\n1\n" if name != "c" else "id\n2\n")
    home, heard = Home(tmp_path / "home"), Heard()
    ledger = home.ledger()
    settings = Settings(home=home.path, data=tmp_path)
    ws = Workspace.compose(product, home, settings, RunRecord("p", ledger, "r"), reporting=RunReporting(heard))
    done = land.work(ws, product.sources["s"])
    told = "'b.csv' holds the same bytes as 'a.csv': they count once."
    assert (heard.sentences, done.detail["notes"]) == ([told], [told])
    heard.sentences.clear()
    (tmp_path / "d.csv").write_text("id\n2\n")
    land.work(ws, product.sources["s"])
    assert heard.sentences == ["'d.csv' holds the same bytes as 'c.csv': they count once."]
    ledger.close()


def test_what_a_step_waits_for_is_shown_beside_it(capsys):
    from rich.console import Console

    progress = TerminalProgress(Console(width=200))
    progress.started("read:raw")
    progress.awaited("Java and Spark are started")
    progress._print_slow("read:raw")
    progress.awaited(None)
    progress._print_slow("read:raw")
    progress.close()
    first, second = capsys.readouterr().out.strip().splitlines()
    assert first.endswith("so far: Java and Spark are started")
    assert second.endswith("so far")
