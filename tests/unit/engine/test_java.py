"""Which Java is taken, and that the packaged one really runs Spark."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from caudal.engine import java as room
from caudal.engine.java import java_home
from caudal.engine.jvm import brief_options, user_options
from caudal.engine.session import plan_session
from caudal.errors import EnvironmentProblem


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUDAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CAUDAL_JAVA", raising=False)


def fake_java(home: Path, version: str) -> Path:
    """Make a home that says it is Java ``version``."""
    (home / "bin").mkdir(parents=True)
    java = home / "bin" / "java"
    java.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    (home / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    return home


def test_java_home_wins_over_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path / "a", "21.0.1")))
    monkeypatch.setenv("PATH", str(fake_java(tmp_path / "b", "17.0.2") / "bin"))
    assert (java_home().origin, java_home().version) == ("JAVA_HOME", "21.0.1")


def test_the_packaged_java_comes_before_that_of_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(fake_java(tmp_path / "b", "17.0.2") / "bin"))
    assert (java_home().origin, room.major(java_home().version)) == ("bundled", 21)
    monkeypatch.setattr(room, "_bundled_java", lambda: None)
    room._java_home.cache_clear()
    assert (java_home().origin, java_home().version) == ("PATH", "17.0.2")
    room._java_home.cache_clear()


def test_on_a_cluster_the_java_of_the_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(fake_java(tmp_path / "b", "17.0.2") / "bin"))
    assert plan_session(master="spark://127.0.0.1:7077").java.origin == "PATH"
    assert plan_session(conf={"spark.master": "yarn"}).java.origin == "PATH"
    assert plan_session(master="local[2]").java.origin == "bundled"
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path / "a", "21.0.1")))
    assert plan_session(master="yarn").java.origin == "JAVA_HOME"


@pytest.mark.parametrize("unfit", ["11.0.2", "1.8.0_452", "25.0.1"])
def test_unfit_java_home_is_passed_over(unfit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path / "a", unfit)))
    monkeypatch.setenv("PATH", str(fake_java(tmp_path / "b", "17.0.2") / "bin"))
    assert java_home().origin == "bundled"
    assert (java_home(on_cluster=True).origin, java_home(on_cluster=True).version) == ("PATH", "17.0.2")


def test_without_any_java_the_packaged_one_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (java_home(on_cluster=True).origin, room.major(java_home(on_cluster=True).version)) == ("bundled", 21)


def test_no_java_at_all_says_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path / "a", "11.0.2")))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(room, "_bundled_java", lambda: None)
    with pytest.raises(EnvironmentProblem, match=r"JAVA_HOME gives 11\.0\.2.*pip install 'caudal\[spark\]'"):
        java_home()


def test_launcher_changes_only_the_two_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jars = tmp_path / "some jars"
    jars.mkdir()
    for name in ("b.jar", "slf4j-api-2.0.jar", "a.jar"):
        (jars / name).touch()
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path / "it's java", "17.0.2")))
    given = ["-cp", f"x/conf:{jars}/slf4j-api-2.0.jar:{jars}/*", "--add-modules=jdk.incubator.vector", "-Da=b c*", "", "Main"]
    told = subprocess.run([java_home().path / "bin" / "java", *given], capture_output=True, text=True, check=True).stdout
    class_path = f"x/conf:{jars}/a.jar:{jars}/b.jar:{jars}/slf4j-api-2.0.jar"
    assert told.splitlines() == ["-cp", class_path, "-Da=b c*", "", "Main"]


def test_launcher_keeps_what_comes_behind_sparks_own_jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jars").mkdir()
    for name in ("b.jar", "slf4j-api-2.0.jar"):
        (tmp_path / "jars" / name).touch()
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path / "java", "17.0.2")))
    given = ["-cp", f"conf:{tmp_path}/jars/slf4j-api-2.0.jar:{tmp_path}/jars/*:/my/a.jar:/my/slf4j-api-1.7.jar", "Main"]
    told = subprocess.run([java_home().path / "bin" / "java", *given], capture_output=True, text=True, check=True).stdout
    class_path = f"conf:{tmp_path}/jars/b.jar:{tmp_path}/jars/slf4j-api-2.0.jar:/my/a.jar:/my/slf4j-api-1.7.jar"
    assert told.splitlines() == ["-cp", class_path, "Main"]


@pytest.mark.slow
def test_packaged_java_runs_a_query(tmp_path: Path) -> None:
    program = (
        "from caudal.engine import session, java_home, stop\n"
        "spark = session(cores=1, memory='1g')\n"
        "print(java_home().origin, spark.range(10).groupBy().sum('id').first()[0],\n"
        "      spark._jvm.java.lang.System.getProperty('java.version').split('.')[0])\n"
        "stop()\n"
    )
    environ = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"}
    environ |= {"CAUDAL_JAVA": "", "CAUDAL_CDS": "off", "CAUDAL_CACHE": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "bundled 45 21\n", "")


@pytest.mark.parametrize("options", ["", "-XX:+UseG1GC", "-Xlog:disable -XX:+UseParallelGC", "-XX:+UseZGC"])
def test_a_garbage_collector_of_the_user_s_takes_the_place_of_that_of_brief_work(
    options: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAUDAL_JAVA_OPTIONS", options)
    given = [*brief_options(), *user_options()]
    done = subprocess.run([java_home().java, *given, "-version"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [option for option in given if option.endswith("GC")] == [options.split()[-1] if options else "-XX:+UseSerialGC"]
