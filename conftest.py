"""What all tests share: one Spark session."""

from __future__ import annotations

import atexit
import gc
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from tests.call_sites import leave_out_call_sites
from tests.here import INTERPRETED, has_session, session_options

import caudal.storage.delta  # noqa: F401 — its word to Delta's library is in the environment from the beginning, as those below
from caudal.engine import session, stop
from caudal.engine.jvm import BRIEF_OPTIONS
from caudal.registry.track import QUIET
from caudal.secret.value import forget_secrets

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytest_plugins = [
    "tests.engines",
    "tests.mariadb",
    "tests.plans",
    "tests.postgres",
    "tests.redis_server",
    "tests.servers.hdfs",
    "tests.servers.places",
    "tests.servers.s3",
    "tests.zygote",
    "tests.sent_shop",
]

# Machines are shared: how long an example takes says nothing.
settings.register_profile("caudal", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("caudal")


# Most Java processes of tests live for seconds and see a few rows: to compile thoroughly, or a plan at all, costs them more than it gives.
# Tests that want Spark's usual way have the fixture `compiled`.
_BRIEF = [
    *BRIEF_OPTIONS,
    "-XX:MetaspaceSize=256m",
    *(f"-D{name}={value}" for name, value in INTERPRETED.items()),
]
os.environ.setdefault("CAUDAL_JAVA_OPTIONS", " ".join(_BRIEF))

leave_out_call_sites()

# Threads that wait for the next sum or tree do so busily, and several tests' processes wait for the same cores: let them sleep.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

# Set when a first model is registered; set from the beginning, they do not tell a test's process from what was forked before.
for _name, _value in QUIET.items():
    os.environ.setdefault(_name, _value)

# Commands are started hundreds of times, and 300 modules of tests have their assertions rewritten: let what is compiled be kept.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# When all tests have to be over (seconds since 1970), where that is given: on a slow machine a summary is worth more than being cut off.
_UNTIL = float(os.environ.get("CAUDAL_TEST_UNTIL", "inf"))
_SLOWER = 2.5  # how much longer a test may take on another machine than its mark says
_TO_STOP_S = 120.0  # from the end of a test that hangs to the summary
_HANGS = 10  # a test that has taken so many times what its mark says hangs, whatever the machine
_CUT_SHORT = pytest.StashKey[bool]()  # whether a test may have less time than tells that it hangs


def pytest_sessionstart(session: pytest.Session) -> None:
    """Where all tests run, several at a time, have the class-data archive made first: each of some 150 starts of Java takes less with it."""
    if getattr(session.config.option, "numprocesses", None) and not hasattr(session.config, "workerinput"):
        subprocess.Popen([sys.executable, "-m", "caudal.engine.warmup"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for no garbage while 300 modules of tests are imported, nor afterwards among what they hold: a quarter of the time that takes."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        atexit.register(gc.unfreeze)  # libraries tell on standard error what is not freed


@pytest.fixture(autouse=True)
def secrets_of_its_own() -> Iterator[None]:
    """Let no test hide the words of another that are the password of this one."""
    yield
    forget_secrets()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of a flow as slow: it runs products by the command.

    Where the time is limited, files without a slow test come first, then those with quick and slow ones, since quick tests are always run, and
    then the others; each of these two parts in another order each time: those for which the time is not enough are not always the same.
    """
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent / "tests" / "flow"):
            item.add_marker(pytest.mark.slow)
    if math.isfinite(_UNTIL):
        slow_files = {item.path for item in items if _is_slow(item)}
        mixed_files = {item.path for item in items if item.path in slow_files and not _is_slow(item)}
        turn = {  # the same in each of pytest's processes
            path: random.Random(f"{_UNTIL} {path}").random() + (path not in mixed_files) for path in slow_files
        }
        items.sort(key=lambda item: turn.get(item.path, -1.0))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let a slow test that hangs end in time for a summary that names it."""
    if math.isfinite(_UNTIL) and _is_slow(item):
        given = item.get_closest_marker("timeout")
        own_s = float(given.args[0]) if given is not None else float(item.config.getini("timeout"))
        left_s = max(60.0, _UNTIL - _TO_STOP_S - time.time())
        if left_s < own_s:
            item.stash[_CUT_SHORT] = left_s < _HANGS * 60 * _minutes(item)
            item.add_marker(pytest.mark.timeout(left_s), append=False)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Tell apart what hangs from what the time for all tests was not enough for: of the latter nothing is known."""
    report = yield
    failed = call.excinfo is not None and call.excinfo.errisinstance(pytest.fail.Exception)
    if failed and item.stash.get(_CUT_SHORT, False) and str(call.excinfo.value).startswith("Timeout ("):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1], "slow, and not over when the time for tests was")
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what is slow where the time that is left may not be enough for it."""
    if _is_slow(item) and time.time() + _SLOWER * 60 * _minutes(item) > _UNTIL - _TO_STOP_S:
        pytest.skip("slow, and the time that is left for tests may not be enough")


def _is_slow(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in ("slow", "faults"))


def _minutes(item: pytest.Item) -> float:
    """Return how long a slow test takes at most, beside two others on two cores: what its mark says, or a minute."""
    return max(float(mark.kwargs.get("minutes", 1)) for name in ("slow", "faults") for mark in item.iter_markers(name))


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """The session of this test run, with the connectors that tests of tables use."""
    if not has_session():
        stop()  # a test before has started one of its own
    yield session(**session_options())
    stop()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; tests that need it are skipped, with its name, where it is absent."""
    folder = Path(os.environ.get("CAUDAL_DATA", "../shared/data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set CAUDAL_DATA")
    return folder
