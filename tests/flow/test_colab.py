"""``caudal compare --on colab``: the notebook that is written, executed by a kernel in a folder of its own, and its results taken in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from deltalake import DeltaTable, write_deltalake
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from tests.flow.commands import caudal
from tests.flow.test_compare import SHOP

CELL_S = 540
INDEX = """\
#!{python}
# In place of uv: what caudal requires is taken from the environment of the tests, since no index is asked here.
import pathlib, subprocess, sys
python = pathlib.Path(sys.argv[sys.argv.index("--python") + 1])
(wheel,) = (word for word in sys.argv if word.startswith("caudal["))
subprocess.run([{uv!r}, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", python, "caudal @ " + wheel.partition(" @ ")[2]], check=True)
(site,) = python.parents[1].glob("lib/python3*/site-packages")
(site / "of_the_tests.pth").write_text({site!r})
"""


@dataclass
class Awaited:
    """A comparison that awaits results, and the notebook that was executed."""

    folder: Path
    results: Path
    notebook: Any

    def copy(self, target: Path) -> Path:
        """Copy the folder of the comparison, and return its document's file."""
        shutil.copytree(self.folder, target)
        return target / "comparison.json"


def shop(folder: Path) -> Path:
    """Write the product and its data."""
    (folder / "shop").mkdir()
    (folder / "shop" / "product.py").write_text(SHOP)
    for part in range(2):
        rows = pd.DataFrame({"id": range(part * 500, part * 500 + 500)})
        rows["customer"], rows["eur"] = [f"c{number % 7}" for number in rows["id"]], [number * 1.1 for number in rows["id"]]
        rows["at"] = [f"2026-01-{1 + number % 28:02d}T08:00:00Z" for number in rows["id"]]
        rows.to_csv(folder / f"orders_{part}.csv", index=False)
    return folder / "shop"


def execute(file: Path, folder: Path) -> Any:
    """Execute a copy of a notebook in a folder that holds nothing else, with a home and an environment of its own."""
    commands = folder / "bin"
    commands.mkdir(parents=True)
    (site,) = {path for path in sys.path if path.endswith("site-packages")}
    uv = str(Path(sys.executable).with_name("uv"))
    (commands / "uv").write_text(INDEX.format(python=sys.executable, uv=uv, site=site))
    (commands / "uv").chmod(0o755)
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CAUDAL_") and name != "PYTHONPATH"}
    path = f"{commands}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment |= {"PATH": path, "HOME": str(folder / "home"), "CAUDAL_CDS": "off", "CAUDAL_JAVA": "bundled", "MPLBACKEND": "module://matplotlib_inline.backend_inline"}  # fmt: skip
    (folder / "home").mkdir()
    (folder / "content").mkdir()
    client = NotebookClient(
        notebook, timeout=CELL_S, kernel_name="python3", resources={"metadata": {"path": str(folder / "content")}}
    )
    try:
        client.execute(env=environment)
    finally:
        if (kept := os.environ.get("CAUDAL_NOTEBOOKS")) is not None:  # to look at them
            nbformat.write(notebook, Path(kept) / file.name)
    return notebook


def printed(notebook: Any) -> str:
    return "".join(output.get("text", "") for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs)


def away(folder: Path, on: str, *options: str) -> Awaited:
    """Compare, execute the notebook elsewhere, and return both."""
    product = shop(folder)
    told = caudal("compare", product, "--home", folder / "home", "--data", folder, "--on", on, *options)
    place = Path(told["folder"])
    notebook = execute(place / "colab.ipynb", folder / "elsewhere")
    (results,) = (folder / "elsewhere" / "content").glob("*-results.zip")
    return Awaited(place, results, notebook)


@pytest.fixture(scope="module")
def sail(tmp_path_factory: pytest.TempPathFactory) -> Awaited:
    (prices := tmp_path_factory.mktemp("prices") / "prices.json").write_text('{"colab:sail": 0.04}')
    return away(
        tmp_path_factory.mktemp("sail"),
        "sail,colab:sail",
        "--repeat",
        "1",
        "--warm-up",
        "1",
        "--no-report",
        "--prices",
        str(prices),
    )


def test_until_the_results_are_there_the_platform_is_awaited(sail: Awaited) -> None:
    before = json.loads((sail.folder / "comparison.json").read_text())
    here, there = before["platforms"]
    assert (here["state"], there["state"]) == ("measured", "awaited")
    assert there["why"].startswith("Run colab.ipynb")
    assert [each["key"] for each in before["conclusions"] if each["platform"] == "colab:sail"] == ["awaited"]
    assert before["complete"]


def test_a_run_on_sail_comes_home(sail: Awaited, tmp_path: Path) -> None:
    told = printed(sail.notebook)
    assert told.count("colab:sail: warm-up") == told.count("colab:sail: repetition") == 1
    assert f"This is not Colab, so nothing is downloaded. The results are in {sail.results}" in told
    file = sail.copy(tmp_path / "moved")  # where it lies plays no part
    taken = caudal("compare", file, "--colab", sail.results, "--language", "en,es")
    here, there = taken["platforms"]
    assert there["state"] == "measured"
    assert (there["kind"], there["title"]) == ("colab:sail", "Google Colab, Sail")
    assert there["machine"].keys() >= {"host", "cores", "memory", "Python"}
    assert here["machine"] == {}
    assert {table["table"]: (table["equal"], len(table["rows"])) for table in taken["tables"]} == dict.fromkeys(("customers", "orders", "orders_raw"), (True, 2))  # fmt: skip
    for repetition in there["repetitions"]:
        assert repetition["rows"] == 1000
        assert 0 < repetition["work_s"] < repetition["total_s"]
        assert repetition["cpu_s"] > 0
        assert repetition["peak_memory_bytes"] > 50 << 20
        assert repetition["tables"] == here["repetitions"][0]["tables"]
    assert there["cost_per_million_rows"] > 0
    assert here["cost_per_million_rows"] is None
    assert there["spreads"].keys() == here["spreads"].keys()
    assert [pair["claim"] for pair in taken["pairs"]] == ["too few repetitions"] * 2
    assert "awaited" not in str(taken["conclusions"])
    for language, machine in (("en", "Machine of colab:sail"), ("es", "Máquina de colab:sail")):
        assert machine in (file.parent / f"report.{language}.html").read_text()
    again = caudal("compare", file, "--colab", sail.results, "--no-report")
    assert again == taken == json.loads(file.read_text())


def test_stored_without_outputs_and_with_titles(sail: Awaited) -> None:
    notebook = nbformat.read(sail.folder / "colab.ipynb", as_version=4)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")
    parcel = [cell for cell in notebook.cells if cell.metadata.get("cellView") == "form"]
    assert len(parcel) > 1
    assert all(cell.source.startswith("#@title") and len(cell.source) < 450_000 for cell in parcel)
    assert f"caudal compare {sail.folder}/comparison.json --colab {sail.results.name}" in notebook.cells[-1].source


def rewritten(results: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """Write results anew with other contents; None leaves a file out."""
    with zipfile.ZipFile(results) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            if (content := change(name, source.read(name))) is not None:
                archive.writestr(name, content)
    return target


def changed(name: str, **values: object) -> Callable[[str, bytes], bytes]:
    """Return a change of fields of a JSON file in the results."""
    return lambda file, content: json.dumps({**json.loads(content), **values}).encode() if file == name else content


def refused(sail: Awaited, results: Path, tmp_path: Path, code: int = 3) -> str:
    """Return the sentence with which results are refused; the comparison stays as it was."""
    file = sail.copy(tmp_path / "comparison")
    before = {path: path.read_bytes() for path in file.parent.rglob("*") if path.is_file()}
    what = caudal("compare", file, "--colab", results, "--no-report", code=code)["what"]
    assert {path: path.read_bytes() for path in file.parent.rglob("*") if path.is_file()} == before
    assert not [path for path in file.parent.iterdir() if path.name.startswith(".")]
    return str(what)


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"product": "eeg"}, "are of product 'eeg', and this comparison is of 'shop'"),
        ({"code": "0" * 32}, "are of other code of product 'shop'"),
        ({"data": "0" * 32}, "are of other data than this comparison's"),
        ({"repeats": 5}, "are of another order of work: repeats is 5 there, and 1 in this comparison"),
        ({"seed": 7}, "seed is 7 there, and 0 in this comparison"),
        ({"platforms": ["colab"]}, "platforms is colab there, and colab:sail in this comparison"),
        ({"workload": "sing"}, "holds no results of a notebook: 'order.json' is no order of work"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
def test_results_of_another_comparison_are_refused(sail: Awaited, tmp_path: Path, values: dict[str, object], what: str) -> None:
    assert what in refused(sail, rewritten(sail.results, tmp_path / "other.zip", changed("order.json", **values)), tmp_path)


def test_damaged_results_are_refused(sail: Awaited, tmp_path: Path) -> None:
    whole = sail.results.read_bytes()
    (half := tmp_path / "half.zip").write_bytes(whole[: len(whole) // 2])
    assert "is damaged, or no zip file" in refused(sail, half, tmp_path / "a")
    place = whole.index(b"part-00000")  # the name of a file of a table; behind it lies its content
    (flipped := tmp_path / "flipped.zip").write_bytes(
        whole[: place + 200] + bytes(each ^ 255 for each in whole[place + 200 : place + 220]) + whole[place + 220 :]
    )
    assert "is damaged, or no zip file" in refused(sail, flipped, tmp_path / "b")
    (text := tmp_path / "text.zip").write_text("no zip")
    assert "is damaged, or no zip file" in refused(sail, text, tmp_path / "c")
    assert "There is no file" in refused(sail, tmp_path / "none.zip", tmp_path / "d", code=8)
    lacking = rewritten(
        sail.results, tmp_path / "lacking.zip", lambda name, content: None if name == "comparison.json" else content
    )
    assert "holds no results of a notebook" in refused(sail, lacking, tmp_path / "e")
    bare = rewritten(sail.results, tmp_path / "bare.zip", lambda name, content: None if "/customers/" in name else content)
    assert "lacks a table of repetition 1 on 'colab:sail'" in refused(sail, bare, tmp_path / "g")
    part = rewritten(sail.results, tmp_path / "part.zip", lambda name, content: None if "/orders/part" in name else content)
    assert "lacks a table of repetition 1 on 'colab:sail'" in refused(sail, part, tmp_path / "h")
    odd = rewritten(sail.results, tmp_path / "odd.zip", changed("comparison.json", platforms=[{"platform": "colab:sail"}]))
    assert "holds no results of a notebook" in refused(sail, odd, tmp_path / "f")


@pytest.mark.parametrize(
    "name", ["../escaped.txt", "/tmp/escaped.txt", "colab-sail/../../escaped.txt", "..\\escaped.txt", "C:/escaped.txt"]
)
def test_paths_that_leave_the_folder_are_refused(sail: Awaited, tmp_path: Path, name: str) -> None:
    evil = shutil.copy(sail.results, tmp_path / "evil.zip")
    with zipfile.ZipFile(evil, "a") as archive:
        archive.writestr(name, "out")
    assert "leads out of the folder" in refused(sail, evil, tmp_path)
    assert not list(tmp_path.rglob("escaped.txt"))


def test_links_are_refused(sail: Awaited, tmp_path: Path) -> None:
    evil = shutil.copy(sail.results, tmp_path / "evil.zip")
    link = zipfile.ZipInfo("colab-sail/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(evil, "a") as archive:
        archive.writestr(link, "/etc")
    assert "is no plain file" in refused(sail, evil, tmp_path)


def test_a_table_that_differs_is_named_by_its_column(sail: Awaited, tmp_path: Path) -> None:
    """What is compared are the rows that came home, whatever the document that came with them says."""

    inner = "colab-sail/001/home/lake/shop/customers"
    with zipfile.ZipFile(sail.results) as archive:
        archive.extractall(tmp_path / "there")
    rows = DeltaTable(tmp_path / "there" / inner).to_pandas()
    rows["eur"] *= [1.5, *[1.0] * (len(rows) - 1)]
    write_deltalake(tmp_path / "written", rows)
    other = rewritten(sail.results, tmp_path / "other.zip", lambda name, content: None if inner in name else content)
    with zipfile.ZipFile(other, "a") as archive:
        for written in (path for path in (tmp_path / "written").rglob("*") if path.is_file()):
            archive.write(written, f"{inner}/{written.relative_to(tmp_path / 'written').as_posix()}")
    taken = caudal("compare", sail.copy(tmp_path / "comparison"), "--colab", other, "--no-report", code=1)
    tables = {table["table"]: table for table in taken["tables"]}
    assert tables["orders"]["equal"]
    (difference,) = tables["customers"]["differences"]
    assert (difference["platform"], difference["beside"], difference["column"], difference["rows"]) == (
        "sail",
        "colab:sail",
        "eur",
        1,
    )
    assert 0.3 < difference["largest"] < 0.34


def test_work_that_failed_there_is_taken_in_as_failed(sail: Awaited, tmp_path: Path) -> None:
    with zipfile.ZipFile(sail.results) as archive:
        document = json.loads(archive.read("comparison.json"))
    (platform,) = document["platforms"]
    platform["state"], platform["why"], platform["spreads"] = "failed", "It did not end within 900 s.", {}
    platform["repetitions"] = [
        {**platform["repetitions"][0], "state": "stopped", "why": "It did not end within 900 s.", "tables": {}}
    ]
    failed = rewritten(sail.results, tmp_path / "failed.zip", changed("comparison.json", **document))
    file = sail.copy(tmp_path / "comparison")
    taken = caudal("compare", file, "--colab", failed, "--no-report", code=1)
    assert [(each["state"], each["why"]) for each in taken["platforms"]] == [("measured", None), ("failed", "It did not end within 900 s.")]  # fmt: skip
    whole = caudal("compare", file, "--colab", sail.results, "--no-report")  # the notebook was run again
    assert [each["state"] for each in whole["platforms"]] == ["measured", "measured"]


@pytest.mark.parametrize("log", ["/etc/passwd", "{folder}/../../etc/passwd"])
def test_an_event_log_that_did_not_come_along_is_none(sail: Awaited, tmp_path: Path, log: str) -> None:
    with zipfile.ZipFile(sail.results) as archive:
        document = json.loads(archive.read("comparison.json"))
    document["platforms"][0]["repetitions"][1]["event_log"] = log.format(folder=document["folder"])
    other = rewritten(sail.results, tmp_path / "other.zip", changed("comparison.json", **document))
    taken = caudal("compare", sail.copy(tmp_path / "comparison"), "--colab", other, "--no-report")
    assert [each["event_log"] for each in taken["platforms"][1]["repetitions"]] == [None, None]


def test_work_on_other_rows_is_not_the_same_work(sail: Awaited, tmp_path: Path) -> None:
    with zipfile.ZipFile(sail.results) as archive:
        document = json.loads(archive.read("comparison.json"))
    document["platforms"][0]["repetitions"][1]["rows"] = 999
    other = rewritten(sail.results, tmp_path / "other.zip", changed("comparison.json", **document))
    taken = caudal("compare", sail.copy(tmp_path / "comparison"), "--colab", other, "--no-report", code=1)
    assert taken["platforms"][1]["state"] == "failed"
    assert "It read 999 rows, and 'sail' had read 1,000" in taken["platforms"][1]["why"]


def test_work_that_is_stopped_there_keeps_what_was_measured(sail: Awaited, tmp_path: Path) -> None:
    (parcel,) = sail.results.parent.glob("caudal-*")
    shutil.copytree(parcel, tmp_path / "parcel", ignore=shutil.ignore_patterns("venv", "work"))
    command = [
        sys.executable,
        "-m",
        "caudal.compare.notebooks.ordered_work",
        str(tmp_path / "parcel"),
        str(tmp_path / "stopped.zip"),
    ]
    process = subprocess.Popen(command, cwd=tmp_path / "parcel", stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "warm-up" in line:
                process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
    taken = caudal("compare", sail.copy(tmp_path / "comparison"), "--colab", tmp_path / "stopped.zip", "--no-report", code=1)
    there = taken["platforms"][1]
    assert (there["state"], there["why"]) == ("failed", "No repetition was finished.")
    assert [each["warm_up"] for each in there["repetitions"]] == [True]


def test_what_awaits_nothing_takes_nothing_in(sail: Awaited, tmp_path: Path) -> None:
    file = sail.copy(tmp_path / "comparison")
    assert "takes results into a comparison" in caudal("compare", file.parent, "--colab", sail.results, code=2)["what"]
    (file.parent / "colab.json").unlink()
    assert "awaits no results" in caudal("compare", file, "--colab", sail.results, code=8)["what"]


def test_a_run_on_spark_brings_its_event_logs_home(tmp_path: Path) -> None:
    once = ("--repeat", "1", "--warm-up", "0", "--no-report", "--fault", "kill-driver")
    spark = away(tmp_path, "sail,colab", *once)
    shutil.rmtree(tmp_path / "elsewhere" / "content" / next((tmp_path / "elsewhere" / "content").glob("caudal-*")).name)
    command = [
        sys.executable,
        "-m",
        "caudal",
        "compare",
        spark.folder / "comparison.json",
        "--colab",
        spark.results,
        "--no-report",
        "--json",
    ]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=300)
    taken = json.loads(done.stdout)
    assert done.returncode == any(not table["equal"] for table in taken["tables"]), done.stderr
    _, there = taken["platforms"]
    assert (there["state"], there["kind"]) == ("measured", "colab")
    assert there["title"].startswith("Google Colab, Spark in one process, ")
    assert all(len(table["rows"]) == 2 for table in taken["tables"])
    differences = [
        (table["table"], each["column"], each["largest"] < 1e-14) for table in taken["tables"] for each in table["differences"]
    ]
    assert differences in ([], [("customers", "eur", True)])  # two cores add up in another order than one
    (repetition,) = there["repetitions"]
    log = Path(repetition["event_log"])
    assert log.is_file()
    assert log.is_relative_to(spark.folder / "colab")
    measured = caudal("measures", log)
    assert repetition["totals"]["tasks"] == sum(stage["tasks"] for stage in measured["stages"]) > 0
    assert len(there["stages"]) == len(measured["stages"])
    assert repetition["ui_check"]["differing"] == []
    assert repetition["ui_check"]["compared"] >= 20
    assert there["environment"]["Spark Properties"]["spark.master"].startswith("local[")
    assert there["versions"]["Spark"].startswith("4.")
    (refused_here, broken) = sorted(taken["faults"], key=lambda each: each["platform"] == "colab")
    assert refused_here["platform"] == "sail"
    assert (broken["platform"], broken["state"], broken["rows_lost"], broken["rows_doubled"]) == ("colab", "recovered", 0, 0)
    assert broken["event_logs"]
    assert all(Path(each).is_file() for each in broken["event_logs"])


def test_data_that_does_not_fit_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caudal.compare.notebooks.parcel.MOST_WITHIN", 1000)
    product = shop(tmp_path)
    told = caudal("compare", product, "--home", tmp_path / "home", "--data", tmp_path, "--on", "colab:sail", "--repeat", "1", "--warm-up", "0", "--no-report")  # fmt: skip
    place = Path(told["folder"])
    assert (place / "colab-data.zip").is_file()
    with pytest.raises(CellExecutionError, match=r"Put colab-data\.zip into .*content, and run this cell again"):
        execute(place / "colab.ipynb", tmp_path / "without")
    elsewhere = tmp_path / "elsewhere" / "content"
    notebook = nbformat.read(place / "colab.ipynb", as_version=4)
    assert "upload `colab-data.zip`" in notebook.cells[0].source
    upload = next(cell.source for cell in notebook.cells if cell.source.startswith("DATA = "))
    notebook.cells[0] = nbformat.v4.new_code_cell(f"import shutil; shutil.copy({str(place / 'colab-data.zip')!r}, '.')")
    nbformat.write(notebook, tmp_path / "with_data.ipynb")
    assert "The data is here." in printed(execute(tmp_path / "with_data.ipynb", tmp_path / "elsewhere"))
    assert "hashlib" in upload
    (results,) = elsewhere.glob("*-results.zip")
    taken = caudal("compare", place / "comparison.json", "--colab", results, "--no-report")
    assert taken["platforms"][0]["repetitions"][0]["rows"] == 1000
