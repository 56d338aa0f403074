"""Images from S3 to S3 in one Spark: killed with -9 while embedded rows are written, finished by the same command, then only what is new."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests import zygote
from tests.flow import image_rounds

import caudal as cd
from caudal.storage import delta
from caudal.storage.place import place
from caudal.storage.sweep import sweep
from caudal.tables.frames import arrow
from caudal.tables.home import Home

pytest.importorskip("onnxruntime")
pytest.importorskip("s3fs")
ROOT = Path(__file__).parents[2]
KINDS, EACH, MORE = ("Banana", "Kiwi", "Lemon"), 8, 2
KEY, SECRET = "AKIANOTTOBEKEPT", "a-secret-that-nobody-writes-down"


@pytest.mark.faults
@pytest.mark.slow
def test_from_s3_to_s3_and_killed_on_the_way(s3: Any, shared_data: Path, tmp_path: Path) -> None:
    bucket, lake = s3.bucket(), f"s3://{s3.bucket()}/lakes/one"
    address, more = f"s3://{bucket}/photographs/*/*.jpg", tmp_path / "more"
    for kind in KINDS:
        files = sorted((shared_data / "fruits" / "grocery" / kind).glob("*.jpg"))
        for file in files[:EACH]:
            s3.put(bucket, f"photographs/{kind}/{file.name}", file.read_bytes())
        (more / kind).mkdir(parents=True)
        for file in files[EACH : EACH + MORE]:
            shutil.copy(file, more / kind)
    product, home = image_rounds.made(tmp_path / "product", address), tmp_path / "home"
    environment = {**os.environ, **s3.environ, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "CAUDAL_LAKE": lake}
    _killed(s3, product, home, environment)
    there = Home(home, None, place(lake))
    assert delta.read_version(there.table("shelf", "images")).rows == len(KINDS) * EACH
    assert delta.version_of(there.table("shelf", "embedding")) is None
    assert delta.version_of(there.quarantine("shelf", "embedding")) is None

    command = [sys.executable, "-m", "tests.flow.image_rounds", str(tmp_path), lake, address, str(more)]
    done = zygote.run(command, capture_output=True, text=True, timeout=400, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    first, second, third = said["runs"]
    few, all_ = len(KINDS) * MORE, len(KINDS) * (EACH + MORE)
    assert (first["state"], first["decision"]) == ("succeeded", "promoted")
    assert first["written"]["embedding"] == all_ - few
    assert second["written"]["embedding"] == few  # the others are not embedded again: their files stay as they are
    assert second["written"]["principal"] == all_
    assert set(first["files"]) < set(second["files"])
    assert (third["state"], third["written"]["embedding"], third["files"]) == ("succeeded", 0, second["files"])
    assert said["asked"] == {"prediction": said["of"], "nearest": [said["of"], pytest.approx(0.0, abs=0.01)], "small": [160, 160]}

    rows = arrow(delta.read_version(there.table("shelf", "embedding"))).to_pandas().set_index("path")
    assert len(rows) == all_ == delta.read_version(there.table("shelf", "kind_predictions")).rows
    some = [
        file for kind in KINDS for file in sorted((shared_data / "fruits" / "grocery" / kind).glob("*.jpg"))[EACH - 1 : EACH + 1]
    ]
    _same_as_the_network_gives(rows, {f"s3://{bucket}/photographs/{file.parent.name}/{file.name}": file for file in some})
    assert any("__magic" in one for one in s3.requests())  # the committer that renames nothing
    for table in ("images", "embedding", "principal", "kind_predictions"):
        assert sweep(there.table("shelf", table)) == 0, f"{table} holds files that no version names"
    for file in (*place(lake).rglob("*"), *(one for one in tmp_path.rglob("*") if one.is_file())):
        content = file.read_bytes()
        assert SECRET.encode() not in content, file
        assert KEY.encode() not in content, file


def _killed(s3: Any, product: Path, home: Path, environment: dict[str, str]) -> None:
    """Run the product and kill it with -9 as soon as rows of the embedding are sent to S3."""
    command = [sys.executable, "-m", "caudal", "run", str(product), "--home", str(home), "--json"]
    out, before, until = product.parent / "killed.out", len(s3.requests()), time.monotonic() + 300
    with out.open("w") as told:
        process = zygote.start(
            command, stdout=told, stderr=told, env={**environment, "CAUDAL_MEMORY": "1g"}, start_new_session=True
        )
    try:
        while not any("/shelf/embedding/part-" in one and one.startswith(("POST", "PUT")) for one in s3.requests()[before:]):
            assert process.poll() is None, out.read_text()
            assert time.monotonic() < until, "no row of the embedding was ever written"
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _same_as_the_network_gives(rows: Any, files: dict[str, Path]) -> None:
    import numpy as np

    from caudal.stages.features.embed import embed_image

    network = cd.network("efficientnet-lite0")
    for address, file in files.items():
        assert np.allclose(rows.loc[address, "embedding"], embed_image(file.read_bytes(), network, 224), atol=1e-5), address
