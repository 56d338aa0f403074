"""Fingerprints: the same for the same meaning, another for another, in every process."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from caudal.graph.fingerprint import code_of
from caudal.graph.load import load

BASE = '''
import caudal as cd
from caudal.declarations.expectation import Expectation
LIMIT = 5
def helper(x):
    return x + LIMIT
product = cd.Product("p")
product.source("s", cd.files("*.csv"))
@product.table
def t(s):
    """Say something."""
    return helper(s)
'''


def code(folder, text):
    (folder / "product.py").write_text(text)
    return code_of(load(folder).nodes["t"])


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("return helper(s)", "return helper(s)  # why", True),
        ('"""Say something."""', '"""Say something else."""', True),
        ("def helper(x):", "\n\n\ndef helper(x):", True),
        ("return helper(s)", "return helper(helper(s))", False),
        ("LIMIT = 5", "LIMIT = 6", False),
        ("return x + LIMIT", "return x - LIMIT", False),
        ("@product.table\n", '@product.table(event_time="at")\n', False),
    ],
)
def test_what_counts_and_what_does_not(tmp_path, old, new, same):
    assert (code(tmp_path, BASE) == code(tmp_path, BASE.replace(old, new))) is same


def test_a_neighbouring_module_counts(tmp_path):
    text = BASE.replace("LIMIT = 5", "import neighbour\nLIMIT = 5").replace("return helper(s)", "return neighbour.work(s)")
    (tmp_path / "neighbour.py").write_text("def work(x):\n    return x\n")
    before = in_a_process(tmp_path, text)
    (tmp_path / "neighbour.py").write_text("def work(x):\n    return x * 2\n")
    assert in_a_process(tmp_path, text) != before


def test_every_process_agrees(tmp_path):
    text = BASE.replace("return helper(s)", "return {'a', 'b', 'c'} and (lambda q: helper(q))(s)")
    assert len({in_a_process(tmp_path, text, seed) for seed in ("0", "1", "2")}) == 1


def in_a_process(folder, text, seed="0"):
    (folder / "product.py").write_text(text)
    run = textwrap.dedent(f"""
        from pathlib import Path
        from caudal.graph.load import load
        from caudal.graph.fingerprint import code_of
        print(code_of(load(Path({str(folder)!r})).nodes["t"]))
    """)
    return subprocess.run(
        [sys.executable, "-c", run],
        env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
