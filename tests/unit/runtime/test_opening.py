"""How many files this process may open: raised as far as it may be, and too few are refused before anything is done."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("resource")

PROGRAM = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from caudal.errors import EnvironmentProblem
from caudal.runtime.opening import open_files
try:
    open_files()
except EnvironmentProblem as error:
    print("refused", error.what)
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [
        (200, 8192, ["(4096, 8192)"]),
        (200, 600, ["(600, 600)"]),
        (200, 256, ["(256, 256)"]),
        (5000, 8192, ["(5000, 8192)"]),
        (200, 255, ["refused This process may open 255 files, and needs 256.", "(255, 255)"]),
    ],
)
def test_files_that_may_be_open(soft: int, hard: int, expected: list[str]) -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM.format(soft=soft, hard=hard)], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == expected
