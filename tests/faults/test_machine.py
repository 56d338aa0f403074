"""The machine refuses: a full disk, a disk that is read-only, too few open files. One sentence, the right exit code, and nothing lost."""

from __future__ import annotations

import os
import resource
import shlex
import shutil
import subprocess
import sys

import pytest

from caudal.batch.batch import run
from caudal.declarations.settings import Settings

PRODUCT = """
import caudal as cd
product = cd.Product("p")
product.source("raw", cd.files("in/*"), schema=cd.schema(id="long", v="double"))
"""
CAUDAL = shlex.join([sys.executable, "-m", "caudal"])


def mounts() -> str | None:
    """Return why a test cannot mount in a name space of its own, or None."""
    if shutil.which("unshare") is None:
        return "there is no unshare here"
    tried = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True)
    return None if tried.returncode == 0 else f"this user may not mount: {tried.stderr.strip()}"


@pytest.fixture(scope="module")
def made(tmp_path_factory, spark):
    place = tmp_path_factory.mktemp("machine")
    (place / "p" / "in").mkdir(parents=True)
    (place / "p" / "product.py").write_text(PRODUCT)
    (place / "p" / "in" / "a.csv").write_text("id,v\n1,1.5\n")
    assert run(place / "p", Settings(home=place / "home")).error is None
    return place


def mounted(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in which mounts are seen by nobody else."""
    if why := mounts():
        pytest.skip(why)
    return subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=300)


def said(done: subprocess.CompletedProcess[str], code: int) -> str:
    text = done.stdout + done.stderr
    assert done.returncode == code, text
    assert "Traceback" not in text
    assert "caudal itself failed" not in text
    assert "up to date" not in text
    return text


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("room_k", [60, 260, 400])
def test_a_full_disk_is_told_wherever_it_fills_and_the_same_command_goes_on(made, tmp_path, room_k):
    """The disk holds the home as it is and some kilobytes more: it fills in the ledger, in raw, or in the page of the run."""
    home = tmp_path / "home"
    home.mkdir()
    (made / "p" / "in" / "big.csv").write_text("id,v\n" + "".join(f"{n},{n}.25\n" for n in range(30_000)))
    used_k = sum(-(-file.stat().st_size // 4096) * 4 for file in made.joinpath("home").rglob("*"))
    again = f"{CAUDAL} run {made}/p --home {home}"
    done = mounted(
        f"mount -t tmpfs -o size={used_k + room_k}k none {home} && cp -r {made}/home/. {home} || exit 99; {again}; code=$?; "
        f"mount -o remount,size=200m {home}; {CAUDAL} verify --home {home} >&2 || exit 98; exit $code"
    )
    (made / "p" / "in" / "big.csv").unlink()
    assert "full" in said(done, 6)


@pytest.mark.parametrize("command", ["run", "status"])
def test_a_home_on_a_read_only_disk_is_told(made, tmp_path, command):
    (made / "p" / "in" / "new.csv").write_text("id,v\n2,2.5\n")
    what = f"run {made}/p" if command == "run" else "status"
    done = mounted(f"cp -r {made}/home {tmp_path}/home && mount --bind {tmp_path}/home {tmp_path}/home && mount -o remount,ro,bind {tmp_path}/home || exit 99; {CAUDAL} {what} --home {tmp_path}/home")  # fmt: skip
    (made / "p" / "in" / "new.csv").unlink()
    assert "read-only" in said(done, 6)


@pytest.mark.parametrize("files", [16, 40, 200])
def test_too_few_open_files_are_told(made, tmp_path, files):
    shutil.copytree(made / "home", tmp_path / "home")
    (made / "p" / "in" / "new.csv").write_text("id,v\n2,2.5\n")

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    command = [sys.executable, "-m", "caudal", "run", str(made / "p"), "--home", str(tmp_path / "home")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, preexec_fn=limited, env=os.environ)
    (made / "p" / "in" / "new.csv").unlink()
    text = said(done, 6)
    assert f"This process may open {files} files" in text
