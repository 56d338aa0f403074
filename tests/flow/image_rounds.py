"""A small product of images, run again and again where its lake lies: ``python -m tests.flow.image_rounds FOLDER LAKE ADDRESS MORE``.

It runs, runs again with the images of the folder ``MORE`` put beside the first ones, runs with nothing new, is asked with an image as
a server would be, and prints what came of it, as JSON.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

PRODUCT = """
import caudal as cd
from caudal import expect as ex
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

product = cd.Product("shelf")
product.source("images", cd.images("ADDRESS"))


@product.table(partition="file", expect=[ex.not_null("label").stop()])
def embedding(images):
    return cd.embed(images, network=cd.network("efficientnet-lite0"))


@product.features(entity="sha256", as_of="modified_at", labels=["label"],
                  keep=["path", "bytes", "width", "height", "format", "network"])
def principal(embedding):
    return cd.pca(embedding, "embedding", components=8)


kind = product.model("kind", features=principal, label="label", task="classification", metric="accuracy",
                     candidates={"logistic": make_pipeline(LogisticRegression(max_iter=1000))}, split=cd.hashed(test=0.3, folds=2),
                     gates=[cd.beats_baseline(margin=0.2)])
product.predict(kind)
product.serve(kind)
"""


def made(folder: Path, address: str) -> Path:
    """Return the folder of the product."""
    folder.mkdir()
    (folder / "product.py").write_text(PRODUCT.replace("ADDRESS", address))
    return folder


def asked(home: Any, photograph: bytes) -> dict[str, Any]:
    """Return what the served champion answers to a photograph, and how large the nearest training image is shown."""
    from PIL import Image

    from caudal.serve.app import create_app

    client = create_app(home.path, home.url, lake=home.elsewhere).test_client()
    answer = client.post("/api/v1/shelf/kind/predict/image", data=photograph, content_type="image/jpeg")
    assert answer.status_code == 200, answer.text
    nearest = answer.json["nearest"][0]
    small = client.get(nearest["image"])
    return {
        "prediction": answer.json["prediction"], "nearest": [nearest["label"], nearest["distance"]],
        "small": Image.open(io.BytesIO(small.data)).size,
    }  # fmt: skip


def rounds(folder: Path, lake: str, address: str, more: Path) -> dict[str, Any]:
    """Run, run with more images, run with nothing new, ask."""
    import pyarrow.fs as pf

    from caudal.batch.batch import run
    from caudal.declarations.settings import settings
    from caudal.runtime.opening import open_home
    from caudal.storage import delta
    from caudal.storage.remote import filesystem

    set_to = settings(environment={}, home=folder / "home", lake=lake, cores=2, memory="1g")
    home, said = open_home(set_to), list[dict[str, Any]]()
    for number in range(3):
        done = run(folder / "product", set_to)
        if done.error is not None:
            raise done.error
        document = done.document
        version = delta.read_version(home.table("shelf", "embedding"))
        said.append(
            {
                "state": document["state"], "written": {name: one["rows_written"] for name, one in document["tables"].items()},
                "files": sorted(file.path for file in version.files), "decision": document["models"]["kind"]["decision"],
            }
        )  # fmt: skip
        if number == 0:
            pf.copy_files(
                str(more), address.partition("*")[0].removeprefix("s3://").rstrip("/"), destination_filesystem=filesystem("s3://")
            )
    first = min(more.glob("*/*.jpg"))
    return {"runs": said, "asked": asked(home, first.read_bytes()), "of": first.parent.name}


if __name__ == "__main__":
    print(json.dumps(rounds(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))))
