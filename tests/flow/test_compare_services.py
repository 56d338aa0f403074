"""``caudal compare`` on services: the work is really done by what plays them, its tables and logs come home, and what goes wrong is one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sent_shop import compare, interrupted
from tests.servers.databricks import CLUSTER, TOKEN, VOLUME, Workspace, databricks

from caudal.commands.compare import read_platform
from caudal.declarations.settings import settings
from caudal.errors import CaudalError

NEW_CLUSTER = """
[platforms.prod.cluster]
spark_version = "18.0.x-scala2.13"
node_type_id = "i3.xlarge"
num_workers = 0
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with databricks(tmp_path / "workspace") as played:
        yield played


def write_settings(workspace: Workspace, cluster: str = NEW_CLUSTER, **changed: str) -> None:
    """Write the settings of the workspace into the current folder."""
    table = {"host": workspace.host, "token": TOKEN, "volume": VOLUME, **changed}
    spark = '[spark]\n"spark.sql.shuffle.partitions" = 2\n"spark.hadoop.fs.s3a.secret.key" = "Zq7-spark-secret"\n'
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
    Path("caudal.toml").write_text(f"{spark}[platforms.prod]\n{lines}{cluster}")


def left_there(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


@pytest.mark.slow(minutes=2)
def test_a_new_cluster_of_databricks(sent_shop: Path, tmp_path: Path, workspace: Workspace) -> None:
    write_settings(workspace)
    told = compare(sent_shop, "sail,databricks:prod")
    here, there = told["platforms"]
    assert (there["state"], there["why"], there["engine"]) == ("measured", None, "spark")
    assert {table["table"]: table["equal"] for table in told["tables"]} == {"customers": True, "orders": True, "orders_raw": True}
    (repetition,) = there["repetitions"]
    assert repetition["rows"] == here["repetitions"][0]["rows"] == 500
    assert 0 < repetition["work_s"] < repetition["total_s"]
    assert {step["step"] for step in repetition["steps"]} >= {"read:orders_raw", "table:orders", "table:customers"}
    assert (repetition["cpu_s"], repetition["peak_memory_bytes"]) == (None, None)
    assert "processor time and memory" in there["missing"][0]
    # The event log came in two files, one of them packed, and is whole.
    assert there["stages"]
    assert there["versions"]["Spark"].startswith("4.")
    assert repetition["ui_check"]["stages"] == len(there["stages"])
    assert repetition["ui_check"]["differing"] == []
    (submitted,) = workspace.submitted
    cluster = submitted["tasks"][0]["new_cluster"]
    assert cluster["spark_conf"] == {"spark.sql.shuffle.partitions": "2"}
    assert cluster["cluster_log_conf"]["volumes"]["destination"].startswith(VOLUME)
    assert left_there(workspace.path("Volumes")) == []
    for file in left_there(tmp_path / "home"):
        assert b"Zq7" not in file.read_bytes(), file


def test_a_cluster_of_databricks_that_runs_and_sail(sent_shop: Path, workspace: Workspace) -> None:
    write_settings(workspace, "", cluster_id=CLUSTER, engine="sail")
    told = compare(sent_shop, "databricks:prod", "--fault", "kill-driver")
    (there,) = told["platforms"]
    assert (there["state"], there["why"]) == ("measured", None)
    (repetition,) = there["repetitions"]
    assert (repetition["rows"], repetition["event_log"]) == (500, None)
    assert "not Spark" in there["missing"][1]
    assert workspace.submitted[0]["tasks"][0]["existing_cluster_id"] == CLUSTER
    (fault,) = told["faults"]
    assert fault["why"] == "What does the work is Databricks ('prod'), and not caudal's to break."


def test_work_that_fails_there(sent_shop: Path, workspace: Workspace) -> None:
    write_settings(workspace)
    code = (sent_shop / "product.py").read_text()
    (sent_shop / "product.py").write_text(
        code.replace("ex.between", "ex.not_null('customer'), ex.between").replace('F.max("at")', 'F.max("no")')
    )
    told = compare(sent_shop, "databricks:prod", code=1)
    (there,) = told["platforms"]
    assert there["state"] == "failed"
    assert "Table 'customers'" in there["why"] or "table:customers" in there["why"]
    assert workspace.runs[1].error.startswith("caudal.compare.services.worker.WorkFailed: ")
    assert left_there(workspace.path("Volumes")) == []


def test_a_driver_that_dies_and_what_was_measured_is_kept(sent_shop: Path, workspace: Workspace) -> None:
    write_settings(workspace, lake="s3://bucket/lakes")
    workspace.fails = "java.lang.OutOfMemoryError: Java heap space"
    told = compare(sent_shop, "sail,databricks:prod", code=1)
    here, there = told["platforms"]
    assert here["state"] == "measured"
    assert (there["state"], there["why"]) == ("failed", f"Databricks could not do it: {workspace.fails}.")
    parcel, home, _, lake = workspace.submitted[0]["tasks"][0]["python_wheel_task"]["parameters"]
    assert Path(parcel).parent == Path(home).parent
    assert lake == f"s3://bucket/lakes/{Path(home).parts[-3]}-{Path(home).parts[-2]}"


def test_work_that_does_not_end_is_cancelled(sent_shop: Path, workspace: Workspace) -> None:
    write_settings(workspace)
    workspace.hangs = True
    told = compare(sent_shop, "databricks:prod", "--limit", "2", code=1)
    (there,) = told["platforms"]
    assert (there["state"], there["why"]) == ("failed", "It did not end within 2 s.")
    assert there["repetitions"][0]["state"] == "stopped"
    assert workspace.runs[1].cancelled


def test_ctrl_c_cancels_what_was_submitted(sent_shop: Path, workspace: Workspace) -> None:
    write_settings(workspace)
    workspace.hangs = True
    assert interrupted(sent_shop, "sail,databricks:prod", lambda: bool(workspace.runs))["stopped_by"] == "a signal"
    assert workspace.runs[1].cancelled
    assert left_there(workspace.path("Volumes")) == []


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"host": "http://127.0.0.1:1"}, "Databricks at http://127.0.0.1:1 does not answer: Connection refused. Correct 'host'"),
        ({"token": "Zq7-another-token"}, "does not take the token: Invalid access token Bearer ***. Give a token that holds"),
        ({"cluster_id": "0105-none"}, "The cluster '0105-none' is none that Databricks at "),
        ({"volume": "/Volumes/main/tests/none"}, "The volume '/Volumes/main/tests/none' is none that Databricks at "),
        ({"volume": "dbfs:/none"}, "'volume' of [platforms.prod] is 'dbfs:/none'. Write"),
        ({"volume": ""}, "The table [platforms.prod] has no 'volume'. Add volume = "),
        ({"token": ""}, "The table [platforms.prod] has no 'token'. Add token = \"…\", or set DATABRICKS_TOKEN."),
        ({"cluster_id": CLUSTER, "hots": "x"}, "sets 'hots', which it does not have. Did you mean 'host'?"),
        (
            {"lake": "/Volumes/main/tests/compare/lake"},
            "'lake' of [platforms.prod] is '/Volumes/main/tests/compare/lake'. Write s3://",
        ),
        ({"engine": "flink"}, "'engine' of [platforms.prod] is 'flink'. Use spark or sail."),
    ],
)
def test_what_is_wrong_is_one_sentence(changed: dict[str, str], what: str, sent_shop: Path, workspace: Workspace) -> None:
    write_settings(workspace, "" if "cluster_id" in changed else NEW_CLUSTER, **changed)
    with pytest.raises(CaudalError) as caught, read_platform("databricks:prod").started(Path("files"), settings()):
        raise AssertionError
    assert what in str(caught.value)
    assert "Zq7" not in str(caught.value)


def test_both_a_new_cluster_and_one_that_runs(sent_shop: Path, workspace: Workspace) -> None:
    write_settings(workspace, cluster_id=CLUSTER)
    with pytest.raises(CaudalError, match="must have one of"), read_platform("databricks:prod").started(Path("files"), settings()):
        raise AssertionError


def test_a_service_without_a_table(sent_shop: Path, workspace: Workspace) -> None:
    write_settings(workspace)
    told = compare(sent_shop, "sail,databricks:prd", code=1)
    assert told["platforms"][0]["state"] == "measured"
    assert told["platforms"][1]["state"] == "unreachable"
    assert told["platforms"][1]["why"].startswith("The settings have no table [platforms.prd]. Write it into caudal.toml: host = ")
