"""One shop, run twice on its own files: told to OpenLineage, traced, catalogued, let go by time, and one customer erased."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest

from caudal.batch.batch import run
from caudal.commands.export import export
from caudal.declarations.settings import Settings
from caudal.errors import DeclarationProblem, NotThere
from caudal.governance import erase as erasing
from caudal.governance.catalog import HIDDEN, catalog, search_catalog
from caudal.governance.erase import erase
from caudal.governance.proof import proof_digest
from caudal.governance.retain import retain
from caudal.governance.trace import trace
from caudal.ledger.records import erasures, landed, lineages
from caudal.observers.openlineage import waiting
from caudal.report.catalog import write_catalog
from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home

pytestmark = [pytest.mark.slow]
PRODUCT = Path(__file__).parent / "retail"
DAYS = ("2010-12-01.csv", "2010-12-02.csv", "2010-12-03.csv", "2010-12-05.csv")
CUSTOMER, DAY_S = 17850, 86400.0


class Lineage:
    """A server of OpenLineage events on loopback; it can go away and come back on its port."""

    def __init__(self) -> None:
        self.events: list[dict] = []
        self.leave_after: int | None = None
        self._server: ThreadingHTTPServer | None = None
        self.port = 0
        self.start()

    def start(self) -> None:
        here = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if here.leave_after is not None and len(here.events) >= here.leave_after:
                    self.send_error(503)
                    return
                here.events.append(body)
                self.send_response(201)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory, shared_data, spark):
    """The home after two runs, its settings, and what the server of events heard; the server was away during the first."""
    pytest.importorskip("openlineage.client")
    place = tmp_path_factory.mktemp("shop")
    (place / "data").mkdir()
    server = Lineage()
    settings = Settings(
        home=place / "home",
        data=place / "data",
        cores=2,
        memory="1g",
        openlineage={"url": f"http://127.0.0.1:{server.port}", "timeout_s": 2},
    )
    for name in DAYS[:3]:
        shutil.copy(shared_data / "online_retail" / name, place / "data")
    server.leave_after = 3
    first = run(PRODUCT, settings)
    server.stop()
    heard, home = len(server.events), Home(settings.home)
    ledger = home.ledger()
    unsent = waiting(ledger)
    shutil.copy(shared_data / "online_retail" / DAYS[3], place / "data")
    server.leave_after = None
    server.start()
    second = run(PRODUCT, settings)
    server.stop()
    assert first.error is None
    assert second.error is None
    yield {"settings": settings, "home": home, "ledger": ledger, "heard": heard, "unsent": unsent, "events": server.events,
           "runs": (first.document["run_id"], second.document["run_id"])}  # fmt: skip
    ledger.close()


@pytest.fixture
def copy(shop, tmp_path):
    """A copy of the home, to change."""
    shutil.copytree(shop["home"].path, tmp_path / "home")
    return Settings(home=tmp_path / "home", data=shop["settings"].data, cores=2, memory="1g")


def sold(shared_data, customer=CUSTOMER, days=DAYS):
    """Return the customer's lines by reading the shop's files in another way."""
    rows = pd.concat(pd.read_csv(shared_data / "online_retail" / name) for name in days)
    return rows[rows["CustomerID"] == customer]


def test_events_are_valid_and_told_once_in_their_order(shop):
    from tests.flow.openlineage_schema import check

    events = shop["events"]
    assert shop["heard"] == 3
    assert shop["unsent"] > 10  # the run did not mind
    assert waiting(shop["ledger"]) == 0
    for event in events:
        check(event)
    told = [(event["run"]["runId"], event["eventType"]) for event in events]
    assert len(told) == len(set(told))
    runs = [event for event in events if "parent" not in event["run"]["facets"]]
    assert [event["eventType"] for event in runs] == ["START", "COMPLETE", "START", "COMPLETE"]
    sales = next(event for event in events if event["job"]["name"] == "retail.table.sales" and event["eventType"] == "COMPLETE")
    facets = sales["outputs"][0]["facets"]
    made = facets["columnLineage"]["fields"]["amount_gbp"]["inputFields"]
    assert {one["field"] for one in made} == {"quantity", "price_gbp"}
    assert {one["transformations"][0]["subtype"] for one in made} == {"TRANSFORMATION"}
    assert sales["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] > 0
    judged = next(event for event in events if event["job"]["name"] == "retail.check.sales" and event["inputs"])
    rules = {one["assertion"]: one["success"] for one in judged["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"]}
    assert rules["row_count"] is True
    assert rules["not_null"] is False  # rows without a customer were set aside


def test_what_a_schema_does_not_allow_is_noticed(shop):
    from tests.flow.openlineage_schema import check

    event = json.loads(json.dumps(shop["events"][0]))
    event["eventType"] = "PERHAPS"
    with pytest.raises(AssertionError, match="PERHAPS"):
        check(event)


def test_a_file_takes_events_too(shop, copy, tmp_path):
    import dataclasses

    from caudal.graph.load import load
    from caudal.observers.openlineage import deliver_events, queue_events
    from caudal.runtime.run_record import RunRecord
    from caudal.runtime.workspace import Workspace

    settings = dataclasses.replace(copy, openlineage={"file": str(tmp_path / "told" / "events.ndjson")})
    home = Home(settings.home)
    ledger = home.ledger()
    from sqlalchemy import delete

    from caudal.ledger.records import lineage_events

    with ledger.engine.begin() as connection:
        connection.execute(delete(lineage_events))
    product = load(PRODUCT)
    observed = Workspace.compose(product, home, settings, RunRecord(product.name, ledger, "again")).observed
    queue_events(observed, shop["runs"][0])
    lines = (tmp_path / "told" / "events.ndjson").read_text().splitlines()
    ledger.change(
        lineage_events, {"id": ledger.find(lineage_events)[-1]["id"]}, state="new"
    )  # as if it had died before it could say so
    deliver_events(observed)
    ledger.close()
    assert len(lines) > 10
    assert (tmp_path / "told" / "events.ndjson").read_text().splitlines() == lines


def test_a_prediction_is_traced_to_the_raw_bytes(shop, shared_data):
    found = trace(
        PRODUCT, shop["settings"], "spending_predictions", where=f"customer_id = {CUSTOMER} and window_start = '2010-12-02'"
    )
    hops = {hop["table"]: hop for hop in found["hops"]}
    lines = sold(shared_data, days=DAYS[1:2])
    assert [hops[name]["rows"] for name in ("spending_predictions", "habits", "customers_day")] == [1, 1, 1]
    assert hops["sales"]["rows"] == hops["invoices"]["rows"] == len(lines) > 100
    assert hops["sales"]["exact"]
    assert not hops["customers_day"]["exact"]  # the lag has read the day before, too
    assert [Path(one["from"]).name for one in found["files"]] == [DAYS[1]]
    assert found["files"][0]["state"] == "verified"
    model = found["models"][0]
    assert model["decisions"][0]["decision"] == "promoted"
    assert model["training"]["version"] == 1
    assert len(model["training"]["raw_files"]["invoices"]) == 4


def test_a_trace_says_so_where_rows_cannot_be_told(shop, copy):
    found = trace(PRODUCT, shop["settings"], "sales_day", where="country = 'France'")
    hops = {hop["table"]: hop for hop in found["hops"]}
    assert hops["sales"]["how"].startswith("the same country and at within its window_start")
    file = next(Path(one["stored"]) for one in found["files"])
    mine = copy.home / file.relative_to(shop["home"].path)
    mine.chmod(0o644)
    mine.write_bytes(mine.read_bytes() + b"x")
    assert "changed" in {one["state"] for one in trace(PRODUCT, copy, "sales_day", where="country = 'France'")["files"]}
    with pytest.raises(NotThere, match="No row"):
        trace(PRODUCT, shop["settings"], "sales_day", where="country = 'Atlantis'")
    with pytest.raises(DeclarationProblem, match="is not a value of type"):
        trace(PRODUCT, shop["settings"], "sales_day", where="lines = 'many'")


def test_a_trace_goes_to_the_versions_that_made_the_row(shop):
    """The first day's rows were written by the first run, from the first version of their input; the second run left them alone."""
    found = trace(PRODUCT, shop["settings"], "customers_day", where=f"customer_id = {CUSTOMER} and window_start = '2010-12-01'")
    assert found["hops"][0]["version"] == 1
    assert found["hops"][0]["versions"] == [0]
    assert found["hops"][0]["made_by"][0]["run_id"] == shop["runs"][0]
    assert next(hop for hop in found["hops"] if hop["table"] == "sales")["version"] == 0


