"""New photographs are predicted without training, by the champion's own components, in batches and when they are sent; their folder may move."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.flow.commands import caudal, run_here
from tests.flow.image_rounds import made

from caudal.errors import DeclarationProblem
from caudal.ledger.records import model_versions
from caudal.registry import start_trial
from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home

pytest.importorskip("onnxruntime")
KINDS = ("Banana", "Lemon", "Pear")


def put(photographs: Path, data: Path, first: int, count: int) -> None:
    for kind in KINDS:
        (data / "in" / kind).mkdir(parents=True, exist_ok=True)
        for file in sorted((photographs / kind).glob("*.jpg"))[first : first + count]:
            shutil.copy2(file, data / "in" / kind / file.name)


def predictions(home: Path) -> pd.DataFrame:
    rows = arrow(delta.read_version(Home(home).table("shelf", "kind_predictions"))).to_pandas()
    return rows.drop(columns="input_version").sort_values("sha256", ignore_index=True)


@pytest.mark.slow
def test_a_batch_and_a_server_see_new_photographs_as_the_champion_does(tmp_path: Path, shared_data: Path, spark: Any) -> None:
    photographs = shared_data / "fruits" / "grocery"
    product, data, home = made(tmp_path / "p", "in/*/*.jpg"), tmp_path / "data", tmp_path / "home"
    put(photographs, data, 0, 8)
    caudal("run", product, "--home", home, "--data", data)
    assert len(predictions(home)) == 24

    data = data.rename(tmp_path / "elsewhere")
    put(photographs, data, 8, 4)  # half as many again
    document = run_here(product, home, data, "predict")
    assert {step["step"]: step["state"] for step in document["steps"]}["predict:kind_predictions"] == "succeeded"
    before = predictions(home)
    assert (len(before), before.model_version.unique().tolist()) == (36, [1])
    images = arrow(delta.read_version(Home(home).table("shelf", "images")), ["path", "sha256"]).to_pandas()
    assert len(images) == images.sha256.nunique() == 36
    assert images.path.str.startswith("in/").all()

    file = product / "product.py"
    file.write_text(file.read_text().replace("margin=0.2", "margin=50"))
    refused = run_here(product, home, data)
    assert refused["tables"]["principal"]["rows_written"] == 36
    pca = Home(home).table("shelf", "principal")
    assert len({delta.identity(pca, number)["kept"]["pca:embedding"] for number in range(delta.read_version(pca).number + 1)}) == 2
    after = predictions(home)
    pd.testing.assert_frame_equal(after, before, rtol=1e-6)  # by version 1 and its own components, though newer ones are published

    from caudal.serve.app import create_app

    place = Home(home)
    client = create_app(place.path, place.url, lake=place.elsewhere).test_client()
    for path, sha256 in images.iloc[::9].itertuples(index=False):
        answer = client.post("/api/v1/shelf/kind/predict/image", data=(data / path).read_bytes(), content_type="image/jpeg")
        assert answer.status_code == 200, answer.text
        row = after[after.sha256 == sha256].iloc[0]
        assert answer.json["prediction"] == row.prediction
        for kind, share in answer.json["probabilities"].items():
            assert share == pytest.approx(row[f"probability_{kind}"], abs=1e-4)

    ledger = place.ledger()
    with pytest.raises(DeclarationProblem, match="what its features had fitted is not the same"):
        start_trial(place, ledger, "shelf", "kind", 2, share=0.5, who="ada")
    (champion,) = ledger.find(model_versions, product="shelf", model="kind", version=1)
    ledger.add(model_versions, {**champion, "version": 3})
    start_trial(place, ledger, "shelf", "kind", 3, share=0.5, who="ada")
    ledger.close()
    app = create_app(place.path, place.url, lake=place.elsewhere, refresh_s=0.0)
    client, answered = app.test_client(), {}
    for path, sha256 in images.itertuples(index=False):
        content = (data / path).read_bytes()
        answer = client.post("/api/v1/shelf/kind/predict/image", data=content, content_type="image/jpeg").json
        answered[sha256] = answer["version"]
        page = client.post("/shelf/kind/image", data={"image": (io.BytesIO(content), "one.jpg")}).text
        assert f"by version {answer['version']} " in page
    assert set(answered.values()) == {1, 3}
