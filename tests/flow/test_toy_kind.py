"""A kind of node that another package gives by its entry points is run, reported, drawn and told of, and nothing of caudal is edited for it."""

from __future__ import annotations

import contextlib
import importlib
import io
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from caudal.batch import registered as work
from caudal.batch.batch import run
from caudal.batch.plan import plan
from caudal.commands.backfill import backfill
from caudal.commands.status import home_status
from caudal.declarations.custom import CustomNode
from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.errors import DeclarationProblem, EnvironmentProblem
from caudal.graph import registered
from caudal.graph.build import build
from caudal.graph.check import check
from caudal.graph.draw import as_svg, as_text
from caudal.graph.load import load
from caudal.observers.openlineage.events import events_of
from caudal.report.document import run_document
from caudal.report.terminal.status import print_status
from caudal.report.terminal.summary import print_summary
from caudal.runtime.run_record import RunRecord
from caudal.runtime.workspace import Workspace
from caudal.tables.home import Home

TOY = Path(__file__).parent / "toy_export.py"
PRODUCT = """
import caudal as cd
from toy_export import Export

product = cd.Product("shop")
product.source("sales", cd.files("sales_*.csv"), schema=cd.schema(at="timestamp", amount="double"), event_time="at", partition="day")

@product.table(event_time="at", partition="day")
def dear(sales):
    return sales.where("amount > 6")

product.add(Export(name="for_accounts", inputs=("dear",), description="What the accountants open.", to={to!r}))
"""
NODES, STEPS = "[caudal.nodes]\nexport = toy_export:KIND\n", "[caudal.steps]\nexport = toy_export:STEPS\n"
Install = Callable[[str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install the toy with some entry points, as pip lays a package out."""
    site = tmp_path / "packages"
    about = site / "toy_export-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-export\nVersion: 1.0\n")
    shutil.copy(TOY, site)
    monkeypatch.syspath_prepend(site)

    def forget() -> None:
        registered.clear_caches()
        work.forget_steps()
        importlib.invalidate_caches()

    def installed(entry_points: str) -> None:
        (about / "entry_points.txt").write_text(entry_points)
        forget()

    yield installed
    monkeypatch.undo()
    sys.modules.pop("toy_export", None)
    forget()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The folder of a product that declares an export."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "product.py").write_text(PRODUCT.format(to=str(tmp_path)))
    (folder / "sales_1.csv").write_text("at,amount\n2024-01-05 10:00:00,5\n2024-01-05 11:00:00,7\n2024-01-06 09:00:00,8\n")
    return folder


def test_it_is_run_reported_and_drawn_as_any_other(install: Install, shop: Path, tmp_path: Path) -> None:
    install(NODES + STEPS)
    settings = Settings(home=tmp_path / "home", data=shop)
    result = run(shop, settings)
    assert result.error is None
    assert [(step["step"], step["state"]) for step in result.document["steps"]] == [
        ("land:sales", "succeeded"), ("read:sales", "succeeded"), ("table:dear", "succeeded"),
        ("export:for_accounts", "succeeded"), ("receipt:for_accounts", "succeeded"),
    ]  # fmt: skip
    assert (tmp_path / "for_accounts.csv").read_text().splitlines()[1:] == ["2024-01-05 11:00:00,7.0", "2024-01-06 09:00:00,8.0"]

    told = {"rows": 2, "note": "for_accounts.csv"}
    assert result.document["others"] == {"exports": {"for_accounts": told}}
    assert "Exports" in printed(lambda out: print_summary(result.document, out))
    page = Path(result.document["page"]).read_text()
    assert "for_accounts (export)" in page
    assert "export:for_accounts" in page

    graph = build(load(shop))
    assert as_text(graph).splitlines()[-1] == "✎ for_accounts   export   ← dear"
    assert "--export:#7a4f2a" in as_svg(graph)
    assert graph.downstream("sales") == ("dear", "for_accounts")

    document = home_status(settings, shop)
    (line,) = document["products"][0]["others"]["exports"]
    assert {name: line[name] for name in ("name", "rows", "note")} == {"name": "for_accounts", **told}
    assert "for_accounts.csv" in printed(lambda out: print_status(document, out))

    home = Home(tmp_path / "home", None)
    with contextlib.closing(home.ledger()) as ledger:
        observed = Workspace.compose(load(shop), home, settings, RunRecord("shop", ledger, "again")).observed
        jobs = {event.job.name: event for event in events_of(observed, "here", result.document["run_id"]) if event.inputs}
    assert jobs["shop.export.for_accounts"].inputs[0].name.endswith("/dear")

    idle = run(shop, settings)
    assert {step["step"]: step["state"] for step in idle.document["steps"]}["export:for_accounts"] == "skipped"
    (tmp_path / "for_accounts.csv").unlink()
    assert run(shop, settings).document["others"]["exports"]["for_accounts"] == told, "only its package knows that its file is gone"
    assert len((tmp_path / "receipts.txt").read_text().splitlines()) == 3


def test_a_backfill_does_the_steps_that_are_for_backfills(install: Install, shop: Path, tmp_path: Path) -> None:
    install(NODES + STEPS)
    settings = Settings(home=tmp_path / "home", data=shop)
    assert run(shop, settings).error is None
    again = backfill(shop, settings, "2024-01-05", "2024-01-05")
    assert again.error is None
    states = {step["step"]: step["state"] for step in again.document["steps"]}
    assert states["export:for_accounts"] in ("succeeded", "skipped")
    assert "receipt:for_accounts" not in states
    assert "land:sales" not in states


def test_its_steps_follow_the_tables_and_belong_to_its_pipelines(install: Install, shop: Path) -> None:
    install(NODES + STEPS)
    product = load(shop)
    steps = {step.name: step.needs for step in plan(product)}
    assert steps["export:for_accounts"] == ("table:dear",)
    assert steps["receipt:for_accounts"] == ("export:for_accounts",)
    assert plan(product, "train") == []


def test_what_is_declared_wrongly_is_told_by_check(install: Install, shop: Path) -> None:
    install(NODES + STEPS)
    product = load(shop)
    from toy_export import Export

    product.add(Export(name="lost", inputs=("daer",), to="."))
    (problem,) = check(product)
    assert "Export 'lost' reads 'daer', which nothing declares." in problem.what
    assert problem.nearest == "dear"
    with pytest.raises(DeclarationProblem, match="declares 'dear' twice"):
        product.add(Export(name="dear", to="."))


def test_a_kind_that_is_not_installed_is_named(install: Install, shop: Path) -> None:
    install("")
    with pytest.raises(DeclarationProblem, match="No kind of node is for the class 'Export'"):
        load(shop)
    product = Product("shop")
    product.add(CustomNode(name="thing"))
    with pytest.raises(DeclarationProblem, match="No kind of node is for the class 'CustomNode'"):
        build(product)


def test_a_kind_whose_steps_have_no_work_is_named(install: Install, shop: Path) -> None:
    install(NODES)
    with pytest.raises(EnvironmentProblem, match="Nothing does the step 'export' of the kind of node 'export'"):
        plan(load(shop))


def test_a_package_that_cannot_be_loaded_is_named(install: Install, shop: Path) -> None:
    install("[caudal.nodes]\nexport = toy_export:NOTHING\n")
    with pytest.raises(EnvironmentProblem, match=r"'export' \(toy_export:NOTHING\), which another package gives to caudal.nodes"):
        load(shop)


def test_what_it_made_stays_in_the_ledger_when_it_is_uninstalled(install: Install, shop: Path, tmp_path: Path) -> None:
    install(NODES + STEPS)
    settings = Settings(home=tmp_path / "home", data=shop)
    result = run(shop, settings)
    install("")
    with contextlib.closing(Home(tmp_path / "home", None).ledger()) as ledger:
        document = run_document(ledger, result.document["run_id"])
    assert "others" not in document
    assert "export:for_accounts" in [step["step"] for step in document["steps"]]
    assert "others" not in home_status(settings)["products"][0]


def printed(show: Callable[[Console], None]) -> str:
    """Return what is shown in a terminal."""
    text = io.StringIO()
    show(Console(file=text, width=140))
    return text.getvalue()
