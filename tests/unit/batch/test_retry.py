"""Steps that are tried again, and steps that are ended."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import pytest

import caudal as cd
from caudal.batch import retry
from caudal.batch.execute import execute
from caudal.batch.retry import Attempts, Policy, is_transient, perform_with_retries, policy_of
from caudal.batch.step import Step, StepResult
from caudal.declarations.settings import Settings
from caudal.engine.classic import CLASSIC
from caudal.engine.sail.engine import SailEngine
from caudal.errors import DeclarationProblem, EnvironmentProblem, ExpectationStopped, SourceProblem, StepFailed, TimeLimitPassed
from caudal.ledger.records import steps
from caudal.runtime.run_record import RunRecord
from caudal.runtime.workspace import Workspace
from caudal.tables.home import Home


def workspace(tmp_path, check_claim=lambda: None, engine="spark", **options):
    product = cd.Product("p")
    product.source("s", cd.files("*.csv"), **options)
    home = Home(tmp_path / "home")
    return Workspace.compose(
        product, home, Settings(home=home.path, engine=engine), RunRecord("p", home.ledger(), "r1", check_claim=check_claim)
    )


def step(work, name="read:s"):
    kind, _, subject = name.partition(":")
    return Step(name, kind, subject, (), work)


class Failing:
    """A step that fails so often, then succeeds."""

    def __init__(self, *errors):
        self.errors, self.calls = list(errors), 0

    def __call__(self, ws):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return StepResult(rows_written=1)


def never(problem):
    raise AssertionError(problem)


def test_pauses_are_left_to_chance_below_a_bound_that_doubles(tmp_path):
    random.seed(1)
    ws, many = workspace(tmp_path, retry=9), []
    for _ in range(200):
        waits = []
        perform_with_retries(ws, step(Failing(*[ConnectionError("no")] * 9)), Attempts(), never, sleep=waits.append)
        many.append(waits)
    for place, bound in enumerate((1, 2, 4, 8, 16, 32, 60, 60, 60)):
        drawn = [one[place] for one in many]
        assert 0 <= min(drawn) < bound * 0.1
        assert bound * 0.9 < max(drawn) <= bound


def caused(error, by):
    error.__cause__ = by
    return error


class Py4JNetworkError(Exception):
    """What the bridge to Java raises, by its name."""


class Py4JJavaError(Exception):
    """What Java raised, by its name."""


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (EnvironmentProblem("no Java"), True),
        (TimeLimitPassed("too long"), True),
        (SourceProblem("no answer", transient=True), True),
        (SourceProblem("broken file", file="x"), False),
        (DeclarationProblem("wrong"), False),
        (ExpectationStopped("broken"), False),
        (caused(StepFailed("Table 't' failed"), TypeError("x")), False),
        (caused(StepFailed("Table 't' failed"), Py4JJavaError("java.lang.OutOfMemoryError: Java heap space")), True),
        (StepFailed("no column"), False),
        (TypeError("x"), False),
        (KeyError("x"), False),
        (ZeroDivisionError("x"), False),
        (ConnectionResetError("x"), True),
        (TimeoutError("x"), True),
        (Py4JNetworkError("Answer from Java side is empty"), True),
        (Py4JJavaError("ExecutorLostFailure (executor 1 exited)"), True),
        (Py4JJavaError("org.apache.spark.SparkArithmeticException: [DIVIDE_BY_ZERO]"), False),
    ],
)
def test_a_mistake_is_not_made_again_and_what_may_pass_is(error, again):
    assert is_transient(error) is again


def test_sparks_own_errors_are_told_apart(spark):
    with pytest.raises(Exception, match="UNRESOLVED_COLUMN") as unknown:
        spark.sql("SELECT nothing FROM range(1)").collect()
    with pytest.raises(Exception, match="the user says so") as divided:
        spark.sql("SELECT raise_error('the user says so')").collect()
    assert not is_transient(unknown.value)
    assert not is_transient(divided.value)


def test_a_step_is_tried_again_until_it_succeeds(tmp_path):
    ws, work, slept, attempts = (
        workspace(tmp_path, retry=3),
        Failing(EnvironmentProblem("one"), ConnectionError("two")),
        [],
        Attempts(),
    )
    done = perform_with_retries(ws, step(work), attempts, never, sleep=slept.append)
    assert done.rows_written == 1
    assert work.calls == 3
    assert [one["error"] for one in attempts.failed] == ["one", "ConnectionError: two"]
    assert [one["waited_s"] for one in attempts.failed] == [round(one, 3) for one in slept]


@pytest.mark.parametrize(("error", "calls"), [(EnvironmentProblem, 3), (StepFailed, 1), (TypeError, 1)])
def test_a_step_is_tried_again_only_so_often_and_only_where_it_helps(tmp_path, error, calls):
    ws, work = workspace(tmp_path, retry=2), Failing(*[error("no")] * 9)
    with pytest.raises(error):
        perform_with_retries(ws, step(work), Attempts(), never, sleep=lambda _: None)
    assert work.calls == calls


def test_who_lost_the_product_does_no_step(tmp_path):
    def lost():
        raise EnvironmentProblem("taken over")

    ws, work = workspace(tmp_path, check_claim=lost, retry=3), Failing()
    with pytest.raises(EnvironmentProblem):
        perform_with_retries(ws, step(work), tried := Attempts(), never)
    assert work.calls == 0
    assert not tried.failed


def test_attempts_are_in_the_ledger_and_on_the_page(tmp_path, monkeypatch):
    from caudal.report.sections.steps import step_line

    monkeypatch.setattr(retry.time, "sleep", lambda _: None)
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 0.0)
    ws = workspace(tmp_path, retry=1)
    run_state = execute(
        ws, [step(Failing(EnvironmentProblem("no answer")), "land:s"), step(Failing(*[EnvironmentProblem("none")] * 5))]
    )
    assert list(run_state.completed) == ["land:s"]
    assert list(run_state.failed) == ["read:s"]
    rows = {row["step"]: row for row in ws.record.ledger.find(steps)}
    assert [one["error"] for one in rows["land:s"]["detail"]["attempts"]] == ["no answer"]
    assert "attempt 2; before it: no answer" in step_line(rows["land:s"])["why"]
    assert step_line(rows["read:s"])["why"].startswith("none; attempt 2")


def test_policies_are_found_for_every_kind_of_step(tmp_path):
    product = cd.Product("p")
    product.source("s", cd.files("*.csv"), retry=1)

    @product.features(entity="e", as_of="t", retry=2, time_limit="1 minute")
    def f(s):
        return s

    model = product.model("m", features=f, label="y", candidates={}, split=cd.temporal(test="1 day"), retry=3, time_limit=5)
    product.predict(model)
    names = ("land:s", "read:s", "features:f", "train:m", "promote:m", "predict:m_predictions", "read:x")
    found = {name: policy_of(product, step(None, name)) for name in names}
    assert found == {
        "land:s": Policy(1), "read:s": Policy(1), "features:f": Policy(2, 60.0), "train:m": Policy(3, 5.0), "promote:m": Policy(3, 5.0),
        "predict:m_predictions": Policy(3, 5.0), "read:x": Policy(),
    }  # fmt: skip


@pytest.mark.slow
def test_sparks_jobs_of_a_step_that_takes_too_long_are_cancelled(tmp_path, spark):
    """A task that hangs in the user's Python; the next attempt does not."""
    calls = []

    def work(ws):
        calls.append(1)
        if len(calls) > 1:
            return StepResult(rows_written=ws.spark.session.range(3).count())

        def hang(rows):
            time.sleep(600)
            return rows

        ws.spark.session.range(2).rdd.mapPartitions(hang).count()
        return StepResult()

    ws = workspace(tmp_path, retry=1, time_limit=6)
    began = time.monotonic()
    attempts = Attempts()
    done = perform_with_retries(ws, step(work), attempts, never, sleep=lambda _: None)
    assert done.rows_written == 3
    assert "took longer than 6 seconds" in attempts.failed[0]["error"]
    assert time.monotonic() - began < 120
    assert spark.range(1).count() == 1


