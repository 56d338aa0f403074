"""What commands of tests print with ``--json`` is held against ``docs/schemas``, whichever test runs them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jsonschema import Draft202012Validator

FOLDER = Path(__file__).parents[1] / "docs" / "schemas"
GROUPS = ("quarantine", "model", "catalog", "audit", "key")


def check_printed(command: Sequence[str | os.PathLike[str]], printed: str | bytes | None) -> None:
    """Raise where a command of ours printed a document that is not as its schema says.

    Parameters
    ----------
    printed : str or bytes, its standard output; what is no JSON is left to the test, and None says that it was not read
    """
    words = [str(word) for word in command]
    if "caudal" not in words or "--json" not in words or not printed:
        return
    words = [word for word in words[words.index("caudal") + 1 :] if not word.startswith("-")]
    name = "-".join(words[: 2 if words[0] in GROUPS else 1])
    if words[0] == "audit" and words[1] != "guide":  # `caudal audit PRODUCT` is `caudal audit show PRODUCT`
        name = "audit-show"
    text = printed.decode() if isinstance(printed, bytes) else printed
    for part in text.splitlines() if name == "up" else [text]:
        try:
            document = json.loads(part)
        except ValueError:
            return
        check_document("error" if isinstance(document, dict) and {"error", "what", "fix"} <= document.keys() else name, document)


def check_document(name: str, document: object) -> None:
    """Raise where a document is not as the schema of this name says."""
    wrong = sorted(validator(name).iter_errors(document), key=lambda error: list(map(str, error.absolute_path)))
    assert not wrong, f"docs/schemas/{name}.json: " + "; ".join(f"{error.json_path}: {error.message[:300]}" for error in wrong[:5])


@cache
def validator(name: str) -> Draft202012Validator:
    """Return the validator of a schema."""
    schema = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)
