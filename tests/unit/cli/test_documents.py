"""docs/schemas says what every command prints with --json: it is as the types say, and a wrong document is found."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import typer
from tests import here
from tests.documents import FOLDER, check_document, check_printed

from caudal.cli.app import app
from caudal.report.documents import DOCUMENTS

ROOT = Path(__file__).parents[3]


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("schemas", ROOT / "tools" / "schemas.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def caudal(*arguments: str | Path) -> object:
    """Run a command, whose document ``here.run`` holds against its schema, and return the document."""
    command = [sys.executable, "-m", "caudal", *map(str, arguments), "--json"]
    return json.loads(here.run(command, capture_output=True, text=True, timeout=120).stdout)


def test_the_files_are_those_of_the_types() -> None:
    written = {file.name: file.read_text("utf-8") for file in FOLDER.glob("*.json")}
    assert written == tool().schemas(), "run: python tools/schemas.py"


def test_every_command_that_prints_json_has_a_schema() -> None:
    whole = typer.main.get_command(app)
    commands = {name: command for name, command in whole.commands.items() if not hasattr(command, "commands")}
    for group, command in whole.commands.items():
        commands |= {f"{group} {name}": member for name, member in getattr(command, "commands", {}).items()}
    assert set(DOCUMENTS) == {
        name for name, command in commands.items() if any("--json" in option.opts for option in command.params)
    }


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"product": "p"}, "'folder' is a required property"),
        ({"product": "p", "folder": 3}, "3 is not of type 'string'"),
        ({"product": "p", "folder": "f", "more": 1}, "Additional properties are not allowed"),
    ],
)
def test_a_document_that_is_not_as_said_is_found(wrong: dict[str, object], said: str) -> None:
    check_document("new", {"product": "p", "folder": "f"})
    with pytest.raises(AssertionError, match=said):
        check_printed([sys.executable, "-m", "caudal", "new", "p", "--json"], json.dumps(wrong))


def test_commands_print_what_their_schemas_say(tmp_path: Path) -> None:
    made = caudal("new", "shop", "--into", tmp_path)
    folder, home = tmp_path / "shop", ("--home", str(tmp_path / "home"))
    assert made == {"product": "shop", "folder": str(folder)}
    assert caudal("graph", folder)
    assert caudal("check", folder, "--static") == {"ok": True, "problems": [], "notes": []}
    product = folder / "product.py"
    product.write_text(product.read_text().replace("metric=", "metricc="))
    assert isinstance(caudal("check", folder, "--static"), dict)
    failed = caudal("times", *home)
    assert isinstance(failed, dict)
    assert failed["error"] == "NotThere"
    assert caudal("status", *home) == {"home": str(tmp_path / "home"), "lake": str(tmp_path / "home"), "products": []}
    assert caudal("status", "--why", *home) == {"home": str(tmp_path / "home"), "products": []}
    assert caudal("model", "list", *home) == caudal("quarantine", "list", *home) == []
    nothing = caudal("search", "zone", *home)
    assert isinstance(nothing, dict)
    assert nothing["what"]
    assert caudal("verify", *home)
