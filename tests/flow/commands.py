"""Commands as a user runs them, in processes of their own; and what they call, in this one."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests import here, zygote
from tests.documents import check_document

from caudal.batch.batch import run
from caudal.batch.plan import Pipeline
from caudal.declarations.settings import Settings


def caudal(*arguments: str | Path, code: int = 0, **environment: str) -> dict:
    """Run a command to its end and return its document."""
    command = [sys.executable, "-m", "caudal", *map(str, arguments), "--json"]
    done = here.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, **environment})
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def caudal_elsewhere(*arguments: str | Path, **environment: str) -> dict:
    """Run a command to its end in a process of its own, where Spark may have other connectors, and return its document."""
    command = [sys.executable, "-m", "caudal", *map(str, arguments), "--json"]
    done = zygote.run(command, capture_output=True, text=True, timeout=600, env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def run_here(product: Path, home: Path, data: Path | None = None, pipeline: Pipeline = "all") -> dict:
    """Bring a product up to date on the Spark session of the tests and return its document: a process and a Java less than `caudal`."""
    result = run(product, Settings(home=home, data=data), pipeline=pipeline)
    assert result.error is None, result.error
    check_document("run" if pipeline == "all" else pipeline, result.document)
    return result.document


@contextlib.contextmanager
def streaming(product: Path, *arguments: str | Path) -> Iterator[zygote.Popen]:
    """Give a stream that runs; it is ended, however the test ends."""
    command = [sys.executable, "-m", "caudal", "stream", str(product), *map(str, arguments), "--json"]
    stream = zygote.start(command, stdout=subprocess.PIPE, text=True)
    try:
        yield stream
    finally:
        stream.terminate()
        stream.communicate(timeout=60)
