"""Runs the probes, and makes one document of what they find."""

from __future__ import annotations

import socket
import time
from typing import Any, Iterable, Mapping

from caudal.inspection.fact import InspectedFact, InspectionProbe, not_known
from caudal.inspection.masking import hide_variables, masked
from caudal.inspection.scope import InspectionScope
from caudal.inspection.shown import value_text
from caudal.secret.value import redacted


def examine(scope: InspectionScope, probes: Iterable[InspectionProbe]) -> dict[str, Any]:
    """Return the document of an inspection: the facts of each probe, masked, with how each was found out.

    A probe that fails is a fact that could not be found; the others go on.
    """
    hide_variables(scope.environment)
    begun = time.time()
    sections = [_section(scope, probe) for probe in probes]
    # Again, since a later probe may have come upon a secret that an earlier text holds.
    return {"at": begun, "host": socket.gethostname(), "took_s": round(time.time() - begun, 3), "sections": redacted(sections)}


def _section(scope: InspectionScope, probe: InspectionProbe) -> dict[str, Any]:
    begun = time.perf_counter()
    facts = []
    try:
        for fact in probe.findings(scope):
            facts.append(_document(fact))  # noqa: PERF401 what was found before a failure stays
    except Exception as error:
        first = (str(error).strip().splitlines() or ["no message"])[0][:300]
        facts.append(_document(not_known("failure", "The rest", f"the probe failed: {type(error).__name__}: {first}")))
    return {"name": probe.name, "title": probe.title, "took_s": round(time.perf_counter() - begun, 3), "facts": facts}


def _document(fact: InspectedFact) -> Mapping[str, Any]:
    is_known = fact.value is not None
    value = masked(fact.value)
    return {
        "name": fact.name, "label": fact.label, "found": is_known, "value": value, "unit": fact.unit, "bytes_in": list(fact.bytes_in),
        "text": value_text(value, fact.unit), "how": masked(fact.how) if is_known else None, "why_not": None if is_known else masked(fact.how),
    }  # fmt: skip
