"""What goes to a service: a parcel that holds the work and nothing else, and a wheel that installs; and its table of settings."""

from __future__ import annotations

import json
import os
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

import caudal
from caudal.compare.attempt import WorkOrder
from caudal.compare.sent_files import open_settings
from caudal.compare.services.parcel import unpack_parcel, write_parcel
from caudal.compare.services.table import platform_table
from caudal.compare.services.wheel import ENTRY_POINT, write_wheel
from caudal.compare.services.worker import do_parcel
from caudal.declarations.settings import Settings
from caudal.errors import DeclarationProblem
from caudal.secret import redact

SHOP = """
import caudal as cd

product = cd.Product("shop")
product.source("orders", {connection})
"""


def product(folder: Path, connection: str) -> Path:
    folder.mkdir()
    (folder / "product.py").write_text(SHOP.format(connection=connection))
    return folder


def names(parcel: Path) -> list[str]:
    with zipfile.ZipFile(parcel) as archive:
        return sorted(archive.namelist())


def test_a_parcel_holds_the_product_and_the_files_of_its_sources(tmp_path: Path) -> None:
    shop, data = product(tmp_path / "shop", "cd.files('2026/*.csv')"), tmp_path / "data"
    (shop / "tables").mkdir()
    (shop / "tables" / "more.py").write_text("x = 1\n")
    for hidden in (".caudal", "__pycache__"):
        (shop / hidden).mkdir()
        (shop / hidden / "large.bin").write_text("not sent")
    (data / "2026").mkdir(parents=True)
    (data / "2026" / "a.csv").write_text("n\n1\n")
    (data / "2026" / "a.txt").write_text("of no source")
    order = WorkOrder(shop, "run", {"data": str(data)})
    write_parcel(tmp_path / "parcel.zip", order, {"engine": "spark"})
    assert names(tmp_path / "parcel.zip") == [
        "data/2026/a.csv", "order.json", "product/shop/product.py", "product/shop/tables/more.py"
    ]  # fmt: skip
    unpacked = unpack_parcel(tmp_path / "parcel.zip", tmp_path / "there")
    assert unpacked["changes"] == {"engine": "spark"}
    assert (Path(unpacked["product"]) / "product.py").is_file()
    assert (Path(unpacked["flags"]["data"]) / "2026" / "a.csv").read_text() == "n\n1\n"


def test_data_in_the_products_folder_goes_once(tmp_path: Path) -> None:
    shop = product(tmp_path / "shop", "cd.files('raw/*.csv')")
    (shop / "raw").mkdir()
    (shop / "raw" / "a.csv").write_text("n\n1\n")
    write_parcel(tmp_path / "parcel.zip", WorkOrder(shop, "run", {"data": str(shop)}), {})
    assert names(tmp_path / "parcel.zip") == ["order.json", "product/shop/product.py", "product/shop/raw/a.csv"]
    unpacked = unpack_parcel(tmp_path / "parcel.zip", tmp_path / "there")
    assert unpacked["flags"]["data"] == unpacked["product"]


@pytest.mark.parametrize(
    ("connection", "what"),
    [
        ("cd.files('/data/*.csv')", "'/data/\\*.csv', which is no path below the folder of the data, so a service"),
        ("cd.files('../data/*.csv')", "which is no path below the folder of the data"),
        ("cd.database('sqlite:///shop.db', table='orders')", "a database in a file"),
    ],
)
def test_what_cannot_be_sent_is_refused(tmp_path: Path, connection: str, what: str) -> None:
    shop = product(tmp_path / "shop", connection)
    with pytest.raises(DeclarationProblem, match=what):
        write_parcel(tmp_path / "parcel.zip", WorkOrder(shop, "run", {"data": str(tmp_path)}), {})


def test_a_source_at_an_address_sends_nothing(tmp_path: Path) -> None:
    shop = product(tmp_path / "shop", "cd.files('s3://bucket/*.csv')")
    write_parcel(tmp_path / "parcel.zip", WorkOrder(shop, "run", {"data": str(tmp_path)}), {})
    assert names(tmp_path / "parcel.zip") == ["order.json", "product/shop/product.py"]


def test_work_for_another_caudal_is_not_done(tmp_path: Path) -> None:
    shop = product(tmp_path / "shop", "cd.files('*.csv')")
    write_parcel(
        tmp_path / "parcel.zip", WorkOrder(shop, "run", {"data": str(tmp_path)}), {"engine": "sail", "master": None, "cores": None}
    )
    with zipfile.ZipFile(tmp_path / "parcel.zip") as archive, zipfile.ZipFile(tmp_path / "other.zip", "w") as other:
        for name in archive.namelist():
            text = archive.read(name).decode()
            other.writestr(name, text.replace(f'"caudal": "{caudal.__version__}"', '"caudal": "0.0.7"'))
    (tmp_path / "there").mkdir()
    why = do_parcel(tmp_path / "other.zip", tmp_path / "home.zip", tmp_path / "there", 0.0, None)
    assert why == f"The service has caudal {caudal.__version__}, and the work is one of caudal 0.0.7. Install caudal 0.0.7 there."
    with zipfile.ZipFile(tmp_path / "home.zip") as archive:
        assert json.loads(archive.read("work/result.json")) == {"state": "failed", "why": why}


def test_the_wheel_is_of_what_runs_here(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, ("pyspark-client", "pysail"))
    assert wheel.name.startswith("caudal-")
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        (record,) = (name for name in archive.namelist() if name.endswith("/RECORD"))
        assert {line.split(",")[0] for line in archive.read(record).decode().splitlines()} == set(archive.namelist())
        assert "caudal/compare/services/worker.py" in archive.namelist()
        metadata = message_from_bytes(archive.read(record.replace("RECORD", "METADATA")))
        assert f"{ENTRY_POINT} = " in archive.read(record.replace("RECORD", "entry_points.txt")).decode()
    required = [line.split(";")[0] for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert any(line.startswith("pyarrow") for line in required)
    assert not any(line.startswith(("pyspark", "pysail")) for line in required)


def test_a_table_is_whole_and_of_known_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds, required = {"host": str, "token": str, "cluster": dict}, {"host": '"https://…"', "token": '"…"'}
    monkeypatch.setenv("PLAYED_TOKEN", "dapi-of-the-variable")
    given = Settings(platforms={"prod": {"host": "http://127.0.0.1:1"}, "odd": {"host": 3}})
    table = platform_table(given, "prod", kinds, required, {"token": "PLAYED_TOKEN"})
    assert table == {"host": "http://127.0.0.1:1", "token": "dapi-of-the-variable"}
    monkeypatch.delenv("PLAYED_TOKEN")
    for name, what in {
        "prod": "has no 'token'",
        "odd": "'host' of the table .platforms.odd. is not a text",
        "prd": "no table .platforms.prd.",
    }.items():
        with pytest.raises(DeclarationProblem, match=what):
            platform_table(given, name, kinds, required, {"token": "PLAYED_TOKEN"})
    assert "PLAYED_TOKEN" not in os.environ


def test_a_token_is_hidden_wherever_it_is_shown() -> None:
    given = Settings(
        platforms={"prod": {"host": "http://127.0.0.1:1", "token": "dapi-secret"}}, spark={"spark.app.key": "another-one"}
    )
    assert "dapi-secret" not in repr(given)
    assert redact("sent dapi-secret") == "sent ***"
    assert open_settings(given.spark) == {}


def test_tables_of_platforms_are_tables() -> None:
    with pytest.raises(DeclarationProblem, match="holds no tables"):
        Settings(platforms={"host": "x"})  # type: ignore[dict-item]
