"""What goes along to another machine: the product and its data, the installed code as a wheel, no secret."""

from __future__ import annotations

import bz2
import io
import json
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import caudal
from caudal.commands.compare import read_platform
from caudal.compare.attempt import WorkOrder
from caudal.compare.comparison import ComparisonRequest
from caudal.compare.notebooks.libraries import imported_distributions, installed_versions, needed_extras
from caudal.compare.notebooks.notebook import write_notebook
from caudal.compare.notebooks.order import read_order
from caudal.compare.notebooks.parcel import Parcel, pack_parcel
from caudal.compare.published import distinct_tables
from caudal.compare.wheel import installed_wheel
from caudal.declarations.settings import Settings
from caudal.errors import DeclarationProblem, NotThere
from caudal.graph.load import load

PRODUCT = """
import caudal as cd
import yaml
import shop_words
from pathlib import Path

product = cd.Product("shop")
product.source("orders", cd.files({pattern!r}, required=False), schema=cd.schema(id="long"))
product.source("prices", cd.http("https://127.0.0.1:1/prices.csv"), schema=cd.schema(id="long"))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "shop_words.py").write_text("WORD = 'shop'\n")
    monkeypatch.syspath_prepend(tmp_path / "modules")
    place = tmp_path / "shop"
    for name in ("tests", "__pycache__", ".caudal", "out", "words"):
        (place / name).mkdir(parents=True)
        (place / name / "file.txt").write_text(name)
    (tmp_path / "data" / "day").mkdir(parents=True)
    for name in ("day/a.csv", "day/b.csv", "other.txt"):
        (tmp_path / "data" / name).write_text("id\n1\n")
    return place


def packed(
    folder: Path,
    on: Sequence[str] = ("colab:sail",),
    pattern: str = "day/*.csv",
    more: str = "",
    spark: dict[str, str] | None = None,
    **options: Any,
) -> Parcel:
    (folder / "product.py").write_text(PRODUCT.format(pattern=pattern) + more)
    settings = Settings(home=folder / "out" / "home", memory="2g", trust=("shop.Cut",), spark=spark or {})
    request = ComparisonRequest(
        "shop", WorkOrder(folder, "run", {"data": str(folder.parent / "data")}), [read_platform(text) for text in on], (), folder / "out", settings, **options
    )  # fmt: skip
    return pack_parcel(request, load(folder), [read_platform(text) for text in on])


def opened(parcel: Parcel) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(bz2.decompress(parcel.content)))


def test_what_is_in_a_parcel(folder: Path) -> None:
    parcel = packed(folder)
    names = {name for name in opened(parcel).namelist() if not name.startswith("wheel/")}
    assert names == {
        "order.json", "caudal.toml", "constraints.txt", "data/day/a.csv", "data/day/b.csv", "modules/shop_words.py", "product/shop/product.py",
        "product/shop/words/file.txt",
    }  # fmt: skip
    assert parcel.libraries == ["PyYAML"]
    assert parcel.read_there == ["prices (http)"]
    assert parcel.data_bytes == 10


def test_the_order_knows_product_and_data_by_their_content(folder: Path, tmp_path: Path) -> None:
    first = packed(folder).order
    (folder.parent / "data" / "day" / "a.csv").touch()
    assert packed(folder).order.differs_from(first) is None
    (tmp_path / "order.json").write_text(first.text())
    assert read_order(tmp_path / "order.json") == first
    (folder.parent / "data" / "day" / "a.csv").write_text("id\n2\n")
    assert packed(folder).order.differs_from(first) == "are of other data than this comparison's"
    (folder.parent / "modules" / "shop_words.py").write_text("WORD = 'other'\n")
    assert "are of other code of product 'shop'" in str(packed(folder).order.differs_from(first))
    with pytest.raises(NotThere, match="cannot be read"):
        read_order(tmp_path / "none.json")


def test_no_secret_goes_along(folder: Path, tmp_path: Path) -> None:
    spark = {
        "spark.sql.shuffle.partitions": "4",
        "spark.hadoop.fs.s3a.secret.key": "k9Zx7Qw1Lm",
        "spark.x": "postgresql://anna:hunter22@db/shop",
    }
    parcel = packed(folder, spark=spark)
    settings = tomllib.loads(opened(parcel).read("caudal.toml").decode())
    assert settings == {"memory": "2g", "trust": ["shop.Cut"], "spark": {"spark.sql.shuffle.partitions": "4"}}
    assert parcel.left == ["spark.hadoop.fs.s3a.secret.key", "spark.x"]
    text = write_notebook(tmp_path, parcel, [read_platform("colab:sail")]).read_text()
    assert "Left at home, since they hold secrets: `spark.hadoop.fs.s3a.secret.key`, `spark.x`" in text
    archive = opened(parcel)
    assert not [name for name in archive.namelist() if b"k9Zx7Qw1Lm" in archive.read(name) or b"hunter22" in archive.read(name)]


@pytest.mark.parametrize("pattern", ["/elsewhere/*.csv", "../data/*.csv"])
def test_files_outside_of_the_data_cannot_go_along(folder: Path, pattern: str) -> None:
    with pytest.raises(
        DeclarationProblem,
        match=r"Source 'orders' reads .*, which is no path below the folder of the data, so Colab cannot read it",
    ):
        packed(folder, pattern=pattern)


def test_a_database_in_a_file_cannot_go_along(folder: Path) -> None:
    shown = 'product.source("rows", cd.database("sqlite:///rows.db", table="rows", key="id"), schema=cd.schema(id="long"))'
    with pytest.raises(DeclarationProblem, match="Source 'rows' reads a database in a file"):
        packed(folder, pattern="x.csv", more=shown)


def test_a_link_out_of_the_data_does_not_go_along(folder: Path) -> None:
    (folder.parent / "secret.csv").write_text("id\n9\n")
    (folder.parent / "data" / "day" / "link.csv").symlink_to(folder.parent / "secret.csv")
    assert "data/day/link.csv" not in opened(packed(folder)).namelist()


def test_data_beyond_the_bound_goes_beside(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caudal.compare.notebooks.parcel.MOST_WITHIN", 1000)
    parcel = packed(folder)
    assert not [name for name in opened(parcel).namelist() if name.startswith("data/")]
    notebook = json.loads(write_notebook(tmp_path, parcel, [read_platform("colab:sail")]).read_text())
    assert sorted(zipfile.ZipFile(tmp_path / "colab-data.zip").namelist()) == ["data/day/a.csv", "data/day/b.csv"]
    assert any("## Data: 10 B to upload" in cell["source"] for cell in notebook["cells"])


def test_spark_is_installed_where_spark_computes() -> None:
    assert "spark" in needed_extras(spark=True)
    assert "spark" not in needed_extras(spark=False)
    assert needed_extras(spark=False)[0] == "compare"


def test_libraries_are_those_of_an_index_in_their_versions() -> None:
    assert imported_distributions(["sklearn", "pyspark", "os", "caudal", "no_such"]) == ["scikit-learn"]
    lines = installed_versions()
    assert len(lines) > 50
    assert all(line.count("==") == 1 and not line.startswith("caudal==") for line in lines)


def test_the_wheel_holds_the_code_that_runs(tmp_path: Path) -> None:
    name, content = installed_wheel()
    (wheel := tmp_path / name).write_bytes(content)
    uv = Path(sys.executable).with_name("uv")
    command = [uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--target", tmp_path / "site", wheel]
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    root = Path(caudal.__file__).parent
    files = {
        path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }
    installed = tmp_path / "site" / "caudal"
    assert {path.relative_to(installed): path.read_bytes() for path in installed.rglob("*") if path.is_file()} == files
    assert installed_wheel()[1] == content


def test_tables_that_say_more_than_earlier_ones() -> None:
    homes = [Path(name) for name in "abc"]
    tables = [{"orders": "1", "moments": "x"}, {"orders": "1", "moments": "y"}, {"orders": "1", "moments": "y"}]
    assert distinct_tables(homes, tables) == {Path("a"): ["orders", "moments"], Path("b"): ["moments"]}
    assert [*distinct_tables(homes, tables[:1])] == [Path("a")]  # stopped before the others were counted
