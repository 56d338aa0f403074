"""The lease: one holder at a time, and free when its holder is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from caudal.errors import LeaseHeld
from caudal.storage.lease import lease


def test_a_second_holder_is_refused_and_told_who_holds_it(tmp_path):
    with lease(tmp_path / "p.lock", "p"), pytest.raises(LeaseHeld, match=f"process {os.getpid()}"), lease(tmp_path / "p.lock", "p"):
        pass
    with lease(tmp_path / "p.lock", "p"):
        pass


def test_the_lease_is_free_when_its_holder_is_killed(tmp_path):
    path = tmp_path / "p.lock"
    code = "import sys, time; from pathlib import Path; from caudal.storage.lease import lease\nwith lease(Path(sys.argv[1]), 'p'):\n    print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(LeaseHeld), lease(path, "p"):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    began = time.monotonic()
    with lease(path, "p", wait_s=5):
        assert time.monotonic() - began < 5