def test_lineage_is_kept_once_while_it_stays_the_same(shop):
    assert len(shop["ledger"].find(lineages, table="sales")) == 1


def test_the_catalog_is_whole_and_needs_no_server(shop, tmp_path):
    told = catalog(shop["settings"], samples=2)
    pages = write_catalog(told, tmp_path, time.time())
    things = {thing["name"]: thing for thing in told["products"][0]["things"]}
    price = next(one for one in things["sales"]["columns"] if one["name"] == "price_gbp")
    assert (price["unit"], price["from"][0]["kind"]) == ("GBP", "identity")  # the unit came with the values
    spent = next(one for one in things["customers_day"]["columns"] if one["name"] == "amount_gbp")
    assert (spent["unit"], spent["about"]) == ("GBP", "What the customer paid for")
    assert {one["table"] for one in spent["to"]} >= {"habits"}
    assert all(row["customer_id"] == HIDDEN for row in things["sales"]["sample"])
    for page in (name for name in pages if name.endswith(".html")):
        text = (tmp_path / page).read_text()
        for href in re.findall(r'(?:href|src)="([^"]*)"', text):
            file, _, anchor = href.partition("#")
            target = ((tmp_path / page).parent / unquote(file)).resolve()
            assert target.is_file(), (page, href)
            assert not anchor or f'id="{anchor}"' in target.read_text(), (page, href)
    assert "amount_gbp" in (tmp_path / "search.js").read_text()
    (tmp_path / "mine.html").write_text("not the catalog's")
    write_catalog({**told, "products": []}, tmp_path, time.time())
    assert not (tmp_path / "retail" / "sales.html").exists()
    assert (tmp_path / "mine.html").exists()
    assert search_catalog(told, "customer_id")[0]["kind"] == "column"
    assert search_catalog(told, "buys again")[0]["name"] == "retail"


