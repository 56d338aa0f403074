"""Facts of a machine, from files as its kernel writes them, and from commands."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.unit.inspection.test_cloud import NOBODY, found

from caudal.inspection.examine import examine
from caudal.inspection.fact import InspectionProbe, known
from caudal.inspection.scope import InspectionScope, within

GIB = 1 << 30


def machine(root: Path, files: dict[str, str], **environment: str) -> InspectionScope:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")
    return InspectionScope(root=root, environment=environment, metadata=NOBODY, timeout_s=1)


def test_control_groups_of_version_2_hold_the_tightest_limit_above(tmp_path: Path) -> None:
    scope = machine(tmp_path, {
        "proc/self/cgroup": "0::/kubepods/pod1/box", "sys/fs/cgroup/cgroup.controllers": "cpu memory pids",
        "sys/fs/cgroup/kubepods/cpu.max": "400000 100000", "sys/fs/cgroup/kubepods/memory.max": str(8 * GIB),
        "sys/fs/cgroup/kubepods/pod1/cpu.max": "150000 100000", "sys/fs/cgroup/kubepods/pod1/memory.max": str(2 * GIB),
        "sys/fs/cgroup/kubepods/pod1/box/cpu.max": "max 100000", "sys/fs/cgroup/kubepods/pod1/box/memory.max": "max",
        "sys/fs/cgroup/kubepods/pod1/box/memory.current": str(GIB), "sys/fs/cgroup/kubepods/pod1/box/pids.max": "max",
    })  # fmt: skip
    facts = found(scope, "resources")
    assert (facts["cgroup_cores"], facts["cgroup_memory"], facts["cgroup_memory_used"]) == (1.5, 2 * GIB, GIB)
    assert facts["cgroup_memory?"] == "/sys/fs/cgroup/kubepods/pod1/memory.max"
    assert facts["cgroup_processes"] == "none"


def test_control_groups_within_a_container_have_the_hosts_path(tmp_path: Path) -> None:
    scope = machine(tmp_path, {
        "proc/self/cgroup": "0::/../../docker/0123", "sys/fs/cgroup/cgroup.controllers": "cpu memory", "sys/fs/cgroup/cpu.max": "50000 100000",
        "sys/fs/cgroup/memory.max": str(GIB), "sys/fs/cgroup/memory.current": "4096",
    })  # fmt: skip
    facts = found(scope, "resources")
    assert (facts["cgroup_cores"], facts["cgroup_memory"]) == (0.5, GIB)


def test_control_groups_of_version_1(tmp_path: Path) -> None:
    scope = machine(tmp_path, {
        "proc/self/cgroup": "4:memory:/docker/ab\n3:cpu,cpuacct:/docker/ab\n2:pids:/docker/ab\n0::/", "sys/fs/cgroup/memory/memory.limit_in_bytes": str(3 * GIB),
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "8192", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "250000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/pids/pids.max": "512",
    })  # fmt: skip
    facts = found(scope, "resources")
    assert (facts["cgroup_cores"], facts["cgroup_memory"], facts["cgroup_memory_used"], facts["cgroup_processes"]) == (
        2.5,
        3 * GIB,
        8192,
        512,
    )


def test_no_limit_of_version_1_is_none(tmp_path: Path) -> None:
    scope = machine(tmp_path, {
        "proc/self/cgroup": "4:memory:/\n3:cpu:/", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
    })  # fmt: skip
    facts = found(scope, "resources")
    assert (facts["cgroup_cores"], facts["cgroup_memory"]) == ("none", "none")


def test_processor_and_memory(tmp_path: Path) -> None:
    thread = "model name\t: Xeon\nphysical id\t: {}\ncore id\t: {}\n"
    scope = machine(tmp_path, {
        "proc/cpuinfo": "\n".join(thread.format(socket, core) for socket in (0, 1) for core in (0, 1) for _ in (0, 1)),
        "proc/meminfo": "MemTotal:       16384 kB\nMemAvailable:    8192 kB\nSwapTotal:           0 kB", "proc/uptime": "90061.5 1.0",
    })  # fmt: skip
    facts = found(scope, "resources", "host")
    assert (facts["processor"], facts["physical_cores"]) == ("Xeon", 4)
    assert (facts["memory"], facts["memory_available"], facts["swap"]) == (16 << 20, 8 << 20, 0)
    assert facts["uptime"] == 90061.5


def test_a_machine_that_tells_nothing_says_so(tmp_path: Path) -> None:
    scope = machine(tmp_path, {})
    facts = found(
        scope,
        "host",
        "cloud",
        "platform",
        "resources",
        "disks",
        "network",
        "gpu",
        "java",
        "spark",
        "session",
        "cluster",
        "metastore",
        "catalog",
    )
    assert all(facts[name] or facts[f"{name}?"] for name in facts if not name.endswith("?"))
    assert "failure" not in facts
    assert {
        name
        for name in ("cloud", "physical_cores", "cgroup", "interfaces", "gateway", "gpus", "session")
        if facts[name] is not None
    } == set()


def test_this_machine_is_told_without_a_failure() -> None:
    facts = found(
        InspectionScope(metadata=NOBODY),
        "host",
        "resources",
        "disks",
        "network",
        "java",
        "python",
        "spark",
        "variables",
        "applications",
        "cluster",
    )
    assert "failure" not in facts
    assert facts["process"] == os.getpid()
    assert facts["usable_cores"] <= facts["cores"]
    assert facts["memory"] > facts["memory_available"] > 0
    assert any(row["folder"] == "/" and row["free"] <= row["size"] for row in facts["disks"])
    assert any(row["interface"] == "lo" and "127.0.0.1" in row["addresses"] for row in facts["interfaces"])
    (installed,) = [row for row in facts["installations"] if row["found by"] == "package pyspark"]
    assert (installed["spark"], installed["derby"]) == ("4.1.1", "10.16.1.1")
    assert {"library": "caudal", "version": "0.1.0"} in facts["libraries"]


def test_disks_are_told_once_and_by_kind(tmp_path: Path) -> None:
    scope = machine(tmp_path, {
        "proc/self/mountinfo": (
            "1 0 254:0 / / rw - ext4 /dev/vda rw\n2 1 254:0 /hosts /etc/hosts rw - ext4 /dev/vda rw\n3 1 0:22 / /proc rw - proc proc rw\n"
            "4 1 0:30 / /my\\040disk rw shared:1 - tmpfs tmpfs rw\n5 1 0:31 / /far rw - nfs4 server:/x rw"
        ),
        "sys/dev/block/254:0/queue/rotational": "0",
    })  # fmt: skip
    for folder in ("my disk", "far"):
        (tmp_path / folder).mkdir()
    rows = found(scope, "disks")["disks"]
    assert [(row["folder"], row["type"], row["disk"]) for row in rows] == [
        ("/", "ext4", "solid state"), ("/far", "nfs4", "network or user space"), ("/my disk", "tmpfs", "memory"),
    ]  # fmt: skip
    assert all(row["size"] > 0 for row in rows)


def test_network(tmp_path: Path) -> None:
    scope = machine(tmp_path, {
        "proc/net/route": "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\neth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0",
        "etc/resolv.conf": "# local\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nsearch example.org",
    }, https_proxy="http://anna:Zq7-proxy@proxy:3128")  # fmt: skip
    facts = found(scope, "network")
    assert facts["gateway"] == "192.168.2.1 by eth0"
    assert facts["name_servers"] == ["10.0.0.2", "10.0.0.3"]
    assert facts["proxies"] == "http://anna@proxy:3128"


def test_gpus_by_the_makers_tool(tmp_path: Path) -> None:
    (tool := tmp_path / "bin" / "nvidia-smi").parent.mkdir()
    tool.write_text(
        "#!/bin/sh\necho '0, NVIDIA H200, 143771, 4, 570.86.15, 9.0'\necho '1, NVIDIA H200, 143771, [N/A], 570.86.15, 9.0'\n"
    )
    tool.chmod(0o755)
    scope = machine(tmp_path, {}, PATH=f"{tool.parent}:{os.environ['PATH']}", CUDA_VISIBLE_DEVICES="")
    facts = found(scope, "gpu")
    assert facts["gpus"] == [
        {"gpu": "0: NVIDIA H200", "memory": 143771 << 20, "used": 4 << 20, "driver": "570.86.15", "compute_capability": "9.0"},
        {"gpu": "1: NVIDIA H200", "memory": 143771 << 20, "used": None, "driver": "570.86.15", "compute_capability": "9.0"},
    ]
    assert facts["cuda_visible_devices"] == "(empty: none)"
    tool.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver'\nexit 9\n")
    assert "ended with 9: NVIDIA-SMI has failed" in found(scope, "gpu")["gpus?"]


def test_a_gpu_without_a_driver_is_seen_on_the_bus(tmp_path: Path) -> None:
    bus = "sys/bus/pci/devices/0000:01:00.0"
    facts = found(machine(tmp_path, {f"{bus}/class": "0x030200", f"{bus}/vendor": "0x10de", f"{bus}/device": "0x2335"}), "gpu")
    assert facts["gpus"] == [{"gpu": "NVIDIA device 0x2335", "bus": "0000:01:00.0"}]
    assert "whether a driver runs them is not known" in facts["gpus?"]


PLATFORMS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "Databricks, runtime 16.4": ({}, {"DATABRICKS_RUNTIME_VERSION": "16.4"}),
    "EMR, release emr-7.9.0": (
        {"mnt/var/lib/info/job-flow.json": '{"jobFlowId": "j-2AXXXXXXGAPLF"}', "mnt/var/lib/info/instance.json": '{"isMaster": true}',
         "mnt/var/lib/info/extraInstanceData.json": '{"releaseLabel": "emr-7.9.0"}'}, {},
    ),
    "Dataproc, image 2.2": ({"etc/google-dataproc/dataproc.properties": ""}, {"DATAPROC_IMAGE_VERSION": "2.2"}),
    "Colab, release release-colab-20261101": ({}, {"COLAB_RELEASE_TAG": "release-colab-20261101"}),
    "plain (none of Databricks, EMR, Dataproc, Colab)": ({}, {}),
}  # fmt: skip


@pytest.mark.parametrize("platform", PLATFORMS)
def test_platforms(tmp_path: Path, platform: str) -> None:
    files, environment = PLATFORMS[platform]
    facts = found(machine(tmp_path, files, **environment), "platform")
    assert facts["platform"] == platform
    if platform.startswith("EMR"):
        assert (facts["cluster_id"], facts["role"]) == ("j-2AXXXXXXGAPLF", "master")
    if platform.startswith("Databricks"):
        assert (facts["cluster_id"], facts["cluster_id?"]) == (None, "no Spark session runs in this process")


def test_containers(tmp_path: Path) -> None:
    assert found(machine(tmp_path, {}), "platform")["container"] == "no sign of one"
    scope = machine(
        tmp_path,
        {"proc/1/cgroup": "0::/kubepods.slice/x", "var/run/secrets/kubernetes.io/serviceaccount/namespace": "spark"},
        KUBERNETES_SERVICE_HOST="10.0.0.1",
    )
    facts = found(scope, "platform")
    assert (facts["container"], facts["kubernetes"]) == ("kubepods", "namespace spark")
    (tmp_path / ".dockerenv").touch()
    assert found(scope, "platform")["container"] == "Docker"


def test_a_probe_that_fails_hides_no_other() -> None:
    def findings(_: InspectionScope) -> Any:
        yield known("first", "First", 1, "counting")
        raise ValueError("no more")

    document = examine(
        InspectionScope(environment={}),
        [InspectionProbe("broken", "Broken", findings), InspectionProbe("whole", "Whole", lambda _: [known("a", "A", 1, "b")])],
    )
    broken, whole = document["sections"]
    assert [fact["name"] for fact in broken["facts"]] == ["first", "failure"]
    assert broken["facts"][1]["why_not"] == "the probe failed: ValueError: no more"
    assert whole["facts"][0]["value"] == 1


def test_what_hangs_in_the_kernel_is_left() -> None:
    with pytest.raises(OSError, match="no answer within"):
        within(0.05, threading.Event().wait)  # type: ignore[arg-type]
