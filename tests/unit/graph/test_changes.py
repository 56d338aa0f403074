"""What counts as changed: every way in which what a step does can become another is seen, by its fingerprint and by a run's first look."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.graph.changes import CHANGES, NO_CHANGES, TOP, Edit

from caudal.errors import DeclarationProblem
from caudal.graph.fingerprint import code_of, loaded_of, parts_of
from caudal.graph.load import load
from caudal.runtime import manifest


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A product's folder, with one beside it on ``PYTHONPATH``."""
    (tmp_path / "beside").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "beside"))
    monkeypatch.syspath_prepend(str(tmp_path / "beside"))
    (tmp_path / "product").mkdir()
    return tmp_path / "product"


def write(folder: Path, edit: Edit) -> None:
    for name, text in {"product.py": TOP + edit.text, **edit.files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def change(folder: Path, edit: Edit) -> None:
    for path in [*folder.rglob("*"), *(folder.parent / "beside").rglob("*"), *folder.parent.glob("*.txt")]:
        if edit.old and path.is_file() and path.suffix != ".pyc":
            path.write_text(path.read_text().replace(edit.old, edit.new))
    for name, text in edit.after.items():
        if text is None:
            (folder / name).unlink()
        else:
            (folder / name).write_text(text)


def seen(folder: Path, edit: Edit, monkeypatch: pytest.MonkeyPatch) -> tuple[bool, bool]:
    """Return whether the fingerprint became another, and whether a run's first look sees that something changed."""
    write(folder, edit)
    for name, value in edit.variables[0].items():
        monkeypatch.setenv(name, value)
    product = load(folder)
    before, said = code_of(product.nodes["t"]), manifest.code_document(product)
    assert said is None or manifest.is_code_unchanged(said, folder), "nothing has changed yet, and it is taken for changed"
    files = manifest.folder_digest(folder)
    change(folder, edit)
    for name in edit.variables[0].keys() - edit.variables[1].keys():
        monkeypatch.delenv(name)
    for name, value in edit.variables[1].items():
        monkeypatch.setenv(name, value)
    first_look = said is None or not manifest.is_code_unchanged(said, folder) or manifest.folder_digest(folder) != files
    return code_of(load(folder).nodes["t"]) != before, first_look


@pytest.mark.parametrize("edit", CHANGES, ids=lambda edit: edit.name)
def test_a_change_is_seen(folder, edit, monkeypatch):
    assert seen(folder, edit, monkeypatch) == (True, True)


@pytest.mark.parametrize("edit", NO_CHANGES, ids=lambda edit: edit.name)
def test_what_does_not_matter_makes_no_step_run(folder, edit, monkeypatch):
    assert seen(folder, edit, monkeypatch)[0] is False


@pytest.mark.slow
def test_every_process_agrees_on_every_fingerprint(tmp_path):
    """What is described by content is described alike, whatever the order of sets and whatever was imported before."""
    folders = []
    for number, edit in enumerate(CHANGES):
        folder = tmp_path / str(number) / "product"
        folder.mkdir(parents=True)
        write(folder, edit)
        folders.append((folder, edit.variables[0]))
    places = os.pathsep.join(str(folder.parent / "beside") for folder, _ in folders)
    code = "\n".join(
        [
            "import os, sys; from pathlib import Path; from caudal.graph.load import load; from caudal.graph.fingerprint import code_of",
            "for line in sys.stdin.read().splitlines():",
            "    folder, _, value = line.partition(' ')",
            "    os.environ.update({'FEE': value} if value else {}); sys.path.insert(1, str(Path(folder).parent / 'beside'))",
            "    print(folder.split('/')[-2], code_of(load(Path(folder)).nodes['t']))",
            "    os.environ.pop('FEE', None); del sys.path[1]",
        ]
    )
    asked = [f"{folder} {variables.get('FEE', '')}".strip() for folder, variables in folders]
    told = [
        subprocess.run(
            [sys.executable, "-c", code], input="\n".join(order), check=True, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": "", "PLACES": places},
        ).stdout.splitlines()
        for seed, order in (("1", asked), ("2", asked[::-1]))
    ]  # fmt: skip
    assert sorted(told[0]) == sorted(told[1])


def test_a_second_load_in_one_process_has_the_modules_as_they_are_now(folder):
    (folder / "rates.py").write_text("RATE = 1.19\n")
    (folder / "product.py").write_text(TOP + "import rates\n@product.table()\ndef t(s):\n    return s * rates.RATE\n")
    assert load(folder).nodes["t"].function(100) == 119
    (folder / "rates.py").write_text("RATE = 1.07\n")  # as long as before, within the same second
    assert load(folder).nodes["t"].function(100) == 107


def test_two_products_have_each_their_own_module_of_one_name(tmp_path):
    for name, rate in (("a", "2"), ("b", "3")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rates.py").write_text(f"RATE = {rate}\n")
        (tmp_path / name / "product.py").write_text(TOP + "import rates\n@product.table()\ndef t(s):\n    return s * rates.RATE\n")
    assert [load(tmp_path / name).nodes["t"].function(10) for name in ("a", "b", "a")] == [20, 30, 20]


def test_an_import_in_a_function_finds_the_neighbour(folder):
    (folder / "late.py").write_text("RATE = 4\n")
    (folder / "product.py").write_text(TOP + "@product.table()\ndef t(s):\n    import late\n    return s * late.RATE\n")
    assert load(folder).nodes["t"].function(10) == 40


@pytest.mark.parametrize("asked", ["subprocess.check_output(['true'])", "datetime.datetime.now()"])
def test_a_product_that_cannot_be_known_without_loading_is_always_loaded(folder, asked):
    (folder / "product.py").write_text(
        TOP + f"import subprocess, datetime\nX = {asked}\n@product.table()\ndef t(s):\n    return s\n"
    )
    assert manifest.code_document(load(folder)) is None


def test_a_library_that_is_used_counts_by_its_version(folder, monkeypatch):
    from caudal.graph import libraries

    (folder / "product.py").write_text(
        TOP + "import numpy as np\n@product.table()\ndef t(s):\n    return np.abs(s)\n@product.table()\ndef u(s):\n    return s\n"
    )
    product = load(folder)
    before, said = [code_of(product.nodes[name]) for name in "tu"], manifest.code_document(product)
    version = libraries.library_version
    monkeypatch.setattr(libraries, "library_version", lambda name: "99" if name == "numpy" else version(name))
    monkeypatch.setattr(manifest, "library_version", libraries.library_version)
    product = load(folder)
    after = [code_of(product.nodes[name]) for name in "tu"]
    assert (after[0] == before[0], after[1] == before[1]) == (False, True)
    assert not manifest.is_code_unchanged(said, folder)


def test_values_of_variables_are_not_kept(folder, monkeypatch):
    monkeypatch.setenv("PASSWORD_OF_OURS", "correct-horse")
    (folder / "product.py").write_text(
        TOP + "import os\nX = os.environ['PASSWORD_OF_OURS']\n@product.table()\ndef t(s):\n    return s\n"
    )
    loaded = loaded_of(load(folder))
    assert "PASSWORD_OF_OURS" in loaded.reads.variables
    assert "correct-horse" not in repr(loaded.reads.document())


def test_what_a_library_reads_when_it_is_imported_is_not_counted(folder, monkeypatch):
    place = folder.parent / "lib" / "site-packages"
    place.mkdir(parents=True)
    (place / "their_library.py").write_text(
        "import os\nX = os.environ.get('OF_THE_LIBRARY')\nopen(__file__[:-3] + '.cfg').read()\n"
    )
    (place / "their_library.cfg").write_text("1")
    monkeypatch.syspath_prepend(str(place))
    (folder / "product.py").write_text(TOP + "import their_library\n@product.table()\ndef t(s):\n    return their_library.X\n")
    reads = loaded_of(load(folder)).reads
    assert (reads.files, reads.variables) == ({}, {})


def test_a_variable_that_the_product_sets_itself_is_no_input(folder, monkeypatch):
    monkeypatch.delenv("SET_BY_US", raising=False)
    (folder / "product.py").write_text(
        TOP + "import os\nos.environ['SET_BY_US'] = '1'\nX = os.environ['SET_BY_US']\n@product.table()\ndef t(s):\n    return X\n"
    )
    assert loaded_of(load(folder)).reads.variables == {}
    monkeypatch.delenv("SET_BY_US")


def test_a_value_that_cannot_be_described_counts_as_all_that_was_loaded(folder):
    text = (
        TOP
        + "import rates\nIT = open(__file__)\n@product.table()\ndef t(s):\n    return IT.read()\n@product.table()\ndef other(s):\n    return s\n"
    )
    (folder / "product.py").write_text(text)
    (folder / "rates.py").write_text("RATE = 1.19\n")
    before = parts_of(load(folder).nodes["t"])
    (folder / "rates.py").write_text("RATE = 1.07\n")
    product = load(folder)
    assert parts_of(product.nodes["t"])["everything that was loaded"] != before["everything that was loaded"]
    assert "everything that was loaded" not in parts_of(product.nodes["other"])


def test_a_type_as_text_does_without_spark(folder, monkeypatch):
    (folder / "product.py").write_text(
        TOP
        + "from pyspark.sql import functions as F\n@F.udf('double')\ndef f(x):\n    return x\n@F.udf(returnType='array<string>')\ndef g(x):\n    return x\n@product.table()\ndef t(s):\n    return f(s)\n"
    )
    monkeypatch.setattr("pyspark.SparkContext._active_spark_context", None)  # a session of a test before would hide it
    assert list(load(folder).nodes) == ["s", "t"]


def test_what_needs_spark_says_where_to_write_it(folder, monkeypatch):
    (folder / "product.py").write_text(
        TOP + "from pyspark.sql import functions as F\nPAID = F.col('x') > 0\n@product.table()\ndef t(s):\n    return s\n"
    )
    monkeypatch.setattr("pyspark.SparkContext._active_spark_context", None)
    with pytest.raises(DeclarationProblem, match=r"product.py:6.*") as refused:
        load(folder)
    assert "inside the function" in str(refused.value.fix)


def test_what_a_simulation_reaches_counts_for_its_source(folder):
    text = "import cd_world\nimport caudal as cd\nproduct = cd.Product('p')\ndef write(folder, seed):\n    (folder / 'a.csv').write_text(cd_world.TEXT)\nproduct.source('s', cd.simulated(write))\n"
    (folder / "product.py").write_text(text)
    (folder / "cd_world.py").write_text("TEXT = 'a\\n1.19'\n")
    before = code_of(load(folder).nodes["s"])
    (folder / "cd_world.py").write_text("TEXT = 'a\\n1.07'\n")
    assert code_of(load(folder).nodes["s"]) != before
