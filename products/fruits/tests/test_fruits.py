"""Real photographs of three fruits, from files to predictions; then new ones, of which only the new are embedded."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")

from caudal.graph.check import check
from caudal.graph.load import load
from caudal.lake import delta
from caudal.lake.frames import arrow
from caudal.lake.home import Home
from caudal.run.run import run
from caudal.spec.settings import Settings

FRUITS = Path(__file__).parents[1]
KINDS = ("Banana", "Kiwi", "Lemon")


@pytest.fixture
def data(shared_data: Path, tmp_path: Path) -> Path:
    for kind in KINDS:
        (tmp_path / "data" / "grocery" / kind).mkdir(parents=True)
        for file in sorted((shared_data / "fruits" / "grocery" / kind).glob("*.jpg"))[:24]:
            shutil.copy(file, tmp_path / "data" / "grocery" / kind)
    return tmp_path / "data"


def test_the_declaration_holds() -> None:
    assert check(load(FRUITS)) == []


def step(document: dict, name: str) -> dict:
    return next(one for one in document["steps"] if one["step"] == name)


def test_from_photographs_to_predictions(spark, data: Path, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", data=data)
    banana = data / "grocery" / "Banana"
    (banana / "note.jpg").write_bytes(b"buy bananas")
    photograph = min(banana.glob("*_*.jpg")).read_bytes()
    (banana / "cut.jpg").write_bytes(photograph[: len(photograph) // 2])
    first = run(FRUITS, settings).document
    assert first["state"] == "succeeded"
    tables = first["tables"]
    assert [tables[name]["rows_quarantined"] for name in ("images", "embedding", "principal")] == [1, 1, 0]
    assert tables["principal"]["rows_written"] == 72
    assert first["models"]["kind"]["decision"] == "promoted", first["models"]["kind"]
    home = Home(tmp_path / "home")
    said = arrow(delta.read(home.table("fruits", "kind_predictions"))).to_pandas()
    truth = arrow(delta.read(home.table("fruits", "principal"))).to_pandas().set_index("sha256")["label"]
    assert (said.set_index("sha256")["prediction"] == truth).mean() > 0.9

    # One is new, and one has come again with other bytes.
    shutil.copy(banana / "cut.jpg", banana / "second-cut.jpg")
    (banana / "cut.jpg").write_bytes(photograph + b"\0")
    second = run(FRUITS, settings).document
    assert second["state"] == "succeeded"
    embedded = step(second, "table:embedding")
    assert embedded["rows_written"] + embedded["rows_quarantined"] <= 78
    rows = arrow(delta.read(home.table("fruits", "embedding"))).to_pandas()
    assert len(rows) == 73
    assert rows["path"].str.endswith("/cut.jpg").sum() == 1
    assert run(FRUITS, settings).document["tables"]["embedding"]["rows_written"] in (0, None)
