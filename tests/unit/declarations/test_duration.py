"""A duration that cannot be read is told with the line where it was written."""

from __future__ import annotations

import pytest

import caudal as cd
from caudal.errors import DeclarationProblem


def test_a_wrong_duration_is_told_with_its_place() -> None:
    product = cd.Product("p")
    with pytest.raises(DeclarationProblem, match=r"'2 fortnights' is not a duration.*test_duration.py:\d+") as raised:
        product.sla("t", within="2 fortnights")
    assert raised.value.where.rpartition("/")[2].startswith("test_duration.py")
    with pytest.raises(DeclarationProblem, match=r"test_duration.py"):
        product.statistics("s", of=product.source("x", cd.stream(channels=("a",))), window="soon")
