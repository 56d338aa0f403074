"""What a product promises is checked, stored, assessed from the ledger, alerted and shown."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console
from sklearn.linear_model import LinearRegression
from tests.documents import check_document

import caudal as cd
from caudal.commands.sla import service_levels
from caudal.commands.status import home_status
from caudal.daemon.messenger import Messenger
from caudal.declarations.settings import Settings
from caudal.errors import DeclarationProblem
from caudal.governance.retain import retain
from caudal.graph.build import build
from caudal.graph.check import check
from caudal.ledger.ledger import Ledger
from caudal.ledger.measurements import Measurement, add_measurements, measurements
from caudal.ledger.records import alerts, runs, steps
from caudal.observers.alerts.service_levels import service_level_events
from caudal.observers.declared import declaration, store_declaration
from caudal.report.page import write_run_page
from caudal.report.terminal import print_service_levels, print_status
from caudal.service_levels.agreed import agreed_of, stored_agreed
from caudal.service_levels.assess import assess
from caudal.tables.home import Home

BERLIN = ZoneInfo("Europe/Berlin")
NOW = dt.datetime(2026, 10, 26, 12, 0, tzinfo=BERLIN).timestamp()  # the Monday after the night in which clocks go back


def shop(**level: object) -> cd.Product:
    """A product whose table has an SLA."""
    product = cd.Product("shop", tz="Europe/Berlin")
    product.source("sales", cd.files("*.csv"), schema=cd.schema(id="long", amount="double"), trigger=cd.every("hour"))

    @product.table
    def good(sales):
        return sales

    product.alert(cd.webhook("http://127.0.0.1:9/hook"), repeat="6 hours")
    if level:
        product.sla(good, cd.sla(**level))
    return product


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def ledger(home: Home) -> Iterator[Ledger]:
    ledger = home.ledger()
    yield ledger
    ledger.close()


def publish(
    ledger: Ledger, at: float, *, rows: int = 100, aside: int = 0, took_s: float = 600.0, name: str = "good", kind: str = "table"
) -> str:
    """Record a run that published a version."""
    run_id = f"r{at:.0f}"
    ledger.add(
        runs,
        {"run_id": run_id, "product": "shop", "command": "run", "state": "succeeded", "started_at": at - took_s, "finished_at": at},
    )
    ledger.add(steps, {
        "run_id": run_id, "product": "shop", "step": f"{kind}:{name}", "kind": kind, "name": name, "state": "succeeded", "started_at": at - 1,
        "finished_at": at, "seconds": 1.0, "output_version": 1, "rows_read": rows + aside, "rows_written": rows, "rows_quarantined": aside,
    })  # fmt: skip
    return run_id


def told(ledger: Ledger, product: cd.Product, now: float) -> list[tuple[str, str]]:
    return [(event.subject, event.what) for event in service_level_events(ledger, product, now)]


def problems(product: cd.Product) -> list[str]:
    return [problem.sentence() for problem in check(product)]


def test_a_subject_that_is_not_there_is_refused_with_the_nearest() -> None:
    product = shop()
    product.sla("goood", cd.sla(fresh="2 hours"))
    assert "An SLA names 'goood', which nothing declares. Did you mean 'good'?" in problems(product)[0]


def test_an_objective_that_the_subject_cannot_have_is_refused() -> None:
    product = shop(fresh="2 hours", p95="50 ms")
    model = product.model("price", features="good", label="amount", candidates={"line": LinearRegression()}, split=cd.temporal(3))
    product.sla(model, cd.sla(p95="50 ms"))
    assert "The SLA of 'good' promises p95, which a table cannot have. It can have fresh, complete, valid." in " ".join(
        problems(product)
    )
    assert "An SLA names the model 'price', which is not served." in " ".join(problems(product))
    product.serve(model, sla=cd.sla(fresh="1 hour", available=0.999))
    product.sla("good", cd.sla(fresh="3 hours"))
    sentences = " ".join(problems(product))
    assert "'price' promises fresh, which a model that is served cannot have" in sentences
    assert "Two SLAs of 'good' promise fresh." in sentences
    assert "is not served" not in sentences


def test_what_is_right_is_accepted() -> None:
    assert not problems(shop(fresh="2 hours", complete=1.0, valid=0.98, hours=cd.working_hours("Mon-Fri 08:00-18:00")))
    product = cd.Product("shop")
    sales = product.source("sales", cd.files("*.csv"), schema=cd.schema(id="long"))  # without a schedule
    product.sla(sales, cd.sla(fresh="2 hours"))
    ecg = product.source("ecg", cd.stream(channels=["a", "b"]))
    product.sla(ecg, cd.sla(fresh="5 minutes", p95="1 s", valid=0.99))
    assert not problems(product)
    second = product.statistics("seconds", ecg)
    product.sla(second, cd.sla(fresh="5 minutes"))
    product.sla("ecg", cd.sla(complete=0.5))
    assert [sentence.partition(".")[0] for sentence in problems(product)] == [
        "An SLA names 'seconds', which a stream writes all the time", "The SLA of 'ecg' promises complete, which a stream cannot have",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({}, "promises nothing"),
        ({"fresh": "2 hours", "target": 1.2}, "target=1.2"),
        ({"valid": 1}, "leaves no error budget"),
        ({"available": -0.1}, "available=-0.1"),
        ({"complete": 2}, "complete=2"),
        ({"fresh": 0}, "fresh of 0 seconds"),
        ({"fresh": "2 hours", "over": "5 minutes"}, "between an hour and a year"),
    ],
)
def test_terms_that_cannot_be_are_refused(terms: dict[str, object], said: str) -> None:
    with pytest.raises(DeclarationProblem, match=said):
        cd.sla(**terms)


@pytest.mark.parametrize(
    ("text", "said"),
    [("Mon-Fri", "not a range"), ("Mon 9:00-8:00", "ends before it begins"), ("Mon 8:00-25:00", "no time of a day"), ("Tux 8:00-9:00", "no day of the week")],
)  # fmt: skip
def test_hours_that_cannot_be_are_refused(text: str, said: str) -> None:
    with pytest.raises(DeclarationProblem, match=said):
        cd.working_hours(text)


def test_both_forms_or_none_are_refused() -> None:
    with pytest.raises(DeclarationProblem, match="neither a level nor a length"):
        shop().sla("good")
    with pytest.raises(DeclarationProblem, match="both a level and a length"):
        shop().sla("good", cd.sla(fresh=60), within=60)


def test_the_simple_form_is_the_same_level_and_stays_among_the_slas() -> None:
    product = shop()
    product.sla("good", within="2 hours")
    (agreement,) = product.service_levels
    assert agreement.level == cd.sla(fresh="2 hours")
    assert [(sla.table, sla.within_s) for sla in product.slas] == [("good", 7200.0)]


def test_what_is_declared_is_stored_and_read_again(ledger: Ledger) -> None:
    product = shop(fresh="2 hours", valid=0.98, over="7 days", hours=cd.working_hours("Mon-Fri 08:00-18:00"))
    product.sla("sales", within="1 day")
    store_declaration(product, ledger, "r", NOW)
    assert stored_agreed(ledger, "shop") == agreed_of(product)
    assert stored_agreed(ledger, "other") is None
    assert "service_levels" not in declaration(shop())  # what is not declared costs nothing


def test_closed_hours_make_nothing_late(ledger: Ledger) -> None:
    hours = cd.working_hours("Mon-Fri 08:00-18:00")
    friday = dt.datetime(2026, 10, 23, 17, 0, tzinfo=BERLIN).timestamp()
    publish(ledger, friday)
    product = shop(fresh="2 hours", hours=hours)
    monday = dt.datetime(2026, 10, 26, 8, 30, tzinfo=BERLIN).timestamp()
    (state,) = assess(ledger, agreed_of(product), monday)
    fresh = state.objectives[0].freshness
    assert fresh is not None
    assert (fresh.age_s, fresh.due_at) == (5400.0, monday + 1800)
    assert state.objectives[0].figures.level == 1.0
    assert told(ledger, product, monday) == []
    assert told(ledger, product, NOW)[0] == (
        "good",
        "'good' is 5 hours of working time (Mon-Fri 08:00-18:00) old; its SLA is 2 hours.",
    )


def test_a_breach_is_told_before_it_comes_where_runs_take_long(ledger: Ledger) -> None:
    for hour in range(9, 1, -1):
        publish(ledger, NOW - hour * 1800, took_s=1200.0)
    publish(ledger, NOW, took_s=1200.0)
    product = shop(fresh="1 hour", target=0.9)
    assert told(ledger, product, NOW + 2000) == []  # 1,600 s are left, a run takes 1,200
    ((subject, what),) = told(ledger, product, NOW + 2500)
    assert (subject, what) == (
        "good fresh coming", "'good' will be older than 1 hour at 2026-10-26 13:00 CET: a run usually takes 20 min 0 s, and none has begun.",
    )  # fmt: skip
    ledger.add(runs, {"run_id": "now", "product": "shop", "command": "run", "state": "running", "started_at": NOW + 2300})
    assert told(ledger, product, NOW + 2500) == []  # it will be there in time
    ledger.change(runs, {"run_id": "now"}, started_at=NOW + 2490.0)
    assert "the run at work is expected to end at 2026-10-26 13:01 CET" in told(ledger, product, NOW + 2500)[0][1]


def test_a_budget_that_is_spent_fast_is_told_of_and_then_the_breach(ledger: Ledger) -> None:
    for hour in range(30 * 24, -1, -1):
        publish(ledger, NOW - hour * 3600)
    product = shop(fresh="1 hour")
    assert told(ledger, product, NOW) == []
    subjects = {hours: [subject for subject, _ in told(ledger, product, NOW + hours * 3600)] for hours in (2, 6, 10)}
    assert subjects == {2: ["good", "good fresh burning"], 6: ["good", "good fresh burning"], 10: ["good", "good fresh breached"]}
    sentence = told(ledger, product, NOW + 6 * 3600)[1][1]
    assert sentence.startswith("'good' spends the error budget of its SLA (fresh) 100.0 times as fast as allowed: 30.")
    assert told(ledger, product, NOW + 10 * 3600)[1][1] == "'good' was fresh 98.75 % of the last 30 days; its SLA promises 99 %."


def test_an_alert_about_the_same_thing_is_told_once(ledger: Ledger, home: Home) -> None:
    publish(ledger, NOW - 5 * 3600)
    product, at = shop(fresh="1 hour"), [NOW]
    messenger = Messenger([product], home, ledger, Settings(home=home.path), lambda document: None, clock=lambda: at[0])
    for at[0] in (NOW, NOW + 30, NOW + 90, NOW + 3600):
        messenger.look()
    rows = ledger.find(alerts)
    assert [(row["happening"], row["subject"], row["repeats"]) for row in rows] == [
        ("sla", "good", 0),
        ("sla", "good fresh burning", 0),
    ]
    at[0] = NOW + 6 * 3600 + 1
    messenger.look()
    assert [row["subject"] for row in ledger.find(alerts)].count("good") == 2


def test_rows_set_aside_and_missing_ones_are_judged_by_version(ledger: Ledger) -> None:
    for day in range(10):
        publish(ledger, NOW - (10 - day) * 3600, rows=100 if day != 8 else 40, aside=5)
    (state,) = assess(ledger, agreed_of(shop(complete=0.9, valid=0.98)), NOW)
    complete, valid = state.objectives
    assert (complete.figures.bad, complete.figures.total, complete.figures.state) == (1, 5, "breached")
    assert valid.figures.level == pytest.approx(940 / 990)
    assert (valid.unit, valid.target) == ("rows", 0.98)


def stream_minute(ledger: Ledger, minute: float, metric: str, value: float, kind: str = "stream", subject: str = "ecg") -> None:
    add_measurements(ledger, Measurement(
        "shop", "", minute + 60, kind, subject, metric, value, count=100, window_start=minute, window_end=minute + 60,
    ))  # fmt: skip


def test_a_stream_is_judged_by_its_minutes(ledger: Ledger) -> None:
    product = cd.Product("shop")
    product.source("ecg", cd.stream(channels=["a"]))
    product.sla("ecg", cd.sla(fresh="5 minutes", p95="1 s", valid=0.99, over="1 day"))
    for minute in range(120, 30, -1):
        stream_minute(ledger, NOW - minute * 60, "samples", 100.0)
        stream_minute(ledger, NOW - minute * 60, "p95_s", 0.5 if minute % 2 else 2.0)
        stream_minute(ledger, NOW - minute * 60, "valid_share", 0.98)
    (state,) = assess(ledger, agreed_of(product), NOW)
    fresh, valid, p95 = state.objectives
    assert (fresh.figures.total, fresh.figures.bad) == (119, 24)  # since the first minute's end; too old from 25 minutes ago on
    assert valid.figures.level == pytest.approx(0.98)
    assert p95.figures.level == 0.5
    product.alert(cd.webhook("http://127.0.0.1:9/hook"))
    assert told(ledger, product, NOW)[0] == ("ecg", "'ecg' is 30 minutes old; its SLA is 5 minutes.")


def test_the_command_the_status_and_the_page_show_it(
    ledger: Ledger, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hour in range(40, 3, -1):
        run_id = publish(ledger, NOW - hour * 3600, aside=hour)
    product = shop(fresh="90 minutes", valid=0.98, over="2 days")
    store_declaration(product, ledger, run_id, NOW)
    document = service_levels(Settings(home=home.path), "shop", NOW)
    check_document("sla", json.loads(json.dumps(document)))
    fresh, _ = document["products"][0]["service_levels"][0]["objectives"]
    assert (fresh["late"], fresh["state"], fresh["bad"], fresh["unit"]) == (True, "breached", 149.0, "minutes")
    assert [day["date"] for day in fresh["history"]] == ["2026-10-24", "2026-10-25", "2026-10-26"]
    out = StringIO()
    print_service_levels(document, Console(file=out, width=160))
    line = next(line for line in out.getvalue().splitlines() if " fresh " in line)
    assert line.split()[:4] == ["fresh", "90", "minutes,", "99"]
    assert "late: 4 h 0 min old" in line
    monkeypatch.setattr("time.time", lambda: NOW)
    status = home_status(Settings(home=home.path))
    assert len(status["products"][0]["breached"]) == 2
    out = StringIO()
    print_status(status, Console(file=out, width=160), NOW)
    assert "'good' was fresh" in out.getvalue()
    ledger.change(runs, {"run_id": run_id}, finished_at=NOW)
    write_run_page(ledger, run_id, build(product), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<h2>Service levels</h2>" in page
    assert "90 minutes, 99 %" in page
    print_service_levels({**document, "products": []}, Console(file=out))
    assert "No service level is declared." in out.getvalue()


def test_figures_of_minutes_are_kept_as_long_as_declared(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    text = (
        'import caudal as cd\nproduct = cd.Product("shop")\nproduct.source("sales", cd.files("*.csv"), schema=cd.schema(id="long"))\n'
        'product.sla("sales", cd.sla(fresh="1 hour", over="30 days"))\nproduct.retain(minutes="{kept}")\n'
    )
    with contextlib.closing(home.ledger()) as ledger:
        add_measurements(
            ledger,
            *(
                Measurement(
                    "shop", "", NOW, "serving", "stay", "p95_s", 0.01, count=3, window_start=NOW - age, window_end=NOW - age + 60
                )
                for age in (50 * 86_400.0, 41 * 86_400.0, 39 * 86_400.0)
            ),
            Measurement("shop", "r1", NOW, "model", "stay", "mae", 1.0),
        )
        settings = Settings(home=home.path)
        (folder / "product.py").write_text(text.format(kept="20 days"))
        with pytest.raises(
            DeclarationProblem, match="Figures of minutes are kept for 20 days, and a service level of 'shop' is over 30 days"
        ):
            retain(folder, settings, clock=lambda: NOW)
        (folder / "product.py").write_text(text.format(kept="40 days"))
        assert [item["rows"] for item in retain(folder, settings, clock=lambda: NOW)["going"]] == [2]
        assert retain(folder, settings, yes=True, clock=lambda: NOW)["done"]
        assert not retain(folder, settings, clock=lambda: NOW)["going"]
        assert sorted(row.metric for row in measurements(ledger, product="shop")) == ["mae", "p95_s"]
