"""What editors and type checkers see of ``caudal`` and ``caudal.expect`` is what there is."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import caudal as cd
from caudal import expect as ex

ROOT = Path(__file__).parents[2]
LOOKED_AT = """
import caudal as cd
from caudal import expect as ex

reveal_type(cd.lag)
reveal_type(cd.beats_champion)
reveal_type(cd.robust_z)
reveal_type(ex.between)
cd.parity(max_ratio="much")
cd.laag
"""


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("stubs", ROOT / "tools" / "stubs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_stubs_are_those_of_the_code() -> None:
    written = tool().stubs()
    assert len(written) == 2
    for file, text in written.items():
        assert file.read_text(encoding="utf-8") == text, "run: python tools/stubs.py"


def test_the_package_is_typed() -> None:
    assert (Path(cd.__file__).parent / "py.typed").is_file()


def test_all_names_are_told_and_can_be_had() -> None:
    assert {"lag", "embed", "pca", "beats", "surprise", "files", "topic", "fitted", "tumble", "Product"} <= set(cd.__all__)
    assert all(getattr(cd, name) is not None for name in cd.__all__)
    assert dir(cd) == cd.__all__
    assert "between" in dir(ex)
    with pytest.raises(AttributeError, match="module 'caudal' has no attribute 'laag'"):
        _ = cd.laag


def test_nothing_heavy_is_imported_with_caudal() -> None:
    asked = "import sys, caudal; print([name for name in ('numpy', 'pandas', 'pyspark', 'pyarrow', 'importlib.metadata') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_a_type_checker_sees_signatures(tmp_path: Path) -> None:
    (file := tmp_path / "looked_at.py").write_text(LOOKED_AT)
    # With the options of `make lint`: what mypy has found out there, of caudal and of all that it imports, is taken from its cache.
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    shown = done.stdout
    assert 'Revealed type is "def (frame: ' in shown, shown
    assert "-> caudal.stages.gates.beats_champion.BeatsChampion" in shown
    assert "def (window: int =) -> caudal.declarations.detector.Detector" in shown or "window: builtins.int" in shown, shown
    assert "caudal.stages.enforce.between.Between" in shown
    assert 'Argument "max_ratio" to "parity" has incompatible type "str"' in shown
    assert 'Module has no attribute "laag"' in shown
