"""Names that a product writes as ``cd.<name>``: no module hides one (importing ``caudal.<name>`` would put the module in its place), and a typo is
answered with the nearest one."""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path

import pytest

import caudal as cd
from caudal import expect as ex
from caudal.errors import DeclarationProblem
from caudal.graph.load import load


def test_no_module_has_the_name_of_what_products_write() -> None:
    modules = {module.name for module in pkgutil.iter_modules(cd.__path__)}
    assert modules & set(dir(cd)) == set()


@pytest.mark.parametrize(
    ("typo", "near"),
    [
        ("Prodct", "Product"),
        ("fles", "files"),
        ("tumbel", "tumble"),
        ("beats_basline", "beats_baseline"),
        ("robust_zz", "robust_z"),
    ],
)
def test_a_mistyped_name_is_answered_with_the_nearest_one(typo: str, near: str) -> None:
    with pytest.raises(AttributeError, match=re.escape(f"module 'caudal' has no attribute '{typo}'. Did you mean '{near}'?")):
        getattr(cd, typo)


def test_a_name_that_is_near_to_none_gets_no_suggestion() -> None:
    for name in ("qqqqqqqq", "_fles"):
        with pytest.raises(AttributeError) as raised:
            getattr(cd, name)
        assert str(raised.value) == f"module 'caudal' has no attribute '{name}'"


def test_a_mistyped_expectation_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(
        AttributeError, match=re.escape("module 'caudal.expect' has no expectation 'uniqe'. Did you mean 'unique'?")
    ):
        ex.uniqe  # noqa: B018


def test_a_product_with_a_mistyped_name_reports_it_as_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "product.py").write_text(
        'import caudal as cd\n\nproduct = cd.Product("p")\nproduct.source("s", cd.fles("a.csv"))\n'
    )
    with pytest.raises(DeclarationProblem) as raised:
        load(tmp_path)
    assert raised.value.what.endswith("AttributeError: module 'caudal' has no attribute 'fles'.")
    assert raised.value.nearest == "files"
    assert raised.value.where is not None
    assert raised.value.where.endswith("product.py:4")
