"""Clouds by their metadata services, by firmware and by variables; the services are played by servers on this machine."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.servers.metadata import metadata_server

from caudal.inspection.examine import examine
from caudal.inspection.scope import InspectionScope
from caudal.kinds import PROBES

NOBODY = "http://127.0.0.1:9"


def found(scope: InspectionScope, *names: str) -> dict[str, Any]:
    """Return values by name, and under ``name?`` how they were found, or why not."""
    document = examine(scope, [PROBES[name] for name in names])
    facts = [fact for section in document["sections"] for fact in section["facts"]]
    return {fact["name"]: fact["value"] for fact in facts} | {f"{fact['name']}?": fact["how"] or fact["why_not"] for fact in facts}


@pytest.fixture
def plain(tmp_path: Path) -> InspectionScope:
    return InspectionScope(root=tmp_path, environment={}, metadata=NOBODY, timeout_s=2)


@pytest.mark.parametrize("version_1", [False, True], ids=["IMDSv2", "IMDSv1"])
def test_amazon(plain: InspectionScope, version_1: bool) -> None:
    with metadata_server("aws", version_1=version_1) as server:
        plain.metadata = server.url
        facts = found(plain, "cloud")
    assert facts["cloud"] == "Amazon Web Services"
    assert facts["cloud?"] == f"EC2's metadata service ({'IMDSv1' if version_1 else 'IMDSv2'}) at {server.url}"
    assert {name: facts[name] for name in ("account", "region", "zone", "machine_type", "id", "image", "lifecycle")} == {
        "account": "123456789012", "region": "eu-west-1", "zone": "eu-west-1b", "machine_type": "m6i.xlarge", "id": "i-0123456789abcdef0",
        "image": "ami-0abc1234", "lifecycle": "spot",
    }  # fmt: skip
    assert not any("iam" in path or "user-data" in path for path in server.asked), "no credentials are asked for"


def test_microsoft(plain: InspectionScope) -> None:
    with metadata_server("azure") as server:
        plain.metadata = server.url
        facts = found(plain, "cloud")
    assert facts["cloud"] == "Microsoft Azure"
    assert (facts["region"], facts["zone"], facts["machine_type"], facts["lifecycle"]) == (
        "westeurope",
        "1",
        "Standard_E8ds_v5",
        "spot",
    )
    assert facts["image"] == "canonical:ubuntu-24_04-lts:server"
    assert "Zq7" not in str(facts), "the user's data are not shown"


def test_google(plain: InspectionScope) -> None:
    with metadata_server("gcp") as server:
        plain.metadata = server.url
        facts = found(plain, "cloud", "platform")
    assert facts["cloud"] == "Google Cloud"
    assert (facts["account"], facts["region"], facts["zone"]) == ("our-project", "europe-west4", "europe-west4-a")
    assert (facts["machine_type"], facts["lifecycle"]) == ("n2-standard-4", "on demand")
    assert (facts["platform"], facts["cluster_name"], facts["role"], facts["cluster_region"]) == (
        "Dataproc",
        "nightly",
        "Master",
        "europe-west4",
    )
    assert not any("startup-script" in path or "service-accounts" in path for path in server.asked)


FIRMWARE = {
    "Amazon Web Services": ("sys_vendor", "Amazon EC2"), "Microsoft Azure": ("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77"),
    "Google Cloud": ("product_name", "Google Compute Engine"), "Oracle Cloud": ("chassis_asset_tag", "OracleCloud.com"),
}  # fmt: skip


@pytest.mark.parametrize("cloud", FIRMWARE)
def test_firmware_where_no_service_answers(plain: InspectionScope, cloud: str) -> None:
    file, text = FIRMWARE[cloud]
    (folder := plain.path("/sys/class/dmi/id")).mkdir(parents=True)
    (folder / file).write_text(f"{text}\n")
    facts = found(plain, "cloud")
    assert facts["cloud"] == cloud
    assert facts["cloud?"] == f"/sys/class/dmi/id/{file} is {text}"
    assert facts["metadata"] is None
    assert "no metadata service answers at 127.0.0.1" in facts["metadata?"]


def test_evidence_that_differs_is_said(plain: InspectionScope) -> None:
    (folder := plain.path("/sys/class/dmi/id")).mkdir(parents=True)
    (folder / "product_name").write_text("Google Compute Engine")
    plain.environment = {"AWS_EXECUTION_ENV": "AWS_ECS_EC2"}
    facts = found(plain, "cloud")
    assert facts["cloud"] == "Google Cloud"
    assert facts["cloud?"].endswith("variable AWS_EXECUTION_ENV says Amazon Web Services")


def test_no_cloud_says_what_was_tried(plain: InspectionScope) -> None:
    facts = found(plain, "cloud")
    assert facts["cloud"] is None
    assert facts["cloud?"].startswith("no metadata service answers at 127.0.0.1")
    assert "there is no /sys/class/dmi/id" in facts["cloud?"]


def test_the_services_may_be_forbidden(plain: InspectionScope) -> None:
    with metadata_server("aws") as server:
        plain.metadata, plain.environment = server.url, {"AWS_EC2_METADATA_DISABLED": "true"}
        facts = found(plain, "cloud")
    assert facts["cloud"] is None
    assert server.asked == []


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes a question and never answers."""
    release = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            release.wait(30)

        def do_GET(self) -> None:
            release.wait(30)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    release.set()
    server.shutdown()
    server.server_close()


def test_a_service_that_hangs_is_left_in_time(plain: InspectionScope, silent: str) -> None:
    plain.metadata, plain.timeout_s = silent, 0.2
    begun = time.monotonic()
    facts = found(plain, "cloud")
    assert time.monotonic() - begun < 20, "a time-out for each of three clouds, not thirty seconds for each"
    assert facts["cloud"] is None
    assert "within 0.2 s" in facts["cloud?"]
    assert "hop limit" in facts["cloud?"]


def test_a_redirection_is_not_followed(plain: InspectionScope) -> None:
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def do_PUT(self) -> None:
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    plain.metadata = f"http://127.0.0.1:{server.server_port}"
    assert found(plain, "cloud")["cloud"] is None
    server.shutdown()
    server.server_close()
    assert asked
    assert "/elsewhere" not in asked
