"""The script of ``caudal inspect --script``: any Python from 3.8 on, nothing installed."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from tests.documents import check_document
from tests.unit.inspection.test_cloud import NOBODY

from caudal.commands.inspect import inspection_script
from caudal.kinds import PROBES


def pythons() -> list[str]:
    """Return the Pythons of this machine by version, each of the least minor versions that there are."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(":")] + sorted(Path.home().glob(".pyenv/versions/*/bin"))
    found = {}
    for minor in range(8, 15):
        for folder in folders:
            place = shutil.which(f"python3.{minor}", path=str(folder))
            if place and "shims" not in place and f"3.{minor}" not in found:
                found[f"3.{minor}"] = place
    return sorted(found.values(), key=len) or [sys.executable]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("script") / "caudal_inspect.py"
    file.write_text(inspection_script(), encoding="utf-8")
    return file


@pytest.mark.parametrize("python", pythons(), ids=lambda path: Path(path).name)
def test_it_runs_on_a_bare_python(script: Path, python: str, tmp_path: Path) -> None:
    command = [python, "-I", "-S", "-W", "error", str(script), "--metadata", NOBODY, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    document = json.loads(done.stdout)
    check_document("inspect", document)
    assert [section["name"] for section in document["sections"]] == list(PROBES)
    assert not [fact for section in document["sections"] for fact in section["facts"] if fact["name"] == "failure"]


def test_its_source_can_be_read_by_python_3_8(script: Path) -> None:
    tree = ast.parse(script.read_text(encoding="utf-8"), feature_version=(3, 8))
    sources = [node.value.value for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)]
    assert len(sources) > len(PROBES)
    for source in sources:
        if "from __future__" in source:
            ast.parse(source, feature_version=(3, 8))


def test_it_may_be_called_inspect(script: Path, tmp_path: Path) -> None:
    """As in ``caudal inspect --script > inspect.py``: Python's own modules import one of that name."""
    (file := tmp_path / "inspect.py").write_text(script.read_text())
    done = subprocess.run([sys.executable, file.name, "--only", "host"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Inspection of ")


def test_it_says_how_it_is_used(script: Path) -> None:
    done = subprocess.run([sys.executable, "-I", str(script), "--help"], capture_output=True, text=True, check=True)
    assert "--session" in done.stdout
    refused = subprocess.run([sys.executable, "-I", str(script), "--only", "cloudy"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2


def test_without_pyspark_a_session_is_said_to_be_missing(script: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", str(script), "--session", "--only", "session", "--json"]
    (fact,) = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["sections"][0]["facts"]
    assert fact["why_not"] == "this Python cannot import pyspark"


def test_in_a_cell_of_a_notebook_it_shows_tables(script: Path, tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(script.read_text()), nbformat.v4.new_code_cell(f"%run {script}")]
    )
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute(
        env={**os.environ, "AWS_EC2_METADATA_DISABLED": "true"}
    )
    for cell in notebook.cells:
        (output,) = cell.outputs
        assert "<strong>Inspection of" in output.data["text/html"]
        assert '<section id="metastore">' in output.data["text/html"]
