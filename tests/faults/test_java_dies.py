"""Spark's Java process dies while a source is read: that source is named and has failed, the others go on, and the file may be taken away."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import os, signal, sys, time
from pathlib import Path
import caudal.stages.ingest.read as reading
from caudal.storage import delta
from caudal.tables.home import Home
from caudal.batch.batch import run
from caudal.declarations.settings import Settings

folder = Path(sys.argv[1])
(folder / "in").mkdir(parents=True)
(folder / "product.py").write_text('''
import caudal as cd
product = cd.Product("p")
product.source("a_raw", cd.files("in/*.csv"))
product.source("z_other", cd.files("other.csv"))
''')
for name in ("in/good.csv", "in/deadly.csv", "other.csv"):
    (folder / name).write_text(f"a,name\\n1,{name}\\n")
    os.utime(folder / name, (time.time() - 60,) * 2)
reader = reading.read_files

def read(spark, files, *args, **more):
    if any(file.name.endswith("deadly.csv") for file in files):
        from pyspark import SparkContext

        os.kill(SparkContext._gateway.proc.pid, signal.SIGKILL)
        spark.range(1).count()
    return reader(spark, files, *args, **more)

reading.read_files = read
first = run(folder, Settings(home=folder / "home", engine="spark"))
assert first.exit_code == 3, first.error
assert "deadly.csv" in first.error.sentence() and "Java process ended" in first.error.sentence(), first.error
assert {step["step"]: step["state"] for step in first.document["steps"]}["read:z_other"] == "succeeded", first.document["steps"]
(folder / "in" / "deadly.csv").unlink()
second = run(folder, Settings(home=folder / "home", engine="spark"))
assert second.error is None, second.error
assert delta.read_version(Home(folder / "home").table("p", "a_raw")).rows == 1
"""


@pytest.mark.slow
def test_a_dead_java_is_started_anew_once_and_other_sources_go_on(tmp_path):
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path / "p")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
