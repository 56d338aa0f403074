"""Kinds of another package: one file each (``tests/added``), found by entry points, and as good as caudal's own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

import caudal as cd
from caudal import discovery, expect as ex
from caudal.console import create_console
from caudal.declarations.model import Model, temporal
from caudal.declarations.node import Features
from caudal.errors import EnvironmentProblem
from caudal.graph.check_models import problems_of_model
from caudal.kinds import EXPECTATIONS, FEATURES, GATES, METRICS, PAGES
from caudal.stages.enforce.judging import judge
from caudal.stages.train import train

ADDED = Path(__file__).parents[1] / "added"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Put a folder of packages on Python's path, as an installation does, and take away what came of it."""
    monkeypatch.syspath_prepend(str(ADDED))
    discovery.forget_kinds()
    yield monkeypatch
    monkeypatch.undo()
    discovery.forget_kinds()
    for name in [name for name in sys.modules if name.partition(".")[0] in ("more_kinds", "odd_kinds")]:
        del sys.modules[name]
    for name in ("doubled", "steady"):
        vars(cd).pop(name, None)


@pytest.fixture
def odd(installed: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return what installs a package with one entry point, and asks for the metrics."""

    def metrics(module: str, value: str = "odd_kinds.one") -> list[str]:
        (tmp_path / "odd_kinds").mkdir()
        (tmp_path / "odd_kinds" / "__init__.py").touch()
        (tmp_path / "odd_kinds" / "one.py").write_text(module)
        (told := tmp_path / "odd_kinds-2.0.dist-info").mkdir()
        (told / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-kinds\nVersion: 2.0\n")
        (told / "entry_points.txt").write_text(f"[caudal.metrics]\none = {value}\n")
        installed.syspath_prepend(str(tmp_path))
        discovery.forget_kinds()
        return list(METRICS)

    return metrics


def test_kinds_of_a_package_stand_behind_caudals_own(installed: object) -> None:
    assert list(METRICS)[-1] == "worst"
    assert {"even"} == set(EXPECTATIONS.added())
    assert {"doubled"} == set(FEATURES.added())
    assert {"steady"} == set(GATES.added())
    assert list(PAGES) == ["streams", "live", "runs", "monitors", "service_levels", "about"]
    assert "worst" not in METRICS.own()
    assert {"doubled", "steady"} <= set(dir(cd))
    assert "even" in dir(ex)


def test_without_the_package_there_is_no_such_kind() -> None:
    discovery.forget_kinds()
    assert "even" not in EXPECTATIONS
    with pytest.raises(AttributeError, match="has no expectation 'even'"):
        _ = ex.even
    with pytest.raises(AttributeError, match="no attribute 'steady'"):
        _ = cd.steady


def test_an_expectation_of_a_package_judges_rows(installed: object, spark: Any, tmp_path: Path) -> None:
    frame = spark.createDataFrame([(1,), (2,), (None,), (3,)], "x int")
    judged = judge(frame, [ex.even("x").quarantine()], others={}, table="numbers")
    judged.write(tmp_path / "written")
    outcome = judged.outcome(tmp_path / "written", [], 0.0)
    assert (outcome.good, outcome.quarantined) == (2, 2)
    assert outcome.reasons == {"even(x)": 2}


def test_a_feature_of_a_package_is_written_as_caudals_own(installed: object, spark: Any) -> None:
    made = cd.doubled(spark.createDataFrame([(3,)], "x int"), "x")
    assert [row.asDict() for row in made.collect()] == [{"x": 3, "x_doubled": 6}]


def test_a_metric_and_a_gate_of_a_package_judge_a_model(installed: object) -> None:
    rng = np.random.default_rng(3)
    km = rng.gamma(2, 2, 400)
    frame = pd.DataFrame({"ride": range(400), "at": pd.date_range("2023-01-01", periods=400, freq="72min"), "km": km, "minutes": 2 * km + rng.normal(0, 0.1, 400)})  # fmt: skip
    features = Features("rides", (), entity=("ride",), as_of="at", labels=("minutes",))
    declared = Model(
        "duration", "rides", "minutes", 3600.0, {"ridge": Ridge()}, temporal("4 days", folds=2), "worst",
        gates=(cd.steady(5.0), cd.steady(1e-9), cd.limit("worst", 10.0)),
    )  # fmt: skip
    product = cd.Product("p")
    product.nodes["rides"], product.models["duration"] = features, declared
    assert [
        problem.what
        for model in product.models.values()
        for problem in problems_of_model(product, model)
        if "metric" in problem.what or "gate" in problem.what
    ] == []
    trained = train(declared, features, frame)
    assert trained.metric == "worst"
    worst = trained.metrics["worst"]
    assert worst is not None
    assert trained.metrics["mae"] is not None
    assert worst > trained.metrics["mae"]
    assert [(gate.gate, gate.passed) for gate in trained.gates] == [("steady", True), ("steady", False), ("limit(worst)", True)]


def test_a_page_of_a_package_is_in_the_console(installed: object, tmp_path: Path) -> None:
    client = create_console(tmp_path).test_client()
    assert '<a href="/about" >About</a>' in client.get("/").text
    asked = {"output": "page.children", "outputs": {"id": "page", "property": "children"}, "inputs": [{"id": "address", "property": "pathname", "value": "/about"}], "changedPropIds": ["address.pathname"]}  # fmt: skip
    assert f"The home is {tmp_path.name}." in client.post("/_dash-update-component", json=asked).text


@pytest.mark.parametrize(
    ("module", "why"),
    [
        ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("METRICS = []", "it is not a module that defines one, as the files of caudal.stages.metrics do"),
        ("from caudal.stages.metrics.mae import METRIC", "there is already one with the name 'mae'"),
    ],
)
def test_a_kind_that_cannot_be_used_is_named_in_one_sentence(odd: Any, module: str, why: str) -> None:
    with pytest.raises(EnvironmentProblem) as raised:
        odd(module)
    with pytest.raises(EnvironmentProblem):  # not only the first time
        list(METRICS)
    assert raised.value.what == f"The package 'odd-kinds' adds the metric 'one' (odd_kinds.one), which cannot be used: {why}."
    assert raised.value.fix == "Mend the package, or uninstall it: pip uninstall odd-kinds"


def test_caudals_own_kinds_are_had_beside_a_broken_one(odd: Any) -> None:
    with pytest.raises(EnvironmentProblem):
        odd("1 / 0")
    assert METRICS["mae"].better == "lower"
    assert cd.beats_baseline(0.1).margin == 0.1


def test_two_packages_cannot_add_one_name(odd: Any) -> None:
    worst = "from caudal.stages.metrics.judged import Metric\nMETRIC = Metric('worst', 'regression', 'lower', lambda judged: 0.0)\n"
    with pytest.raises(EnvironmentProblem, match="there is already one with the name 'worst'"):
        odd(worst)
