"""A command forked from the zygote is what `subprocess` makes of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests import zygote

PYTHON = sys.executable
# All that a program can see of how it was started, but for what is random.
LOOK = """
import atexit, json, os, random, signal, sys, threading
import numpy
atexit.register(lambda: print("left", file=sys.stderr))
signals = [str(signal.getsignal(one)) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD)]
json.dump({
    "argv": sys.argv, "path": sys.path, "environ": dict(os.environ), "cwd": os.getcwd(), "signals": signals, "main": sorted(vars(sys.modules["__main__"])),
    "name": __name__, "descriptors": os.listdir("/proc/self/fd"), "threads": threading.active_count(), "in": sys.stdin.read(), "flags": str(sys.flags),
    "mask": str(signal.pthread_sigmask(signal.SIG_BLOCK, [])), "group": os.getpgid(0), "session": os.getsid(0),
    "random": [random.random(), numpy.random.random()],
}, sys.stdout)
threading.Timer(0.1, lambda: print("waited for", file=sys.stderr)).start()
sys.exit(7)
"""


def forked(*command: str | Path, **options):
    process = zygote.start([PYTHON, *command], **options)
    assert isinstance(process, zygote.Popen)
    return process


@pytest.mark.slow
@pytest.mark.parametrize("how", ["-c", "-m", "script"])
def test_a_program_sees_what_an_interpreter_of_its_own_would_show(how: str, tmp_path: Path) -> None:
    (tmp_path / "looking.py").write_text(LOOK)
    command = {"-c": ["-c", LOOK], "-m": ["-m", "looking"], "script": [tmp_path / "looking.py"]}[how]
    environment, told = {**os.environ, "ONLY_HERE": "ü", "TZ": "Asia/Tokyo"}, []
    for start in (forked, forked, lambda *command, **options: subprocess.Popen([PYTHON, *command], **options)):
        with Path(os.devnull).open() as nothing:
            process = start(
                *command, "a b", stdin=nothing, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment
            )  # fmt: skip
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (7, "waited for\nleft\n")
        told.append(json.loads(out))
    chance = [one.pop("random") for one in told]
    assert len({number for one in chance for number in one}) == 6
    assert told[0] == told[1] == told[2]


def test_output_is_where_it_was_asked_for(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = "import os, sys; print('out'); print('err', file=sys.stderr); os.system('echo of a shell')"
    with (tmp_path / "both").open("w") as both:
        assert forked("-c", code, stdout=both, stderr=subprocess.STDOUT).wait() == 0
    assert set((tmp_path / "both").read_text().splitlines()) == {"out", "err", "of a shell"}
    assert forked("-c", code).wait() == 0
    out, err = capfd.readouterr()
    assert (sorted(out.splitlines()), err) == (["of a shell", "out"], "err\n")
    long = zygote.run([PYTHON, "-c", "import sys; print('x' * 1_000_000); sys.exit('no')"], capture_output=True)
    assert (len(long.stdout), long.stderr, long.returncode) == (1_000_001, b"no\n", 1)


def test_an_error_is_an_exit_code_and_a_trace() -> None:
    done = zygote.run([PYTHON, "-c", "1 / 0"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")
    with pytest.raises(subprocess.CalledProcessError):
        zygote.run([PYTHON, "-c", "import os; os._exit(4)"], check=True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_signal_ends_it(number: signal.Signals) -> None:
    running = forked("-c", "import time; time.sleep(600)")
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(0.1)
    assert running.poll() is None
    running.send_signal(number)
    assert running.wait(20) == running.poll() == running.returncode == -number
    running.kill()  # no harm


def test_time_is_kept() -> None:
    began = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        zygote.run([PYTHON, "-c", "import time; time.sleep(600)"], capture_output=True, timeout=0.5)
    assert time.monotonic() - began < 20


def test_two_at_once_do_not_wait_for_one_another(tmp_path: Path) -> None:
    code = "import pathlib, sys, time\nmine, other = map(pathlib.Path, sys.argv[1:])\nmine.touch()\nwhile not other.exists():\n    time.sleep(0.01)"
    one, other = tmp_path / "one", tmp_path / "other"
    running = [forked("-c", code, str(one), str(other)), forked("-c", code, str(other), str(one))]
    assert [process.wait(60) for process in running] == [0, 0]


def test_a_session_of_its_own() -> None:
    code = "import os, subprocess, time; print(os.getsid(0), flush=True); subprocess.run(['sleep', '600'])"
    running = forked("-c", code, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert int(running.stdout.readline()) == running.pid
    os.killpg(running.pid, signal.SIGKILL)
    assert running.wait(20) == -9
    assert running.stdout.read() == ""  # the shell's command is gone, too
    running.stdout.close()


def with_a_zygote_of_its_own(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter where nothing else happens; its zygote imports nothing, which has no part in what is tested."""
    forks = folder / "forks.py"
    forks.write_text(
        f"import sys; sys.path.insert(0, {str(zygote.FORKS.parent)!r})\nimport zygote_forks\nzygote_forks.IMPORTED = ()\nzygote_forks.main()"
    )
    begin = f"import os, sys, pathlib; from tests import zygote\nzygote.FORKS = pathlib.Path({str(forks)!r})\n"
    path = os.pathsep.join([str(Path(zygote.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    return subprocess.run([PYTHON, "-c", begin + code], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path})


@pytest.mark.parametrize("how", ["leaves", "killed"])
def test_nothing_stays(how: str, tmp_path: Path) -> None:
    """The tests' process ends with children at work, well or by SIGKILL."""
    end = "" if how == "leaves" else "os.kill(os.getpid(), 9)"
    code = (
        "running = [zygote.start([sys.executable, '-c', 'import time; time.sleep(600)']) for _ in range(2)]\n"
        f"print(zygote._running.process.pid, *(process.pid for process in running), flush=True)\n{end}"
    )
    done = with_a_zygote_of_its_own(code, tmp_path)
    assert done.returncode == (0 if how == "leaves" else -9)
    pids, until = done.stdout.split(), time.monotonic() + 20
    assert len(pids) == 3
    while left := [pid for pid in pids if _alive(pid)]:
        assert time.monotonic() < until, left
        time.sleep(0.05)


def _alive(pid: str) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_descriptors_are_given_back(tmp_path: Path) -> None:
    """In an interpreter of its own: in the tests' own, other tests' servers and sessions open and close theirs meanwhile."""
    code = (
        "for number in range(6):\n"
        "    zygote.run([sys.executable, '-c', 'print(1)'], capture_output=True)\n"
        "    print(len(os.listdir('/proc/self/fd')))"
    )
    done = with_a_zygote_of_its_own(code, tmp_path)
    assert done.returncode == 0
    assert len(done.stdout.split()) == 6
    assert len(set(done.stdout.split())) == 1


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ([PYTHON, "-c", ""], {"env": {**os.environ, "PYTHONHASHSEED": "1"}}),
        ([PYTHON, "-c", ""], {"env": {**os.environ, "OMP_NUM_THREADS": "1"}}),
        ([PYTHON, "-c", ""], {"preexec_fn": lambda: None}),
        ([PYTHON, "-W", "ignore", "-c", ""], {}),
        (["true"], {}),
    ],
)
def test_what_an_interpreter_reads_at_its_start_has_one_of_its_own(command: list[str], options: dict) -> None:
    process = zygote.start(command, **options)
    assert isinstance(process, subprocess.Popen)
    assert process.wait(60) == 0
