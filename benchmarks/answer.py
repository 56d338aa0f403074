"""An engine's process: it leads a group of its own, writes its answer into a file, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from caudal.engine.java import java_home

ROOT = Path(__file__).parents[1]


class NoAnswer(Exception):
    """An engine broke or took too long; the message has its last words."""


def started(command: Sequence[str], answer: Path, more: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start an engine, with Java and this project's modules at hand; what it says lies beside its answer."""
    answer.unlink(missing_ok=True)
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": path, "JAVA_HOME": str(java_home().runtime)} | dict(more or {})
    with _log(answer).open("wb") as said:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=said, start_new_session=True)


def heard(process: subprocess.Popen[bytes], answer: Path, patience_s: float) -> dict[str, Any]:
    """Wait for an engine's end and return its answer.

    Raises
    ------
    NoAnswer : it took longer than ``patience_s``, broke, or wrote none
    """
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"no answer in {patience_s:.0f} s") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it left behind; it leads its own group
        process.wait()
    if process.returncode or not answer.is_file():
        raise NoAnswer(f"ended with {process.returncode}: {_log(answer).read_text(errors='replace').strip()[-1500:]}")
    return dict(json.loads(answer.read_text()))


def _log(answer: Path) -> Path:
    return answer.with_name(f"{answer.name}.log")
