"""``caudal compare`` on EMR Serverless: spark-submit really does the work with its lake on S3, and what goes wrong is one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sent_shop import compare, interrupted
from tests.servers.emr import APPLICATION, ROLE, EmrServerless, emr_serverless
from tests.servers.s3 import S3Server

from caudal.commands.compare import read_platform
from caudal.declarations.settings import settings
from caudal.errors import CaudalError


@pytest.fixture
def service(tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmrServerless]:
    with emr_serverless(tmp_path / "service", s3) as played:
        for name, value in played.environ.items():
            monkeypatch.setenv(name, value)
        yield played


@pytest.fixture
def bucket(s3: S3Server) -> str:
    return s3.bucket()


def write_settings(bucket: str, **changed: str) -> None:
    """Write the settings of the application into the current folder."""
    table = {"application": APPLICATION, "role": ROLE, "place": f"s3://{bucket}/scratch", "region": "us-east-1", **changed}
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
    spark = '[spark]\n"spark.app.note" = "of two words"\n"spark.hadoop.fs.s3a.secret.key" = "Zq7-spark-secret"\n'
    Path("caudal.toml").write_text(f"{spark}[platforms.serverless]\n{lines}")


def left_there(s3: S3Server, bucket: str) -> list[str]:
    return [each["Key"] for each in s3.client().list_objects_v2(Bucket=bucket).get("Contents", ())]


@pytest.mark.slow(minutes=3)
def test_an_application_of_emr_serverless(
    sent_shop: Path, tmp_path: Path, service: EmrServerless, s3: S3Server, bucket: str
) -> None:
    write_settings(bucket, environment=f"s3://{bucket}/environment.tar.gz")
    told = compare(sent_shop, "sail,emr:serverless")
    here, there = told["platforms"]
    assert (there["state"], there["why"], there["engine"]) == ("measured", None, "spark")
    assert {table["table"]: table["equal"] for table in told["tables"]} == {"customers": True, "orders": True, "orders_raw": True}
    (repetition,) = there["repetitions"]
    assert repetition["rows"] == here["repetitions"][0]["rows"] == 500
    assert 0 < repetition["work_s"] < repetition["total_s"]
    assert (repetition["cpu_s"], repetition["peak_memory_bytes"]) == (None, None)
    assert there["stages"]
    assert repetition["ui_check"]["stages"] == len(there["stages"])
    assert repetition["ui_check"]["differing"] == []
    assert Path(repetition["event_log"]).name.startswith("eventlog_v2_")
    (run,) = service.runs.values()
    parameters = run.order["jobDriver"]["sparkSubmit"]["sparkSubmitParameters"]
    assert f"--conf 'spark.archives=s3://{bucket}/environment.tar.gz#environment'" in parameters
    assert "--conf 'spark.app.note=of two words'" in parameters
    assert "Zq7" not in json.dumps(run.order)
    assert left_there(s3, bucket) == []
    for file in (tmp_path / "home").rglob("*"):
        assert not file.is_file() or b"Zq7" not in file.read_bytes(), file


def test_a_driver_that_dies_and_what_was_measured_is_kept(sent_shop: Path, service: EmrServerless, bucket: str) -> None:
    write_settings(bucket)
    service.fails = "java.lang.OutOfMemoryError: Java heap space"
    told = compare(sent_shop, "sail,emr:serverless", code=1)
    here, there = told["platforms"]
    assert here["state"] == "measured"
    assert there["state"] == "failed"
    assert there["why"].startswith("EMR Serverless could not do it: Job failed, please check")
    assert "OutOfMemoryError" in there["why"]


def test_work_that_does_not_end_is_cancelled(sent_shop: Path, service: EmrServerless, bucket: str) -> None:
    write_settings(bucket)
    service.hangs = True
    told = compare(sent_shop, "emr:serverless", "--limit", "2", code=1)
    (there,) = told["platforms"]
    assert (there["state"], there["why"]) == ("failed", "It did not end within 2 s.")
    assert [run.state for run in service.runs.values()] == ["CANCELLED"]


def test_ctrl_c_cancels_what_was_submitted(sent_shop: Path, service: EmrServerless, s3: S3Server, bucket: str) -> None:
    write_settings(bucket)
    service.hangs = True
    assert interrupted(sent_shop, "sail,emr:serverless", lambda: bool(service.runs))["stopped_by"] == "a signal"
    assert [run.state for run in service.runs.values()] == ["CANCELLED"]
    assert left_there(s3, bucket) == []


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"application": "00fnone"}, "The application '00fnone' is none that AWS knows in us-east-1. Correct 'application'."),
        (
            {"place": "s3://no-such-bucket-here/x"},
            "The bucket 'no-such-bucket-here' is none that AWS knows in us-east-1. Correct 'place'.",
        ),
        ({"place": "/tmp/x"}, "'place' of [platforms.serverless] is '/tmp/x'. Write s3://BUCKET/…."),
        ({"role": ""}, "The table [platforms.serverless] has no 'role'. Add role = "),
        ({"secret_access_key": "Zq7-secret"}, "sets 'secret_access_key', which it does not have. It has application, role"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    changed: dict[str, str],
    what: str,
    sent_shop: Path,
    service: EmrServerless,
    bucket: str,
) -> None:
    write_settings(bucket, **changed)
    with pytest.raises(CaudalError) as caught, read_platform("emr:serverless").started(Path("files"), settings()):
        raise AssertionError
    assert what in str(caught.value)
    assert "Zq7" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "what"),
    [
        ({"AWS_ENDPOINT_URL_EMR_SERVERLESS": "http://127.0.0.1:1"}, "AWS does not answer: Could not connect to the endpoint URL"),
        (
            {"AWS_ACCESS_KEY_ID": "stranger"},
            "AWS does not let it in: The security token included in the request is invalid. Give credentials",
        ),
    ],
)
def test_who_is_not_let_in_and_what_does_not_answer(
    variables: dict[str, str],
    what: str,
    sent_shop: Path,
    service: EmrServerless,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_settings(bucket)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CaudalError) as caught, read_platform("emr:serverless").started(Path("files"), settings()):
        raise AssertionError
    assert what in str(caught.value)


def test_a_role_that_cannot_be_taken(sent_shop: Path, service: EmrServerless, bucket: str) -> None:
    write_settings(bucket, role="arn:aws:iam::123456789012:role/none")
    told = compare(sent_shop, "emr:serverless", code=1)
    (there,) = told["platforms"]
    assert there["state"] == "failed"
    assert there["why"].startswith("AWS refuses it: Role arn:aws:iam::123456789012:role/none cannot be assumed")
