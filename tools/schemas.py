"""Write ``docs/schemas`` from the types of what commands print: ``python tools/schemas.py``. A test holds the two together."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import TypeAdapter

from caudal.ledger.rows import ErrorDocument
from caudal.messaging.updates import Update
from caudal.report.documents import DOCUMENTS

FOLDER = Path(__file__).parent.parent / "docs" / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
# Others may have more keys: facts of an error, parts of a run's document by sections of other packages, inputs and folds of a model.
OPEN = {
    "ErrorDocument",
    "RunDocument",
    "DemoDocument",
    "RunCommandDocument",
    "GateDocument",
    "SignatureDocument",
    "InputDocument",
    "OutputDocument",
    "HoldoutDocument",
}


def schemas() -> dict[str, str]:
    """Return the text of each schema by the name of its file."""
    documents = {**DOCUMENTS, "error": ErrorDocument, "update": Update}
    return {f"{name.replace(' ', '-')}.json": _text(name, document) for name, document in documents.items()}


def _text(name: str, document: object) -> str:
    schema = TypeAdapter(document).json_schema(mode="serialization")
    title = {"error": "What any command prints with --json when it fails", "update": "An update of a stream's live feed"}
    whole = {"$schema": DIALECT, **_closed(schema), "title": title.get(name, f"caudal {name} --json")}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _closed(schema: object) -> object:
    """Return a schema whose objects have no other keys than those that are named, but for the open ones; titles of fields say nothing."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _closed(part) for key, part in schema.items()}
    if isinstance(found.get("properties"), dict) and found.get("type") == "object":
        for field in found["properties"].values():
            field.pop("title", None)
        if found.get("title") not in OPEN:
            found["additionalProperties"] = False
    return found


def main() -> None:
    """Write the files, and remove those of commands that are no more."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = schemas()
    for file in FOLDER.glob("*.json"):
        if file.name not in wanted:
            file.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