def files_of(settings, kind="*"):
    return sorted(path for path in (settings.home / kind).rglob("*") if path.is_file() and "_delta_log" not in path.parts)


def test_retention_shows_then_deletes_what_is_over_and_nothing_that_a_model_learned_from(copy):
    later = time.time() + 40 * DAY_S
    before = files_of(copy, "lake"), files_of(copy, "raw")
    plan = retain(PRODUCT, copy, clock=lambda: later)
    assert (files_of(copy, "lake"), files_of(copy, "raw")) == before
    assert {(one["kind"], one["table"]) for one in plan["going"]} >= {("days", "sales_day"), ("pages", None)}
    assert any("in production, learned from it" in one["why"] for one in plan["protected"])
    done = retain(PRODUCT, copy, yes=True, clock=lambda: later)
    assert done["going"] == plan["going"]
    assert files_of(copy, "raw") == before[1]
    kept = set(files_of(copy, "lake"))
    home = Home(copy.home)
    for one in plan["protected"]:  # all that a model in production learned from can still be read
        version = delta.read_version(home.table("retail", one["table"]), one["version"])
        assert all(Path(path) in kept for path in version.paths())
    assert delta.read_version(home.table("retail", "sales_day")).rows == 0
    retain(PRODUCT, copy, yes=True, clock=lambda: later + 2 * 3600)
    assert not [path for path in files_of(copy, "lake") if "sales_day" in str(path)]
    with pytest.raises(NotThere, match="not kept any more"):
        export(copy, "sales_day", copy.home / "x.csv", version=1)
    assert not retain(PRODUCT, copy, clock=lambda: later + 3 * 3600)["going"]
    habits = delta.version_of(home.table("retail", "habits"))
    assert run(PRODUCT, copy).error is None  # days that were let go are no change to what reads them
    assert delta.version_of(home.table("retail", "habits")) == habits
    assert delta.read_version(home.table("retail", "sales_day")).rows == 0


class Killed(BaseException):
    """What a kill is to the code: nothing after it runs."""


def killed(*_, **__):
    raise Killed


def test_one_customer_is_erased_everywhere_whatever_dies_in_between(copy, shared_data, monkeypatch):
    home = Home(copy.home)
    with pytest.raises(DeclarationProblem, match="not declared"):
        erase(PRODUCT, copy, "country=France")
    plan = erase(PRODUCT, copy, f"customer_id={CUSTOMER}")
    assert plan["rows"]["raw"] == len(sold(shared_data))
    assert {one["name"] for one in plan["places"]} >= {"invoices", "sales", "customers_day", "habits", "spending_predictions"}
    assert {one["model"] for one in plan["models"]} == {"spending"}
    others = arrow(delta.read_version(home.table("retail", "sales"))).to_pandas().query("customer_id != @CUSTOMER")
    acts = [(Path, "unlink"), (erasing, "run"), (erasing, "_erase_remaining"), (erasing, "write_proof")]
    for owner, name in acts:
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, killed)
            with pytest.raises(Killed):
                erase(PRODUCT, copy, f"customer_id={CUSTOMER}", yes=True)
    proof = erase(PRODUCT, copy, f"customer_id = {CUSTOMER}.0", yes=True)
    assert proof["done"]
    assert proof["before"]["rows"] == plan["rows"]  # as it was found before the first kill
    assert proof["after"]["places"] == []
    assert proof_digest(json.loads(Path(proof["json"]).read_text())) == proof["sha256"]
    assert str(CUSTOMER) not in Path(proof["page"]).read_text()
    again = erase(PRODUCT, copy, f"customer_id={CUSTOMER}", yes=True)
    assert (again["places"], again["earlier"][0]["proof_sha256"]) == ([], proof["sha256"])
    after = arrow(delta.read_version(home.table("retail", "sales"))).to_pandas()
    keys = ["invoice", "stock_code", "quantity", "at", "customer_id"]
    assert sorted(map(tuple, after[keys].astype(str).values)) == sorted(map(tuple, others[keys].astype(str).values))
    for raw in files_of(copy, "raw"):
        assert f",{CUSTOMER}.0," not in raw.read_text(errors="replace")
    stones = proof["raw_files"]
    assert sum(one["rows"] for one in stones) == plan["rows"]["raw"]
    ledger = home.ledger()
    assert len(ledger.find(erasures)) == 1
    shutil.copy(shared_data / "online_retail" / DAYS[0], copy.home / "again.csv")
    source = copy.data / DAYS[0]
    source.touch()  # its origin still holds the customer, and has a new time: it is not landed again
    assert run(PRODUCT, copy).error is None
    assert {row["sha256"] for row in ledger.find(landed)}.isdisjoint({one["old_sha256"] for one in stones})
    assert erase(PRODUCT, copy, f"customer_id={CUSTOMER}")["places"] == []
    ledger.close()
