"""Why a step ran or was skipped: the parts of its fingerprint, compared with those of its last success."""

from __future__ import annotations

import re
from collections.abc import Mapping

from caudal.batch.step import Step, StepResult
from caudal.graph.fingerprint import FORMAT, loaded_of, parts_of
from caudal.graph.node_kind import StepKind
from caudal.graph.registered import node_of_step, step_kind
from caudal.ledger.rows import StepDetail, StepRow
from caudal.report.figures import plural
from caudal.runtime.manifest import reads_of
from caudal.runtime.product_tables import ProductTables

SHOWN = 3
_NOUNS = {
    "code": "statement", "module": "module", "value": "value", "file": "file", "folder": "folder", "existence": "path",
    "variable": "variable", "library": "library version",
}  # fmt: skip
_FORMAT = "format"
_OF_CODE = ("code", "module", "everything that was loaded")


def lost_versions(tables: ProductTables, step: Step, last: StepRow | None) -> str | None:
    """Return in words which published versions of a step's table are missing; None where none is.

    Parameters
    ----------
    last : the step's row of the ledger when it last succeeded
    """
    if step_kind(step.kind).writes != "table" or last is None or last["output_version"] is None:
        return None
    in_ledger = f"the ledger knows of version {last['output_version']}"
    newest = tables.version(step.subject)
    if newest is None:
        loss = "the log of its table is gone" if tables.folder(step.subject).is_dir() else "its table is gone"
        return f"{loss}, and {in_ledger}"
    return f"its table has version {newest} as its newest, and {in_ledger}" if newest < last["output_version"] else None


def step_reasons(
    tables: ProductTables, days_asked: bool, step: Step, result: StepResult, last: StepRow | None, lost: str | None = None
) -> StepDetail:
    """Return the parts of a completed step's fingerprint, and in words why it ran or was skipped, as details for the ledger.

    Parameters
    ----------
    days_asked : whether the run was asked to make some days again
    last : the step's row of the ledger when it last succeeded
    lost : what `lost_versions` returned before the step
    """
    if result.state == "waiting":
        return {}
    made_of = _made_of(tables, step)
    if result.state == "skipped":
        return {"made_of": made_of, "because": f"rested: {_why_skipped(made_of, result.why)}"}
    changed = _changed(made_of, last)
    inputs = _inputs(result, last)
    other = [] if changed or inputs or lost else _other_causes(days_asked, step, result, last)
    causes = [*([lost] if lost else []), *changed, *inputs, *other]
    return {"made_of": made_of, "because": f"ran: {_joined(causes)}", **({"changed": _joined(changed)} if changed and last else {})}


def _made_of(tables: ProductTables, step: Step) -> dict[str, str]:
    """Return the named parts of a step's fingerprint, beside its inputs' versions."""
    product = tables.product
    kind, node = step_kind(step.kind), node_of_step(product, step.kind, step.subject)
    made_by = None if node is None else node.kind.fingerprinted_declaration(product, node.declaration)
    if made_by is None or not kind.fingerprinted:
        return {}
    parts = {_FORMAT: FORMAT, **parts_of(made_by)}
    if kind.in_zone:
        parts["zone"] = product.tz
    loaded = loaded_of(product)
    if kind.runs_function and loaded is not None:
        parts = parts | reads_of(tables.home, product.name, step.subject).parts(loaded.root)
    return {name: state[:16] if re.fullmatch("[0-9a-f]{32,}", state) else state for name, state in parts.items()}


def _changed(made_of: Mapping[str, str], last: StepRow | None) -> list[str]:
    if last is None:
        return ["it had not succeeded before"]
    before = (last["detail"] or {}).get("made_of")
    if before is None:
        return ["an older caudal ran it before"] if made_of else []
    if made_of.get(_FORMAT) != before.get(_FORMAT):  # it is in every digest, so these tell nothing
        return ["caudal itself computes steps otherwise than before"]
    names = [
        name for name in (*made_of, *(name for name in before if name not in made_of)) if made_of.get(name) != before.get(name)
    ]
    if any(name.partition(":")[0] in _OF_CODE for name in names):  # what follows from code is not worth a word beside it
        names = [name for name in names if not name.startswith("value:")]
    return list(dict.fromkeys(_cause_in_words(name, before.get(name), made_of.get(name)) for name in names))


def _cause_in_words(name: str, before: str | None, now: str | None) -> str:
    kind, _, subject = name.partition(":")
    if kind == "declaration":
        return "its declaration changed"
    if kind == "everything that was loaded":
        return "code of the product changed, and nobody can tell which of it this step reaches"
    if kind == "zone":
        return f"the product's zone {before or 'of before'} → {now}"
    if kind == "unseen":
        return f"its function asks {subject}, which may answer otherwise each time"
    if kind == "library":
        return f"{subject} {before or 'was not used'} → {now or 'is not used'}"
    named = {
        "code": "code of ",
        "module": "module ",
        "value": "the value of ",
        "file": "file ",
        "folder": "the list of files in ",
        "existence": "",
        "variable": "variable ",
    }
    return f"{named.get(kind, '')}{subject} {_change_in_words(kind, before, now)}"


def _change_in_words(kind: str, before: str | None, now: str | None) -> str:
    if before is None:
        return "counts now" if kind not in ("code", "module") else "is used now"
    if now is None:
        return "counts no longer" if kind not in ("code", "module") else "is used no longer"
    if before == "nothing":
        return "was set" if kind == "variable" else "is there now"
    if now == "nothing":
        return "was unset" if kind == "variable" else "is gone"
    return "changed"


def _inputs(result: StepResult, last: StepRow | None) -> list[str]:
    before = (last["inputs"] or {}) if last is not None else {}
    new = [name for name, version in result.inputs.items() if last is not None and before.get(name) != version]
    files = result.detail.get("files")
    files = len(files) if isinstance(files, list) else files
    file_causes = [plural(files, "file") + (" to read" if "notes" in result.detail else " seen")] if files else []
    return [*(f"'{name}' has a new version" if name != "model" else "there is another champion" for name in new), *file_causes]


def _other_causes(days_asked: bool, step: Step, result: StepResult, last: StepRow | None) -> list[str]:
    when_unchanged = step_kind(step.kind).when_unchanged
    if when_unchanged != StepKind.when_unchanged:
        return [when_unchanged]
    if days_asked:
        return ["its days were asked for again"]
    if last is not None and last["output_version"] is not None and result.output_version is not None:
        return (
            ["what it had published was not what is there"] if last["output_version"] > result.output_version else [when_unchanged]
        )
    return [when_unchanged]


def _why_skipped(made_of: Mapping[str, str], why: str | None) -> str:
    counts: dict[str, int] = {}
    for name in made_of:
        kind = name.partition(":")[0]
        counts[kind] = counts.get(kind, 0) + 1
    counted_parts = [plural(counts[kind], noun) for kind, noun in _NOUNS.items() if kind in counts]
    if not made_of:
        return why or "nothing to do"
    unchanged = (
        f"nothing that it reaches has changed: {', '.join(counted_parts)}" if counted_parts else "its declaration is as it was"
    )
    return unchanged if why in (None, "up to date") else f"{why}; {unchanged}"


def _joined(causes: list[str]) -> str:
    more = len(causes) - SHOWN
    return ", ".join(causes[:SHOWN]) + (f" and {plural(more, 'more thing')}" if more > 0 else "")
