"""A call of caudal's that lacks an argument, or has one too many, is told in caudal's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from caudal.errors import DeclarationProblem
from caudal.graph.load import load


@pytest.mark.parametrize(
    ("line", "what", "nearest"),
    [
        ("@product.features(as_of='at')\ndef f(raw): ...", "product.features needs 'entity', which is not given.", None),
        ("product.source('a', cd.files('*.csv'), schemas=None)", "product.source has no argument 'schemas'.", "schema"),
        ("product.model('m', features='f', label='y')", "product.model needs 'candidates' and 'split', which are not given.", None),
        ("cd.temporal(tests='1 day')", "temporal has no argument 'tests'.", "test"),
        ("cd.parity()", "parity needs 'column', which is not given.", None),
    ],
)
def test_a_call_is_told_by_its_arguments(line: str, what: str, nearest: str | None, tmp_path: Path) -> None:
    (tmp_path / "product.py").write_text(f"import caudal as cd\nproduct = cd.Product('p')\n{line}\n")
    with pytest.raises(DeclarationProblem) as caught:
        load(tmp_path)
    assert caught.value.what == what
    assert caught.value.nearest == nearest
    assert "product.py:3" in str(caught.value.where)


def test_a_type_error_of_the_users_own_is_shown_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "product.py").write_text("import caudal as cd\ndef own(a): ...\nown()\n")
    with pytest.raises(DeclarationProblem, match=r"TypeError: own\(\) missing 1 required"):
        load(tmp_path)
