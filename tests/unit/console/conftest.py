"""A home with a live feed, the feeder that fills it, the console as a process of its own, and a browser."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import caudal

HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(caudal.__file__).parent.parent)}


def beside(name: str) -> ModuleType:
    """Return a module of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(f"console_{name}", HERE / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def feeder() -> Any:
    return beside("feeder")


@pytest.fixture
def fed(tmp_path: Path, feeder: Any) -> Path:
    """A home whose product ``eeg`` has told 30 updates, ten a second, the last at 1,700,000,000 s."""
    from caudal.messaging.feed import Feed

    feed = Feed(tmp_path / "live" / "eeg")
    for number, update in zip(range(30), feeder.updates(), strict=False):
        feed.append({**update, "at": 1_700_000_000.0 - 0.1 * (29 - number)})
    return tmp_path


@contextmanager
def told(process: subprocess.Popen[str], stop: signal.Signals = signal.SIGTERM) -> Iterator[str]:
    """Give the address that a server says, and stop it."""
    assert process.stdout
    try:
        yield process.stdout.readline().split()[2]
    finally:
        process.send_signal(stop)
        _, err = process.communicate(timeout=20)
        # A browser that came back at that very moment is told of as a pending task.
        assert (process.returncode, "Traceback" in err) == (0, False), err


@pytest.fixture
def served() -> Callable[..., Any]:
    """Return what runs ``caudal console`` on a home for the length of a block and gives its address."""

    def run(home: Path, *more: str, port: int = 0) -> Any:
        command = [sys.executable, "-m", "caudal", "console", "--home", str(home), "--port", str(port), *more]
        return told(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT))

    return run


@pytest.fixture
def feeding() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Return what starts the feeder as a process."""
    begun: list[subprocess.Popen[bytes]] = []

    def run(home: Path, seconds: float) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(HERE / "feeder.py"), "--home", str(home), "--seconds", str(seconds)]
        begun.append(subprocess.Popen(command, env=ENVIRONMENT))
        return begun[-1]

    yield run
    for process in begun:
        process.kill()
        process.wait()


@pytest.fixture
def browser() -> Iterator[Any]:
    """A real browser with one page; the test is skipped where there is none."""
    module = beside("browser")
    binary = module.chromium()
    if binary is None:
        pytest.skip("no chromium: install Debian's chromium, or name one in CAUDAL_CHROMIUM")
    with module.browser(binary) as started:
        yield started


@pytest.fixture
def page(browser: Any) -> Any:
    """The browser's page."""
    return browser.page
