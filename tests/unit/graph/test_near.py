"""What a mistyped product folder was meant to be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from caudal.graph import near
from caudal.graph.near import product_near


def products(root: Path, *folders: str) -> None:
    for folder in folders:
        (root / folder).mkdir(parents=True)
        (root / folder / "product.py").touch()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory, not the root of what is looked through."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def found(typed: str | Path) -> str | None:
    close = product_near(Path(typed), "product.py")
    return None if close is None else str(close)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("product/taxi", "products/taxi"),
        ("product/eeg", "products/eeg"),
        ("products/taxii", "products/taxi"),
        ("products/TAXI", "products/taxi"),
        ("taxi", "products/taxi"),
        ("./product/taxi/", "products/taxi"),
        ("product/../taxi", "products/taxi"),
        ("prodcts-taxi", "products/taxi"),
        ("elsewhere/at/all/taxi", "products/taxi"),
        ("../work/product/taxi", "products/taxi"),
        ("products/taxi/prodct.py", "products/taxi/product.py"),
        ("product/taxi/product.py", "products/taxi"),
        ("products/weather", None),
        ("product", None),
        ("products", None),
        (".", None),
        ("/", None),
        ("/taxi", "products/taxi"),
    ],
)
def test_what_was_meant(here, typed, meant):
    products(here, "products/taxi", "products/eeg")
    wanted = str(here / meant) if typed.startswith("/") and meant else meant
    assert found(typed) == wanted


def test_a_path_from_the_root_is_answered_with_one(here, tmp_path):
    products(tmp_path, "other/products/taxi")
    assert found(tmp_path / "other" / "product" / "taxi") == str(tmp_path / "other/products/taxi")


def test_a_path_beside_the_working_directory(here, tmp_path):
    products(tmp_path, "other/taxi")
    assert found("../other/taxii") == "../other/taxi"
    assert found("taxi") is None


def test_the_working_directory_itself(here, monkeypatch):
    products(here, "products/taxi")
    monkeypatch.chdir(here / "products" / "taxi")
    assert found("products/taxi") == "."


def test_of_two_with_one_name_the_path_decides(here):
    products(here, "old/taxi", "products/taxi")
    assert found("product/taxi") == "products/taxi"
    assert found("olds/taxi") == "old/taxi"


def test_an_existing_folder_without_a_product(here):
    products(here, "products/taxi")
    (here / "taxi").mkdir()
    assert found("taxi") == "products/taxi"
    assert found("products") == "products/taxi"


@pytest.mark.parametrize("folder", [".hidden", ".venv/lib", "node_modules/it", "tests", "a/b/c", "known/data"])
def test_where_nothing_is_looked_for(here, folder):
    products(here, "known", f"{folder}/taxi")
    assert found("taxi") is None


def test_three_levels_are_looked_through_from_the_path_too(here):
    products(here, "a/b/taxi", "a/b/c/d/e/f/weather")
    assert found("taxi") == "a/b/taxi"
    assert found("a/b/c/d/e/g/weather") == "a/b/c/d/e/f/weather"


def test_it_stops_after_some_hundreds_of_folders(here, monkeypatch):
    for number in range(near.MOST_FOLDERS + 50):
        (here / f"{number:03}").mkdir()
    products(here, "zone")
    looked = []
    scandir = os.scandir
    monkeypatch.setattr("os.scandir", lambda folder: (looked.append(folder), scandir(folder))[1])
    assert found("zones") is None
    assert 0 < len(looked) <= near.MOST_FOLDERS


def test_links_are_not_followed(here, tmp_path):
    products(tmp_path, "other/weather")
    (here / "linked").symlink_to(tmp_path / "other", target_is_directory=True)
    assert found("weather") is None
    assert found("linked/weathr") == "linked/weather"


def test_a_folder_that_may_not_be_read_is_passed_over(here, monkeypatch):
    products(here, "products/taxi", "locked/weather")
    scandir = os.scandir

    def refused(folder):
        if Path(folder).name == "locked":
            raise PermissionError(folder)
        return scandir(folder)

    monkeypatch.setattr("os.scandir", refused)
    assert found("taxi") == "products/taxi"
    assert found("weather") is None