@pytest.mark.slow
def test_a_step_on_sail_that_takes_too_long_ends_with_its_server(tmp_path, monkeypatch):
    own, calls = SailEngine(), []
    monkeypatch.setattr("caudal.runtime.run_spark.engines", lambda *_, **__: (own, CLASSIC))

    def work(ws):
        assert ws.spark.engine is own
        calls.append(1)
        if len(calls) == 1:

            def hang(batches):
                time.sleep(600)
                yield from batches

            ws.spark.session.range(2).mapInArrow(hang, "id bigint").count()
        return StepResult(rows_written=ws.spark.session.range(3).count())

    ws = workspace(tmp_path, engine="auto")

    @ws.product.table(retry=1, time_limit=10)
    def t(s):
        return s

    attempts = Attempts()
    done = perform_with_retries(ws, step(work, "table:t"), attempts, never, sleep=lambda _: None)
    assert (done.rows_written, len(calls)) == (3, 2)
    assert "took longer than 10 seconds" in attempts.failed[0]["error"]
    own.stop()


HANGS = """
import sys, time
from pathlib import Path
from caudal.batch import retry
from caudal.batch.batch import run
from caudal.runtime.process import Process
from caudal.declarations.settings import Settings
from caudal.engine.classic import CLASSIC
from caudal.engine.sail.engine import SailEngine
retry.CANCELLED_S = 0.5
result = run(Path(sys.argv[1]), Settings(home=Path(sys.argv[2])), process=Process(lambda error: print(error, file=sys.stderr)), run_id="hung")
print("not ended", result)
"""


@pytest.mark.slow
def test_a_python_that_hangs_is_ended_with_its_process_and_the_ledger_knows(tmp_path):
    from caudal.ledger.records import runs

    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "product.py").write_text(
        "import time\nimport caudal as cd\nproduct = cd.Product('p')\n"
        "def write(folder, seed):\n    time.sleep(600)\n"
        "product.source('s', cd.simulated(write), time_limit='1 second', retry=2)\n"
    )
    home = tmp_path / "home"
    ended = subprocess.run(
        [sys.executable, "-c", HANGS, str(tmp_path / "p"), str(home)], capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == TimeLimitPassed.exit_code, ended.stderr
    assert "took longer than 1 second, its time limit, and was ended" in ended.stderr
    ledger = Home(home).ledger()
    assert ledger.find(runs)[0]["state"] == "failed"
    assert ledger.find(runs)[0]["error"]["hung"] is True
    assert ledger.find(steps, step="land:s")[0]["error"]["error"] == "TimeLimitPassed"
    ledger.close()
