"""``cd.inspect_environment``: what the machine, the cluster and the session of a notebook are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from caudal.commands.inspect import InspectionRequest, inspection_document
from caudal.declarations.settings import settings
from caudal.errors import NotThere, nearest
from caudal.inspection.page import notebook_part
from caudal.inspection.scope import LINK_LOCAL
from caudal.inspection.text import plain_text

if TYPE_CHECKING:
    from caudal.report.documents import InspectDocument


def inspect_environment(
    spark: Any = None,
    *,
    only: Sequence[str] = (),
    master: str | None = None,
    ui: Sequence[str] = (),
    metadata: str = LINK_LOCAL,
    timeout_s: float = 1.0,
) -> Inspection:
    """Return what this machine, its cluster and its Spark are, each fact with how it was found out; a notebook shows it as tables.

    Parameters
    ----------
    spark : a session; the one that runs in this process when left out, and none is started
    only : sections, such as ``["cloud", "resources"]``; all when left out
    master, ui, metadata, timeout_s : as ``--master``, ``--ui``, ``--metadata`` and ``--timeout`` of ``caudal inspect``

    Raises
    ------
    DeclarationProblem : a section is named that there is not
    """
    return Inspection(inspection_document(InspectionRequest(only, False, master, ui, metadata, timeout_s), settings(), spark))


@dataclass(frozen=True)
class Inspection:
    """The facts of an inspection. ``inspection["resources"]["memory"]`` is a value, None where it could not be found."""

    document: InspectDocument

    def __getitem__(self, section: str) -> dict[str, Any]:
        for each in self.document["sections"]:
            if each["name"] == section:
                return {fact["name"]: fact["value"] for fact in each["facts"]}
        names = [each["name"] for each in self.document["sections"]]
        raise NotThere(
            f"The inspection has no section '{section}'.", nearest=nearest(section, names), fix=f"It has {', '.join(names)}."
        )

    def _repr_html_(self) -> str:
        return notebook_part(self.document)

    def __repr__(self) -> str:
        return plain_text(self.document)
