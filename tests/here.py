"""Commands in the tests' own process, on the tests' Spark session: a process and a start of Java less for each.

What a command prints, how it exits, its folder and its environment are as in a process of its own. What it is not is fresh: settings
that are read when Java or a library starts are those of the tests. Tests of these, of kills and of what a new process finds use `tests.zygote`.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from tests.documents import check_printed

from caudal.cli import main
from caudal.secret.value import forget_secrets

engine_session = import_module("caudal.engine.session")  # the package has a function of that name
CONNECTORS = frozenset({"avro", "postgresql"})
APP = "caudal-tests"
# To compile a plan of a few rows into Java's code takes longer than to interpret it.
INTERPRETED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}


def session_options(**given: Any) -> dict[str, Any]:
    """Return how the session of the tests' process starts, whatever a command asks for."""
    connectors = given.get("connectors", frozenset()) | CONNECTORS
    return {"conf": given.get("conf"), "connectors": connectors, "cores": 2, "memory": "1g", "app": APP}


def has_session() -> bool:
    """Return whether the session that runs is that of the tests."""
    running = engine_session._running
    return engine_session.is_running() and running is not None and running.plan.app == APP


def run(
    command: Sequence[str | os.PathLike[str]],
    *,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    check: bool = False,
    capture_output: bool = True,
    text: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m caudal …`` to its end, as `subprocess.run` does; ``timeout`` is that of the test."""
    program, first, module, *arguments = map(str, command)
    assert (program, first, module) == (sys.executable, "-m", "caudal"), "only caudal's commands can run here"
    out, err = io.StringIO(), io.StringIO()
    with _surroundings(cwd, env), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = _exit_code(arguments)
    done = subprocess.CompletedProcess(list(map(str, command)), code, out.getvalue(), err.getvalue())
    if check:
        done.check_returncode()
    check_printed(command, done.stdout)
    return done


def _exit_code(arguments: Sequence[str]) -> int:
    given, sys.argv = sys.argv, ["caudal", *arguments]
    plan_session = engine_session.plan_session
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(engine_session, "plan_session", lambda **asked: plan_session(**session_options(**asked)))
            main()
    except SystemExit as ended:
        code = ended.code
        if isinstance(code, str):
            sys.stderr.write(f"{code}\n")
            return 1
        return code or 0
    finally:
        sys.argv = given
        forget_secrets()
    return 0


@contextlib.contextmanager
def _surroundings(folder: str | os.PathLike[str] | None, environment: Mapping[str, str] | None) -> Iterator[None]:
    """Be in another folder, with another environment and without the modules that a product brings."""
    place, kept, path = Path.cwd(), dict(os.environ), sys.path.copy()
    try:
        if folder is not None:
            os.chdir(folder)
        if environment is not None:
            os.environ.clear()
            os.environ.update(environment)
        yield
    finally:
        os.chdir(place)
        os.environ.clear()
        os.environ.update(kept)
        sys.path[:] = path
