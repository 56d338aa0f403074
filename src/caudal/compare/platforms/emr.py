"""``emr:NAME``: runs on an application of EMR Serverless, by its API; the table ``[platforms.NAME]`` says which."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.compare.diagram import architecture, edge, node
from caudal.compare.platform import Platform, PlatformKind, RunningPlatform, by_form
from caudal.compare.sent_files import open_settings
from caudal.compare.services.running import NO_PROCESSES, running_service
from caudal.compare.services.table import platform_table
from caudal.errors import DeclarationProblem

if TYPE_CHECKING:
    from caudal.declarations.settings import Settings
    from caudal.report.documents.comparison import Diagram

_KINDS = {"application": str, "role": str, "place": str, "region": str, "environment": str}
_REQUIRED = {
    "application": '"00f…"', "role": '"arn:aws:iam::…:role/…"', "place": '"s3://BUCKET/PREFIX"', "region": '"eu-west-1"',
}  # fmt: skip
_VARIABLES = {"region": "AWS_REGION"}


class EmrServerless(Platform):
    """An application, whose driver and executors are containers that the service starts."""

    kind = "emr"
    is_service = True
    writes_event_log = False

    @contextmanager
    def started(self, folder: Path, settings: Settings) -> Iterator[RunningPlatform]:
        """Store the script that the work begins with, yield the application, and remove what was stored.

        Raises
        ------
        DeclarationProblem : the table of the settings is not right
        EnvironmentProblem : the service cannot be reached, or refuses
        """
        from caudal.compare.services.emr import EmrService

        name = self.text.partition(":")[2]
        table = platform_table(settings, name, _KINDS, _REQUIRED, _VARIABLES)
        for key in ("place", "environment"):
            if not table.get(key, "s3://bucket").startswith("s3://"):
                raise DeclarationProblem(f"'{key}' of [platforms.{name}] is '{table[key]}'.", fix="Write s3://BUCKET/….")
        place = f"{table['place'].rstrip('/')}/caudal-compare-{uuid.uuid4().hex[:12]}"
        service = EmrService(
            table["application"], table["role"], table["region"], place, table.get("environment"), open_settings(settings.spark)
        )
        service.check()
        with running_service(self, service, "spark", settings) as running:
            folder.mkdir(parents=True, exist_ok=True)
            service.install(folder)
            yield running

    def diagram(self, settings: Settings) -> Diagram:  # noqa: ARG002
        """Return driver and service; executors are added as they are found."""
        parts = [node("server", "EMR Serverless"), node("driver", "driver")]
        return architecture(parts, [edge("server", "driver", "a job run")])


PLATFORM = PlatformKind(
    "emr", "emr:NAME", "an application of EMR Serverless, by its API; runs only",
    by_form(
        r"emr:([\w-]+)",
        lambda match, text: EmrServerless(text, f"EMR Serverless ('{match[1]}')", frozenset({"run"}), None, (NO_PROCESSES,)),
    ),
)  # fmt: skip
