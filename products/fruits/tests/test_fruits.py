"""Real photographs of three fruits, from files to predictions; then new ones, of which only the new are embedded."""

from __future__ import annotations

import base64
import io
import shutil
from pathlib import Path

import pytest

from caudal.batch.batch import run
from caudal.declarations.settings import Settings
from caudal.graph.check import check
from caudal.graph.load import load
from caudal.serve.app import create_app
from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home

pytest.importorskip("onnxruntime")
Image = pytest.importorskip("PIL.Image")

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


def ask(home: Home, photograph: bytes, shared: Path) -> None:
    """Ask the model with an image, as the page and programs do."""
    app = create_app(home.path, home.url)
    client = app.test_client()
    assert b'type="file"' in client.get("/fruits/kind/").data
    address = "/api/v1/fruits/kind/predict/image"
    by_file = client.post(address, data={"image": (io.BytesIO(photograph), "a.jpg")})
    assert by_file.status_code == 200, by_file.text
    assert by_file.json["prediction"] == "Banana"
    nearest = by_file.json["nearest"]
    assert (nearest[0]["label"], nearest[0]["distance"]) == ("Banana", pytest.approx(0, abs=0.05))  # it has learned from this one
    by_text = client.post(address, json={"image": base64.b64encode(photograph).decode()})
    assert by_text.json == by_file.json == client.post(address, data=photograph, content_type="image/jpeg").json
    small = client.get(nearest[0]["image"])
    assert Image.open(io.BytesIO(small.data)).size == (160, 160)
    page = client.post("/fruits/kind/image", data={"image": (io.BytesIO(photograph), "a.jpg")}).text
    assert page.count(".jpg") >= 6
    assert "data:image/jpeg;base64," in page
    refused = client.post(address, data=b"no image", content_type="image/jpeg")
    assert refused.status_code == 422
    assert "is no image" in refused.json["errors"][0]["problem"]
    assert client.post(address, json={"image": "%"}).status_code == 400
    assert client.get("/fruits/kind/images/abc.jpg").status_code == 404
    assert "/api/v1/fruits/kind/predict/image" in client.get("/openapi.json").json["paths"]
    assert "from an image" in client.get("/docs").text


@pytest.mark.slow(minutes=2)
def test_from_photographs_to_predictions(spark, data: Path, shared_data: Path, tmp_path: Path) -> None:
    settings, product = Settings(home=tmp_path / "home", data=data), tmp_path / "fruits"
    shutil.copytree(FRUITS, product, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    declared = (product / "product.py").read_text()
    banana = data / "grocery" / "Banana"
    (banana / "note.jpg").write_bytes(b"buy bananas")
    photograph = min(banana.glob("*_*.jpg")).read_bytes()
    (banana / "cut.jpg").write_bytes(photograph[: len(photograph) // 2])
    first = run(product, settings).document
    assert first["state"] == "succeeded"
    tables = first["tables"]
    assert [tables[name]["rows_quarantined"] for name in ("images", "embedding", "principal")] == [1, 1, 0]
    assert tables["principal"]["rows_written"] == 72
    assert first["models"]["kind"]["decision"] == "promoted", first["models"]["kind"]
    home = Home(tmp_path / "home")
    said = arrow(delta.read_version(home.table("fruits", "kind_predictions"))).to_pandas()
    truth = arrow(delta.read_version(home.table("fruits", "principal"))).to_pandas().set_index("sha256")["label"]
    assert (said["prediction"].to_numpy() == truth.loc[said["sha256"]].to_numpy()).mean() > 0.9

    # One has come again with other bytes, and more than a tenth are new, so components are fitted anew; the version that learns from them is refused.
    for kind in KINDS:
        for file in sorted((shared_data / "fruits" / "grocery" / kind).glob("*.jpg"))[24:27]:
            shutil.copy(file, data / "grocery" / kind)
    (banana / "cut.jpg").write_bytes(photograph + b"\0")
    (product / "product.py").write_text(declared.replace('cd.limit("accuracy", 0.6)', 'cd.limit("accuracy", 1.1)'))
    second = run(product, settings).document
    assert second["models"]["kind"]["decision"] == "refused"
    # The old pack is made again, for a row of it counts no more.
    assert second["tables"]["embedding"]["rows_written"] <= 82
    rows = arrow(delta.read_version(home.table("fruits", "embedding"))).to_pandas()
    assert len(rows) == 82
    assert rows["path"].str.endswith("/cut.jpg").sum() == 1
    # Predictions go on by what the champion itself was fitted with.
    predicted = arrow(delta.read_version(home.table("fruits", "kind_predictions"))).to_pandas()
    assert (len(predicted), set(predicted["model_version"])) == (82, {1})
    ask(home, photograph, shared=data)  # by the components that version 1 has learned from

    # A version that has learned from the new components takes over.
    (product / "product.py").write_text(declared.replace(", cd.beats_champion(tolerance=0.02)", ""))
    third = run(product, settings).document
    assert third["tables"]["embedding"]["rows_written"] in (0, None)
    assert (third["state"], third["models"]["kind"]["decision"]) == ("succeeded", "promoted")
    predicted = arrow(delta.read_version(home.table("fruits", "kind_predictions"))).to_pandas()
    assert (len(predicted), set(predicted["model_version"])) == (82, {3})  # version 2 is the refused one
