"""The sample product as a user lives with it: runs, corrections, exports, predictions while training fails, decisions by hand."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from tests import here
from tests.documents import check_document

import caudal as cd
from caudal.batch.batch import run
from caudal.commands import models
from caudal.commands.check.check import check_product
from caudal.commands.export import export
from caudal.commands.new import create_product
from caudal.commands.quarantine import count_quarantined, replay_quarantine, show
from caudal.commands.status import home_status
from caudal.declarations.settings import Settings
from caudal.errors import CaudalError, DeclarationProblem
from caudal.ledger.measurements import measurements
from caudal.ledger.records import candidates
from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home


@pytest.fixture(scope="module")
def shop(tmp_path_factory, spark):
    """The sample product, run once; each test takes a copy."""
    place = tmp_path_factory.mktemp("shop")
    folder = create_product("shop", place)
    result = run(folder, Settings(home=place / "home"))
    assert result.error is None
    return place


@pytest.fixture
def mine(shop, tmp_path):
    shutil.copytree(shop / "shop", tmp_path / "shop")
    shutil.copytree(shop / "home", tmp_path / "home")
    return tmp_path / "shop", Settings(home=tmp_path / "home")


def rows(settings, table):
    return sorted(map(repr, arrow(delta.read_version(Home(settings.home.absolute()).table("shop", table))).to_pylist()))


def test_the_sample_is_sound_and_runs(shop):
    assert check_product(shop / "shop", Settings(home=shop / "home")) == []
    told = home_status(Settings(home=shop / "home"))["products"][0]
    assert {one["table"]: one["rows"] for one in told["tables"]}["counts"] == 6 * 7 * 48 - 12
    assert told["models"][0]["champion"] == 1
    reasons = {(one["table"], one["reason"]): one["rows"] for one in count_quarantined(Settings(home=shop / "home"))}
    assert reasons == {
        ("counts", "unique(shop, counted_at)"): 6,
        ("counts", "between(visitors, 0, 1000)"): 6,
        ("counts", "not_null(visitors)"): 6,
    }


def test_figures_are_kept_over_runs(mine):
    folder, settings = mine
    (folder / "product.py").write_text((folder / "product.py").read_text().replace("0, 1000", "0, 900"))
    again = run(folder, settings)
    check_document("run", again.document)
    with contextlib.closing(Home(settings.home.absolute()).ledger()) as ledger:
        written = measurements(ledger, product="shop", subject="counts", metric="rows_written")
        share = measurements(ledger, product="shop", subject="counts", metric="quarantined_share")
        scores = measurements(ledger, product="shop", subject_kind="model", metric="mae", group={"candidate": "baseline"})
        trained = ledger.find(candidates, product="shop", candidate="baseline", newest=True)
    assert len(written) == len(share) == 2
    assert written[0].run_id == again.document["run_id"]
    assert (written[0].value, written[0].version) == (
        again.document["tables"]["counts"]["rows_written"],
        again.document["tables"]["counts"]["version"],
    )
    assert share[1].value == pytest.approx(18 / share[1].count)
    assert [score.value for score in scores] == [row["score"] for row in trained]


@pytest.mark.slow
def test_the_sample_s_own_tests_pass(mine):
    folder, _ = mine
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_nothing_new_imports_no_engine(mine):
    folder, settings = mine
    assert run(folder, settings).error is None  # the copy lies elsewhere, so this one looks
    code = (
        "import sys; from pathlib import Path; from caudal.batch.batch import run; from caudal.declarations.settings import Settings\n"
        f"result = run(Path({str(folder)!r}), Settings(home=Path({str(settings.home)!r})))\n"
        "heavy = {'pyspark', 'sklearn', 'mlflow', 'luigi', 'pandas', 'flask', 'caudal.registry', 'caudal.report.documents'}\n"
        "print(result.document['state'], sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "up to date []"


def test_a_comment_does_no_work_and_a_rule_does(mine):
    folder, settings = mine
    run(folder, settings)
    text = (folder / "product.py").read_text()
    (folder / "product.py").write_text(text + "\n# a remark\n")
    assert {step["state"] for step in run(folder, settings).document["steps"]} == {"skipped"}
    (folder / "product.py").write_text(text.replace("0, 1000", "0, 60"))
    document = run(folder, settings).document
    done = {step["step"]: step["state"] for step in document["steps"]}
    assert done["read:counts_raw"] == "skipped"
    assert done["table:counts"] == "succeeded"
    assert document["tables"]["counts"]["rows_quarantined"] >= 18
    assert "between(visitors, 0, 60)" in document["tables"]["counts"]["reasons"]


def test_a_new_file_costs_its_days_and_equals_a_run_from_nothing(shop, tmp_path, spark):
    folder, settings = tmp_path / "shop", Settings(home=tmp_path / "home")
    shutil.copytree(shop / "shop", folder)
    late = folder / "landing" / "counts_2024-03-18.csv"  # in the middle: what looks back on it is made again too
    shutil.move(late, tmp_path)
    assert run(folder, settings).error is None
    shutil.move(tmp_path / late.name, late)
    document = run(folder, settings).document
    assert document["tables"]["counts"]["partitions_written"] == 7
    assert document["tables"]["next_hour"]["partitions_written"] == 8  # and the day that looks back a day
    for table in ("counts_raw", "counts", "visitors_hour", "next_hour"):
        whole = sorted(map(repr, arrow(delta.read_version(Home((shop / "home").absolute()).table("shop", table))).to_pylist()))
        assert rows(settings, table) == whole, table


def test_corrections_take_the_place_of_what_they_correct(mine):
    folder, settings = mine
    text = (folder / "product.py").read_text()
    text = text.replace(
        "trigger=cd.on_arrival()\n)", 'trigger=cd.on_arrival(),\n    expect=[ex.between("visitors", 0, 1000).quarantine()]\n)', 1
    )
    (folder / "product.py").write_text(text)
    assert run(folder, settings).error is None
    seen = show(settings, "counts_raw")
    assert len(seen) == 6
    assert "99999" in seen[0]["raw"]
    assert seen[0]["file"].endswith(".csv")
    before = delta.read_version(Home(settings.home.absolute()).table("shop", "counts_raw")).rows
    result = replay_quarantine(folder, settings, "counts_raw", ["visitors = 42"], reason="between")
    assert result.error is None
    table = arrow(delta.read_version(Home(settings.home.absolute()).table("shop", "counts_raw")))
    assert table.num_rows == before + 6
    assert table.column("visitors").to_pylist().count(99999) == 0
    assert show(settings, "counts_raw") == []
    again = rows(settings, "counts_raw")
    shutil.rmtree(settings.home / "lake")  # everything can be made again from raw
    assert run(folder, settings).error is None
    assert rows(settings, "counts_raw") == again


def test_prediction_works_while_training_fails(mine):
    folder, settings = mine
    text = (folder / "product.py").read_text()
    (folder / "product.py").write_text(text.replace('{\n        "ridge": Ridge(),', '{\n        "ridge": Ridge(alpha="broken"),').replace(
        'RandomForestRegressor(n_estimators=50', 'RandomForestRegressor(n_estimators=-50').replace("max_iter=80", "max_iter=-80"))  # fmt: skip
    (folder / "landing" / "counts_2024-04-15.csv").write_text(
        "counted_at,shop,visitors,celsius\n2024-04-15 09:00:00,north,12,11.0\n"
    )
    result = run(folder, settings)
    states = {step["step"]: step["state"] for step in result.document["steps"]}
    assert result.exit_code != 0
    assert states["train:visitors"] == "failed"
    assert states["promote:visitors"] == "waiting"
    assert states["predict:visitors_predictions"] == "succeeded"
    assert any("2024, 4, 15" in row for row in rows(settings, "visitors_predictions"))


def test_promote_and_rollback_by_hand(mine):
    folder, settings = mine
    text = (folder / "product.py").read_text()
    (folder / "product.py").write_text(
        text.replace("max_iter=80", "max_iter=81").replace("cd.beats_champion()", "cd.limit('mae', 0.001)")
    )
    assert run(folder, settings).document["models"]["visitors"]["decision"] == "refused"
    assert models.promote_version(settings, "visitors", 2, "we know better")["replaced"] == 1
    assert models.rollback_version(settings, "visitors", None, "we did not")["version"] == 1
    told = models.decision_history(settings, "visitors")
    assert [(one["decision"], one["version"]) for one in told] == [
        ("promoted", 1),
        ("refused", 2),
        ("promoted", 2),
        ("rolled back", 1),
    ]
    assert told[2]["reason"] == "we know better"
    assert told[1]["gates"][1]["figures"]


def test_export_now_and_as_an_earlier_run_left_it(mine, tmp_path):
    folder, settings = mine
    first = home_status(settings)["products"][0]["last_run"]["run_id"]
    (folder / "landing" / "counts_2024-04-15.csv").write_text(
        "counted_at,shop,visitors,celsius\n2024-04-15 09:00:00,north,12,11.0\n"
    )
    assert run(folder, settings).error is None
    assert export(settings, "counts", tmp_path / "now.parquet")["rows"] == 2005
    assert export(settings, "counts", tmp_path / "then.csv", run_id=first)["rows"] == 2004
    assert pq.read_table(tmp_path / "now.parquet").num_rows == 2005
    assert pc.read_csv(tmp_path / "then.csv").num_rows == 2004
    with pytest.raises(DeclarationProblem, match=r"not written as '\.xlsx'"):
        export(settings, "counts", tmp_path / "now.xlsx")


def test_export_to_avro(mine, tmp_path, spark):
    _, settings = mine
    assert export(settings, "visitors_hour", tmp_path / "hours.avro")["format"] == "avro"
    assert spark.read.format("avro").load(str(tmp_path / "hours.avro")).count() == 2016 - 12


def test_two_runs_of_one_product_do_not_collide(mine):
    from caudal.errors import LeaseHeld
    from caudal.storage.lease import lease

    folder, settings = mine
    (folder / "landing" / "counts_2024-04-15.csv").write_text(
        "counted_at,shop,visitors,celsius\n2024-04-15 09:00:00,north,12,11.0\n"
    )
    with lease(Home(settings.home.absolute()).lease("shop"), "shop"), pytest.raises(LeaseHeld):
        run(folder, settings)


def test_every_command_prints_one_json_document(mine, tmp_path):
    folder, settings = mine
    home = ["--home", str(settings.home), "--json"]
    for command in (
        ["graph", str(folder), "--json"],
        ["check", str(folder), "--static", *home],
        ["status", *home],
        ["status", "--why", *home],
        ["times", *home],
        ["run", str(folder), *home],
        ["trace", str(folder), "counts", "--limit", "2", *home],
        ["search", "visitors", *home],
        ["catalog", "build", "--out", str(tmp_path / "catalog"), *home],
        ["verify", *home],
        ["export", "counts", str(tmp_path / "counts.csv"), *home],
        ["model", "list", *home],
        ["model", "show", "visitors", *home],
        ["model", "history", "visitors", *home],
        ["quarantine", "list", *home],
        ["quarantine", "show", "counts", *home],
        ["new", "other", "--into", str(tmp_path), "--json"],
    ):
        done = here.run([sys.executable, "-m", "caudal", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, done.stderr)
        json.loads(done.stdout)


def test_a_home_is_open_to_python(mine):
    _, settings = mine
    code, _ = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[2] / "docs" / "notebooks.md").read_text(), re.DOTALL)
    names = {}
    exec(code.replace('".caudal"', repr(str(settings.home))), names)
    home, shop, counts = names["home"], names["shop"], names["counts"]
    assert (list(home), shop.tables) == (["shop"], ["counts", "counts_raw", "next_hour", "visitors_hour", "visitors_predictions"])
    assert len(names["frame"]) == len(counts) == 6 * 7 * 48 - 12
    assert list(names["frame"]) == ["counted_at", "visitors"]
    assert (names["first"].version, len(names["expected"])) == (0, 3)
    assert set(names["set_aside"]["_reasons"].explode()) == {row["reason"] for row in count_quarantined(settings)}
    assert counts.to_spark().count() == len(counts)
    day = str(counts.to_pandas()["counted_at"].dt.date.iloc[0])
    assert 0 < counts.to_arrow(days=[day]).num_rows < len(counts)
    assert counts.history()["step"].tolist() == ["table:counts"]
    origins = shop["visitors_hour"].lineage()
    assert set(origins[origins["column"] == "visitors"]["from_column"]) >= {"visitors"}
    assert shop.runs()["state"].tolist() == ["succeeded"]
    model = shop.models["visitors"]
    assert model.versions()["state"].tolist() == ["champion"]
    assert model.decisions()["decision"].tolist() == ["promoted"]
    for shown in (home, shop, counts, model):
        assert "<table>" in shown._repr_html_()
        assert "shop" in repr(shown)


def test_a_product_s_folder_is_tried_out_from_python(mine, spark):
    folder, settings = mine
    _, code = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[2] / "docs" / "notebooks.md").read_text(), re.DOTALL)
    names = {}
    exec(code.replace('"shop", home=".caudal"', f"{str(folder)!r}, home={str(settings.home)!r}"), names)
    shop, sample = names["shop"], names["sample"]
    assert len(names["problems"]) == 0
    assert names["finished"].document["state"] in ("succeeded", "up to date")
    published = shop["visitors_hour"]
    assert sorted(map(repr, sample.to_arrow().to_pylist())) == sorted(
        map(repr, published.to_arrow(list(sample.to_arrow().column_names)).to_pylist())
    )
    assert ("made of", "counts") in names["why"].facts
    for shown in (shop, names["problems"], names["finished"], sample, names["why"]):
        assert shown._repr_html_().startswith("<")
    code_file = folder / "product.py"
    code_file.write_text(code_file.read_text().replace('ex.between("visitors", 0, 1000)', 'ex.between("visitors", 0, 20)'))
    tried = shop.preview("counts")
    too_many = sum(row["visitors"] > 20 for row in shop["counts"].to_arrow().to_pylist())
    assert too_many > 0
    assert len(tried) == len(shop["counts"]) - too_many
    assert len(tried) + tried.preview.quarantined.num_rows == tried.preview.inputs["counts_raw"]
    assert (
        too_many
        <= tried.checks["between(visitors, 0, 20)"]
        == sum("between(visitors, 0, 20)" in reasons for reasons in tried.quarantine()["_reasons"])
    )
    assert "between(visitors, 0, 20)" in tried._repr_html_()
    assert shop["counts"].version == 0
    assert not list((settings.home / "scratch").rglob("preview-*"))
    few = shop.preview("counts", rows=100).preview
    assert sum(few.inputs.values()) < 2004
    with pytest.raises(CaudalError, match="no table 'count' that it makes"):
        shop.preview("count")
    with pytest.raises(CaudalError, match="Did you mean 'counts'"):
        shop.explain("count")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (lambda home: home["shp"], "No product 'shp' has run .* Did you mean 'shop'"),
        (lambda home: home["shop"]["count"], "has published no table 'count'. Did you mean 'counts'"),
        (lambda home: home["shop"]["counts"].to_pandas(["visitor"]), "no column 'visitor'. Did you mean 'visitors'"),
        (lambda home: home["shop"]["counts"].at(), "takes one of version=, run= and time="),
        (lambda home: home["shop"]["counts"].at(time="2020-01-01"), "had no version at 2020-01-01"),
        (lambda home: home["shop"]["counts"].at(version=9), "9"),
        (lambda home: home["shop"]["counts"].to_pandas(days=["31.1.2024"]), "'31.1.2024' is no day"),
        (lambda home: cd.open(home.home.path / "nowhere"), "There is no home"),
    ],
)
def test_what_a_home_does_not_have_is_one_sentence(mine, asked, sentence):
    home = cd.open(mine[1].home)
    with pytest.raises(CaudalError) as told:
        asked(home)
    assert re.search(sentence, told.value.sentence())
