"""Sources of several kinds in one product: what breaks off is taken up, nothing is fetched or counted twice, no secret is kept."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from tests.servers.api import Api, running

import caudal.stages.ingest.web as web
from caudal.batch.batch import run
from caudal.declarations.settings import Settings
from caudal.errors import SourceProblem
from caudal.storage import delta
from caudal.tables.home import Home

pytest.importorskip("s3fs")

PRODUCT = """
import caudal as cd

product = cd.Product("p")
product.source("orders", cd.files("s3://{bucket}/in/*.csv.*"), schema=cd.schema(id="long", shop="string"))
product.source(
    "items",
    cd.http(
        "{api}",
        pages=cd.pages(cursor=("after", "meta.cursor")),
        records="items",
        params={{"key": cd.env("API_KEY")}},
        auth=cd.env("API_TOKEN"),
    ),
    schema=cd.schema(id=cd.column("long", nullable=False), amount="decimal(8,2)", updated_at="timestamp"),
)
product.source("prices", cd.files("prices.xlsx", sheet="2024"))
product.source("rides", cd.files("rides.txt", format=cd.fixed_width({{"id": 4, "fare": 6}})))

@product.table
def told(orders, items, prices, rides):
    return orders.select("id", "_file")
"""


@pytest.fixture
def api() -> Iterator[Api]:
    with running() as server:
        yield server


def test_many_kinds_in_one_product(spark: Any, s3: Any, api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "BACKOFF_S", 0.01)
    api.token = "swordfish"
    monkeypatch.setenv("API_TOKEN", "swordfish")
    monkeypatch.setenv("API_KEY", "hush-hush")
    folder, bucket = tmp_path / "p", s3.bucket()
    folder.mkdir()
    (folder / "product.py").write_text(PRODUCT.format(bucket=bucket, api=api.url("cursor")))
    s3.put(bucket, "in/a.csv.gz", gzip.compress(b"id,shop\n1,north\n2,south\n"))
    s3.put(bucket, "in/b.csv.xz", lzma.compress(b"id,shop\n3,north\nx,north\n"))
    book = openpyxl.Workbook()
    book.active.title = "2024"
    for row in (["item", "price"], ["pear", 1.5], ["fig", 2]):
        book.active.append(row)
    book.save(folder / "prices.xlsx")
    (folder / "rides.txt").write_text("   1  2.50\n   2  3.00\n   3\n")
    settings = Settings(home=tmp_path / "home")

    def rows(table: str, quarantine: bool = False) -> int:
        home = Home(settings.home)
        return delta.read_version(home.quarantine("p", table) if quarantine else home.table("p", table)).rows

    api.plan = ["", "", *["503"] * 5]  # the service goes away at the third page
    broken = run(folder, settings)
    assert isinstance(broken.error, SourceProblem)
    assert "/cursor' could not be fetched in 5 attempts" in str(broken.error)
    api.asked.clear()
    assert run(folder, settings).error is None
    assert [asked.rpartition("after=")[2] for asked in api.asked] == ["c20", "c30"]
    assert [rows(name) for name in ("orders", "items", "prices", "rides", "told")] == [3, 35, 2, 2, 3]
    assert (rows("orders", quarantine=True), rows("rides", quarantine=True)) == (1, 1)
    assert not list((tmp_path / "home" / "fetched").rglob("*.*"))

    idle = run(folder, settings)
    assert {step["state"] for step in idle.document["steps"]} == {"skipped"}

    s3.put(bucket, "in/b.csv.xz", lzma.compress(b"id,shop\n3,north\n4,north\n"))  # takes the old one's place
    api.records = api.records[:15]
    assert run(folder, settings).error is None
    assert [rows(name) for name in ("orders", "items", "told")] == [4, 15, 4]

    s3.put(bucket, "in/c.csv.xz", lzma.compress(b"id,shop\n" + b"5,x\n" * 9000)[:100])
    for _ in range(2):  # as long as it lies there
        refused = run(folder, settings)
        assert isinstance(refused.error, SourceProblem)
        assert "c.csv.xz' is a truncated or damaged xz file" in str(refused.error)
    s3.client().delete_object(Bucket=bucket, Key="in/c.csv.xz")
    assert run(folder, settings).error is None
    assert run(folder, settings).error is None
    assert rows("orders") == 4

    kept = b"".join(path.read_bytes() for path in settings.home.rglob("*") if path.is_file())
    assert b"hush-hush" not in kept
    assert b"swordfish" not in kept
    assert b"caudal-secret" not in kept
