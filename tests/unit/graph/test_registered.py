"""Every kind of node is found in its folder, with its steps' work, and no fact about kinds is written anywhere else."""

from __future__ import annotations

import pkgutil
import re
from importlib import import_module
from pathlib import Path

import pytest

import caudal.batch.steps
import caudal.graph.kinds
from caudal.batch.registered import works
from caudal.graph.node_kind import NodeKind
from caudal.graph.registered import labels_where, labels_with_table, node_kinds, step_kinds, steps_of_label, steps_where

SOURCE = Path(caudal.graph.kinds.__file__).parents[2]


def test_every_file_of_the_folder_is_a_kind() -> None:
    modules = [module.name for module in pkgutil.iter_modules(caudal.graph.kinds.__path__)]
    kinds = [import_module(f"caudal.graph.kinds.{name}").KIND for name in modules]
    assert sorted(kind.name for kind in kinds) == sorted(kind.name for kind in node_kinds())
    assert [kind.name.replace(" ", "_") for kind in kinds] == modules
    assert all(isinstance(kind, NodeKind) for kind in kinds)


def test_every_step_of_a_kind_has_its_work_and_every_work_its_step() -> None:
    assert set(works()) == {(kind.name, step.name) for kind in node_kinds() for step in kind.steps}


def test_kinds_of_steps_of_one_name_say_the_same() -> None:
    for kind in node_kinds():
        for step in kind.steps:
            assert step == step_kinds()[step.name], f"{kind.name}: {step.name}"


def test_what_is_asked_of_kinds() -> None:
    assert set(steps_where(section="tables")) == {"read", "table", "features", "join"}
    assert set(steps_where(writes="table", by_stream=False)) == {"read", "table", "features", "predict"}
    assert set(steps_where(in_backfill=False)) == {"land", "train", "promote", "audit"}
    assert {name for name, step in step_kinds().items() if step.verb} == {
        "land",
        "read",
        "table",
        "join",
        "features",
        "train",
        "predict",
    }
    assert steps_where(follows_messages=True) == ("lookup",)
    assert steps_of_label("table") == ("table", "statistics")
    assert steps_of_label("of another package") == ("of another package",)
    assert labels_with_table() == ("source", "table", "join", "features", "prediction")
    assert labels_where(columns="built") == ("table", "join", "features")


@pytest.mark.parametrize("names", [("read", "table", "features"), ("source", "table", "features"), ("land", "train", "promote")])
def test_no_list_of_kinds_is_written_beside_them(names: tuple[str, ...]) -> None:
    lists = [
        f"{file.relative_to(SOURCE)}: {found[0]}"
        for file in SOURCE.rglob("*.py")
        for found in re.finditer(r"[(\[{](?:\s*\"\w+\",?)+\s*[)\]}]", file.read_text(encoding="utf-8"))
        if set(names) <= set(re.findall(r"\"(\w+)\"", found[0]))
    ]
    assert lists == []
