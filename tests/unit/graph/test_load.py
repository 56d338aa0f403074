"""Loading a product's folder: every way it can go wrong is one clear message with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from caudal.errors import DeclarationProblem, NotThere
from caudal.graph.load import load


def test_a_syntax_error_names_the_line(tmp_path):
    (tmp_path / "product.py").write_text("import caudal as cd\nproduct = cd.Product('p'\n")
    with pytest.raises(DeclarationProblem, match=r"syntax error") as caught:
        load(tmp_path)
    assert caught.value.line == 2


def test_an_error_while_loading_names_the_line(tmp_path):
    (tmp_path / "product.py").write_text("import caudal as cd\nx = 1 / 0\n")
    with pytest.raises(DeclarationProblem, match="ZeroDivisionError") as caught:
        load(tmp_path)
    assert caught.value.line == 2


def test_a_mistyped_name_is_told_with_the_one_meant(tmp_path):
    (tmp_path / "product.py").write_text("import caudal as cd\n\ncd.on_arival()\n")
    with pytest.raises(DeclarationProblem, match="on_arival") as caught:
        load(tmp_path)
    assert caught.value.nearest == "on_arrival"
    assert caught.value.line == 3


def test_no_product_and_two_products(tmp_path):
    (tmp_path / "product.py").write_text("import caudal as cd\n")
    with pytest.raises(DeclarationProblem, match="no product"):
        load(tmp_path)
    (tmp_path / "product.py").write_text("import caudal as cd\na = cd.Product('a')\nb = cd.Product('b')\n")
    with pytest.raises(DeclarationProblem, match="2 products"):
        load(tmp_path)


def test_a_folder_without_a_product_says_so(tmp_path):
    (tmp_path / "demand").mkdir()
    with pytest.raises(NotThere, match=r"holds no product\.py\. Make one with"):
        load(tmp_path / "demand")


@pytest.mark.parametrize("typed", ["product/taxi", "products/taxii", "taxi", "products/taxi/prodct"])
def test_a_mistyped_folder_names_the_product(tmp_path, monkeypatch, typed):
    (tmp_path / "products" / "taxi").mkdir(parents=True)
    (tmp_path / "products" / "taxi" / "product.py").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotThere) as caught:
        load(Path(typed))
    assert str(caught.value) == f"There is no product folder '{typed}'. Did you mean 'products/taxi'?"


def test_a_product_may_load_another_while_it_is_loaded(tmp_path: Path) -> None:
    for name, lines in {
        "inner": ["import caudal as cd", "import inner_rates", "import pyspark", "product = cd.Product('inner')", "BASE = inner_rates.BASE"],
        "outer": [
            "import caudal as cd", "from pathlib import Path", "from caudal.graph.load import load",
            f"inner = load(Path({str(tmp_path / 'inner')!r})).name", "import outer_rates", "product = cd.Product('outer' + inner + str(outer_rates.BASE))",
        ],
    }.items():  # fmt: skip
        (tmp_path / name).mkdir()
        (tmp_path / name / "product.py").write_text("\n".join(lines))
        (tmp_path / name / f"{name}_rates.py").write_text("BASE = 7")
    for _ in range(2):
        assert load(tmp_path / "outer").name == "outerinner7"
