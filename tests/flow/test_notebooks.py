"""The notebooks of the example products, executed by a kernel from the first cell to the last; they are stored without outputs."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from caudal.commands.new import create_product

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "products").glob("*/*.ipynb"))
CELL_S = 540


def executed(file: Path, data: Path | None = None, **environment: str) -> Any:
    """Return a notebook with its outputs, executed in its own folder."""
    notebook = nbformat.read(file, as_version=4)
    commands = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {
        **os.environ,
        "PATH": commands,
        "CAUDAL_CORES": "2",
        "CAUDAL_CDS": "off",
        **({"CAUDAL_DATA": str(data)} if data else {}),
        **environment,
    }
    client = NotebookClient(notebook, timeout=CELL_S, kernel_name="python3", resources={"metadata": {"path": str(file.parent)}})
    client.execute(env=env)
    if (kept := os.environ.get("CAUDAL_NOTEBOOKS")) is not None:  # to look at them
        nbformat.write(notebook, Path(kept) / file.name)
    return notebook


def outputs(notebook: Any, source: str) -> str:
    """Return what the cell that ends with a text has shown, as HTML where it is, else as text."""
    (cell,) = (cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip().endswith(source))
    shown = [output.get("data", {}) for output in cell.outputs]
    return "\n".join(
        [
            *(data.get("text/html") or data.get("text/plain", "") for data in shown),
            *(output.get("text", "") for output in cell.outputs),
        ]
    )


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[str], Path]:
    """Copy a product's folder and return its notebook, so that its home lies beside it."""

    def notebook(name: str) -> Path:
        shutil.copytree(ROOT / "products" / name, tmp_path / name, ignore=shutil.ignore_patterns("tests", "__pycache__", ".caudal"))
        return tmp_path / name / f"{name}.ipynb"

    return notebook


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_it_is_stored_without_outputs(file: Path) -> None:
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.outputs and cell.execution_count is None for cell in notebook.cells if cell.cell_type == "code")


def test_each_example_has_one() -> None:
    assert {file.parent.name for file in NOTEBOOKS} == {file.parent.name for file in (ROOT / "products").glob("*/product.py")}


@pytest.mark.slow(minutes=3)
def test_the_sample_of_caudal_new(tmp_path: Path) -> None:
    folder = create_product("shop", tmp_path)
    notebook = executed(folder / "notebook.ipynb")
    assert "nothing wrong" in outputs(notebook, "shop.check()")
    assert "succeeded" in outputs(notebook, "shop.run()")
    assert "between(visitors" in outputs(notebook, "counts.quarantine().head()")
    assert "promoted" in outputs(notebook, "model.decisions()")
    assert "predicted" in outputs(notebook, "predict(newest))")


@pytest.mark.slow(minutes=6)
def test_taxi(copy: Callable[[str], Path], tmp_path: Path) -> None:
    file = copy("taxi")
    sys.path.insert(0, str(file.parent))
    try:
        from simulate import write
    finally:
        sys.path.remove(str(file.parent))
    write(tmp_path / "data", rows=8_000)
    notebook = executed(file, tmp_path / "data")
    assert "nothing wrong" in outputs(notebook, "taxi.check()")
    assert "succeeded" in outputs(notebook, "taxi.run()")
    assert "refers_to" in outputs(notebook, 'to_frame("trips")')
    assert "predicted_min" in outputs(notebook, 'predict(newest)["prediction"])')


@pytest.mark.slow(minutes=6)
def test_income(copy: Callable[[str], Path], tmp_path: Path, shared_data: Path) -> None:
    records = shared_data / "adult" / "adult.csv"
    if not records.is_file():
        pytest.skip(f"no {records}")
    with records.open() as source, (tmp_path / "adult.csv").open("w") as few:
        few.writelines(islice(source, 6_000))
    notebook = executed(copy("income"), tmp_path)
    assert "nothing wrong" in outputs(notebook, "income.check()")
    assert "succeeded" in outputs(notebook, "income.run()")
    assert "refused" in outputs(notebook, 'models["most_accurate"].decisions()[["decision", "reason"]]')


@pytest.mark.slow(minutes=6)
def test_fruits(copy: Callable[[str], Path], tmp_path: Path, shared_data: Path) -> None:
    pytest.importorskip("onnxruntime", reason="pip install 'caudal[images]'")
    photographs = shared_data / "fruits" / "grocery"
    if not photographs.is_dir():
        pytest.skip(f"no {photographs}")
    for kind in sorted(photographs.iterdir()):
        (tmp_path / "data" / "grocery" / kind.name).mkdir(parents=True)
        for photograph in sorted(kind.glob("*.jpg"))[:8]:
            shutil.copy2(photograph, tmp_path / "data" / "grocery" / kind.name)
    notebook = executed(copy("fruits"), tmp_path / "data")
    assert "succeeded" in outputs(notebook, "fruits.run()")
    assert "predicted" in outputs(notebook, 'predict(rows)["prediction"])')


@pytest.mark.slow(minutes=6)
def test_eeg(copy: Callable[[str], Path]) -> None:
    notebook = executed(copy("eeg"))
    assert "nothing wrong" in outputs(notebook, "eeg.check()")
    assert "succeeded" in outputs(notebook, "eeg.run()")
    assert "alpha_power" in outputs(notebook, "median()")
