"""Platforms and faults as they are written, and the sentence for what is none."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from caudal.commands.compare import read_platform
from caudal.compare.diagram import in_bytes
from caudal.compare.platforms import rapids
from caudal.compare.platforms.colab import Colab
from caudal.compare.resources import EVERY_S, Resources
from caudal.declarations.settings import Settings
from caudal.engine.settings import usable_cores
from caudal.errors import DeclarationProblem, EnvironmentProblem
from caudal.kinds import FAULTS, PLATFORMS


@pytest.mark.parametrize(
    ("text", "kind", "cores", "master"),
    [
        ("here", "here", usable_cores(), None), ("sail", "sail", usable_cores(), None), ("local[2]", "local", 2, "local[2]"),
        ("local", "local", usable_cores(), f"local[{usable_cores()}]"), ("local[*]", "local", usable_cores(), f"local[{usable_cores()}]"),
        ("cluster:3", "cluster", 3, None), ("spark://host:7077", "master", None, "spark://host:7077"), ("yarn", "master", None, "yarn"),
        ("k8s://https://host:6443", "master", None, "k8s://https://host:6443"), ("sc://host:15002/;token=abc", "connect", None, None),
        ("rapids[2]", "rapids", 2, "local[2]"), ("rapids", "rapids", usable_cores(), f"local[{usable_cores()}]"),
        ("databricks:prod", "databricks", None, None), ("emr:serverless-1", "emr", None, None),
        ("colab", "colab", None, None), ("colab:local[2]", "colab", 2, None), ("colab:sail", "colab", None, None), ("colab:here", "colab", None, None),
    ],
)  # fmt: skip
def test_platforms_as_they_are_written(text: str, kind: str, cores: int | None, master: str | None) -> None:
    platform = read_platform(text)
    assert (platform.kind, platform.cores) == (kind, cores)
    assert platform.changes().get("master") == master
    diagram = platform.diagram(Settings())
    ids = {node["id"] for node in diagram["nodes"]}
    assert len(ids) == len(diagram["nodes"])
    assert all({edge["source"], edge["target"]} <= ids for edge in diagram["edges"])


def test_a_token_of_a_server_is_in_no_title() -> None:
    assert "abc" not in read_platform("sc://host:15002/;token=abc").title


@pytest.mark.parametrize(
    "text",
    [
        "locl[2]",
        "local[0]",
        "cluster",
        "cluster:0",
        "",
        "sc://",
        "colab:",
        "colab:cluster:2",
        "colab:colab",
        "databricks",
        "databricks:",
        "emr:",
    ],
)
def test_what_is_no_platform(text: str) -> None:
    with pytest.raises(DeclarationProblem, match="There is no platform") as caught:
        read_platform(text)
    assert "local[N]" in str(caught.value.fix)


@pytest.mark.parametrize("text", ["spark://127.0.0.1:1", "sc://127.0.0.1:1"])
def test_a_server_that_does_not_answer_is_one_sentence(text: str, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match=r"answers at 127\.0\.0\.1:1: "), read_platform(text).started(tmp_path, Settings()):
        raise AssertionError


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("text", ["here", "sail", "local[1]", "cluster:1", "spark://host:1", "sc://host:1"])
def test_a_fault_says_where_it_cannot_happen(fault: str, text: str) -> None:
    refused = FAULTS[fault].refuses(read_platform(text), "run")
    assert refused is None or (len(refused) > 20 and not refused.endswith("."))


@pytest.mark.parametrize(
    ("text", "engine", "workloads", "there"),
    [
        ("colab", "spark", {"run", "stream"}, f"Google Colab, Spark in one process, {usable_cores()} core"),
        ("colab:local[3]", "spark", {"run", "stream"}, "Google Colab, Spark in one process, 3 cores"),
        ("colab:sail", "sail", {"run"}, "Google Colab, Sail"),
        ("colab:here", "auto", {"stream"}, "Google Colab, caudal's own process"),
    ],
)
def test_what_is_awaited_knows_what_does_its_work_there(text: str, engine: str, workloads: set[str], there: str) -> None:
    platform = read_platform(text)
    assert isinstance(platform, Colab)
    assert platform.awaits
    assert (platform.engine, platform.workloads) == (engine, workloads)
    inner = platform.there()
    assert (inner.text, inner.awaits, inner.engine) == (text, "", engine)
    assert inner.title.startswith(there)


def test_every_kind_says_how_it_is_written() -> None:
    assert all(kind.form and kind.about for kind in PLATFORMS.values())
    assert all(fault.about for fault in FAULTS.values())


@pytest.mark.parametrize(
    ("memory", "size"), [("512m", 2**29), ("2g", 2**31), ("4GB", 2**32), ("100", 100), (None, None), ("many", None)]
)
def test_memory_in_bytes(memory: str | None, size: int | None) -> None:
    assert in_bytes(memory) == size


def test_time_and_memory_of_a_process_and_its_children() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'held = bytearray(80 << 20); total = sum(range(20_000_000))'])"
    process = subprocess.Popen([sys.executable, "-c", code])
    with Resources(lambda: [process.pid]) as used:
        process.wait()
        time.sleep(EVERY_S)
    assert used.peak_bytes > 80 << 20
    assert used.cpu_s > 0.05
    with Resources(lambda: [os.getpid()]) as idle:
        pass
    assert idle.cpu_s < sum(os.times()[:2])  # what this process used before does not count


def test_a_machine_without_a_gpu_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rapids, "has_gpu", lambda: False)
    with (
        pytest.raises(EnvironmentProblem, match="no GPU that the RAPIDS Accelerator"),
        read_platform("rapids[2]").started(tmp_path, Settings()),
    ):
        pass


def test_the_accelerator_is_spark_s_plugin_and_its_jar_is_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rapids, "has_gpu", lambda: True)
    jar = tmp_path / "rapids.jar"
    jar.write_bytes(b"")
    with read_platform("rapids[2]").started(tmp_path, Settings(platforms={"rapids": {"jar": str(jar)}})) as running:
        assert running.changes["master"] == "local[2]"
        spark = running.changes["spark"]
    assert isinstance(spark, dict)
    assert (spark["spark.jars"], spark["spark.plugins"]) == (str(jar), "com.nvidia.spark.SQLPlugin")
    wrong = Settings(platforms={"rapids": {"jars": str(jar)}})
    with pytest.raises(DeclarationProblem, match="sets 'jars'"), read_platform("rapids").started(tmp_path, wrong):
        pass
