"""Puts the probes and what they use into one file, which needs a Python from 3.8 on and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import caudal.inspection

_ROOM = Path(caudal.inspection.__file__).parent
_NAME = "caudal_inspect"  # the modules' package: caudal itself may be installed beside the script, in another version
_HEAD = '''#!/usr/bin/env python3
"""Says what this machine, its cluster and its Spark are: `caudal inspect`, version {version}, in one file that needs only Python 3.8.

    python {name}.py [--json] [--html FILE] [--session] [--help]
    spark-submit {name}.py
    %run {name}.py                    in a notebook, or this text in a cell

Nothing is written but the FILE, nothing sent; metadata services are asked on this machine's own link only. Secrets are masked.
"""

import os
import sys

if __name__ == "__main__" and "__file__" in globals() and sys.path[:1] == [os.path.dirname(os.path.abspath(__file__))]:
    del sys.path[0]  # were this file called inspect.py, Python's own modules would import it for theirs

import types

SOURCES = {{}}
'''
_TAIL = '''

def load():
    """Make modules of the sources, and return those of the probes."""
    for package in ("{name}", "{name}.secret", "{name}.inspection", "{name}.inspection.probes"):
        sys.modules[package] = module = types.ModuleType(package)
        module.__path__ = []
    for name, source in SOURCES.items():
        sys.modules[name] = module = types.ModuleType(name)
        module.__package__ = name.rpartition(".")[0]
        exec(compile(source, name.replace(".", "/") + ".py", "exec"), module.__dict__)
    return [module for name, module in list(sys.modules.items()) if name.startswith("{name}.inspection.probes.")]


PROBES = load()
_main = sys.modules["{name}.inspection.script_main"]
if __name__ == "__main__":
    code = _main.run_script(_main.probes_of(PROBES), STYLE, "{version}")
    if code:
        sys.exit(code)
'''


def build_script(style: Path) -> str:
    """Return the text of the script.

    Parameters
    ----------
    style : the style sheet of caudal's pages
    """
    # Each after what it imports: a module is made when its source is run.
    files = {f"{_NAME}.secret.{name}": _ROOM.parent / "secret" / f"{name}.py" for name in ("value", "names", "jdbc", "address")}
    files |= {f"{_NAME}.inspection.{name}": _ROOM / f"{name}.py" for name in _in_order(_ROOM, "caudal.inspection")}
    files |= {f"{_NAME}.inspection.probes.{file.stem}": file for file in sorted((_ROOM / "probes").glob("[a-z]*.py"))}
    files |= {f"{_NAME}.inspection.script_main": _ROOM / "script_main.py"}
    sources = [f"SOURCES[{name!r}] = {_quoted(_renamed(file.read_text(encoding='utf-8')))}" for name, file in files.items()]
    names = {"name": _NAME, "version": caudal.__version__}
    styles = f"STYLE = {_quoted(style.read_text(encoding='utf-8'))}"
    return "\n\n".join([_HEAD.format(**names), *sources, styles]) + "\n" + _TAIL.format(**names)


def _in_order(folder: Path, package: str) -> list[str]:
    """Return the modules of a folder, each after those of it that it imports, but for the two that only join them."""
    needs = {
        file.stem: set(re.findall(rf"^from {re.escape(package)}\.(\w+) import", file.read_text(encoding="utf-8"), re.MULTILINE))
        for file in sorted(folder.glob("[a-z]*.py"))
        if file.stem not in ("build_script", "script_main")
    }
    ordered: list[str] = []
    while rest := [name for name in needs if name not in ordered]:
        ready = [name for name in rest if needs[name] <= set(ordered)]
        assert ready, f"{', '.join(rest)} import one another"
        ordered += ready
    return ordered


def _renamed(source: str) -> str:
    return re.sub(r"^(\s*from )caudal\.", rf"\1{_NAME}.", source, flags=re.MULTILINE)


def _quoted(source: str) -> str:
    """Return a source as a raw string, so that whoever is to run the script can read it."""
    assert "'''" not in source, "the script quotes sources by three apostrophes"
    return f"r'''{source}'''"
