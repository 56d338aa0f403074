"""``caudal check`` analyses the nodes that have changed, and all that depends on them; and gives no old verdict."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from caudal.commands.check.check import check_product
from caudal.commands.check.node_analyser import NodeAnalyser
from caudal.declarations.settings import Settings

PRODUCT = """
import json
from pathlib import Path

import caudal as cd
from caudal import expect as ex
from pyspark.sql import functions as F
from sklearn.linear_model import LinearRegression
import near

product = cd.Product("p", tz="Europe/Zurich")
product.source("rows", cd.files("rows.csv"), event_time="at", schema=cd.schema(at="timestamp", told="timestamp", zone="string", x="double"))


@product.table(event_time="at", known={"x": "1 hour"}, expect=[ex.positive("x").warn()])
def events(rows):
    return rows.drop("_file")


@product.table
def sums(events):
    return events.groupBy("zone").agg(F.sum("x").alias("total"))


@product.features(entity="zone", as_of="at", labels=["y"])
def before(events):
    return cd.lag(events, "x", "3 hours", by="zone", order="at").withColumn("y", F.col("x")).drop("x", "told")


@product.features(entity="zone", as_of="at")
def others(events):
    lag = json.loads(Path(__file__).with_name("lags.txt").read_text())
    return cd.lag(events, "x", f"{lag} hours", by="zone", order="at").where(F.col("zone") != near.NONE).drop("x", "told")


product.model("m", features=before, label="y", candidates={"l": LinearRegression()}, split=cd.temporal(test="1 day"))
"""


FOLDERS = ("p", "verdicts", "nodes")


def _note(patch: pytest.MonkeyPatch, root: Path) -> list[str]:
    """Keep verdicts below a folder, and return the list that the nodes come into of which an engine is asked, twice where Sail leaves something to Spark."""
    patch.setattr("caudal.commands.check.verdict._folder", lambda: root / "verdicts")
    patch.setattr("caudal.commands.check.node_verdicts._folder", lambda: root / "nodes")
    asked: list[str] = []
    for method in ("source", "table", "foresight"):
        real = getattr(NodeAnalyser, method)

        def noted(self: Any, node: Any, *more: Any, real: Any = real, method: str = method) -> Any:
            asked.append(f"{node.name} sees" if method == "foresight" else node.name)
            return real(self, node, *more)

        patch.setattr(NodeAnalyser, method, noted)
    return asked


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory, spark: Any) -> Path:
    """Return a folder with a product that was checked, its verdicts, and a copy of all three under ``as it was``."""
    root = tmp_path_factory.mktemp("checked")
    for name in FOLDERS:
        (root / name).mkdir()
    place = root / "p"
    (place / "product.py").write_text(PRODUCT)
    (place / "near.py").write_text('NONE = "none"\n')
    (place / "lags.txt").write_text("2")
    with pytest.MonkeyPatch.context() as patch:
        asked = _note(patch, root)
        assert check_product(place, Settings(home=root / "home")) == []
    assert list(dict.fromkeys(asked)) == ["rows", "events", "sums", "before", "before sees", "others", "others sees"]
    for name in FOLDERS:
        shutil.copytree(root / name, root / "as it was" / name)
    return root


@pytest.fixture
def edited(checked: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[str], list[str]]]:
    """Return a function that edits the product, and returns the nodes that an engine was asked of and the problems."""
    for name in FOLDERS:
        shutil.rmtree(checked / name)
        shutil.copytree(checked / "as it was" / name, checked / name)
    asked = _note(monkeypatch, checked)
    place = checked / "p"

    def edit(file: str = "product.py", old: str = "", new: str = "") -> tuple[list[str], list[str]]:
        text = (place / file).read_text()
        assert old in text
        (place / file).write_text(text.replace(old, new, 1) if old else text)
        asked.clear()
        problems = check_product(place, Settings(home=checked / "home"))
        return list(dict.fromkeys(asked)), [one.sentence() for one in problems]

    return edit


Edit = Callable[..., tuple[list[str], list[str]]]


def test_what_has_not_changed_is_not_analysed_again(edited: Edit) -> None:
    assert edited(old="F.sum", new="F.max") == (["sums"], [])
    assert edited(old='ex.positive("x").warn()', new='ex.positive("x", or_zero=True).warn()') == ([], [])
    assert edited(old='split=cd.temporal(test="1 day")', new='split=cd.temporal(test="2 days")') == ([], [])
    assert edited(old="import near", new="import near  # a comment") == ([], [])
    assert edited(old='"3 hours"', new='"4 hours"') == (["before", "before sees"], [])
    assert edited("near.py", "none", "no zone") == (["others", "others sees"], [])


def test_what_is_asked_by_name_only_is_looked_up_without_spark(edited: Edit) -> None:
    asked, (problem,) = edited(old='ex.positive("x")', new='ex.positive("z")')
    assert asked == []
    assert "no column 'z'" in problem
    asked, (problem,) = edited(old='ex.positive("z")', new='ex.positive("zone")')  # of a type that no number is
    assert asked == []
    assert "'zone'" in problem or "zone" in problem


def test_a_change_of_columns_is_seen_by_all_that_reads_them(edited: Edit) -> None:
    asked, problems = edited(old='rows.drop("_file")', new='rows.drop("_file").withColumn("more", F.lit(1))')
    assert problems == []
    assert asked == ["events", "sums", "before", "before sees", "others", "others sees"]
    assert edited(old="F.lit(1)", new="F.lit(2)") == (["events"], [])  # other rows, the same columns


@pytest.mark.slow
def test_a_leak_that_comes_about_elsewhere_is_found_each_time(edited: Edit) -> None:
    for _ in range(2):
        asked, problems = edited(old='{"x": "1 hour"}', new='{"x": "5 hours"}') if _ == 0 else edited()
        assert asked[-3:] == ["before sees", "others", "others sees"]
        assert [one.split(":")[0] for one in problems] == ["Features 'before' see the future", "Features 'others' see the future"]
    assert edited(old='{"x": "5 hours"}', new='{"x": "1 hour"}') == ([], [])


@pytest.mark.slow
def test_a_file_that_a_function_reads_is_compared(edited: Edit) -> None:
    # Beside what is code or settings: only that the function read it tells.
    assert edited("lags.txt", "2", "3")[0] == ["others", "others sees"]
    asked, (problem,) = edited("lags.txt", "3", "0.5")
    assert asked == ["others", "others sees"]
    assert "Features 'others' see the future" in problem


def test_a_verdict_that_cannot_be_read_is_made_again(edited: Edit, checked: Path) -> None:
    for file in (checked / "nodes").iterdir():
        file.write_text("{")
    asked, problems = edited(old="F.sum", new="F.max")
    assert asked[0] == "rows"
    assert "sums" in asked
    assert problems == []
