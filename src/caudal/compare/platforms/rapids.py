"""``rapids[N]``: Spark in one process with the RAPIDS Accelerator, which computes on a GPU of this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.compare.diagram import architecture, edge, in_bytes, node
from caudal.compare.gpus import has_gpu
from caudal.compare.platform import PlatformKind, RunningPlatform, by_form
from caudal.compare.platforms.local import Local
from caudal.compare.services.table import platform_table
from caudal.engine.connectors import SCALA, jars
from caudal.engine.settings import default_memory, usable_cores
from caudal.errors import EnvironmentProblem

if TYPE_CHECKING:
    from caudal.declarations.settings import Settings
    from caudal.report.documents.comparison import Diagram

_TABLE = "rapids"
_JAR = f"com.nvidia:rapids-4-spark_{SCALA}:26.04.0"
"""The first release for Spark 4.1.1; a user names another one in the settings."""


class Rapids(Local):
    """Spark in one Java process, whose plans are carried out on the GPU where the accelerator can."""

    kind = "rapids"

    @contextmanager
    def started(self, folder: Path, settings: Settings) -> Iterator[RunningPlatform]:  # noqa: ARG002
        """Fetch the accelerator and yield the platform.

        Raises
        ------
        DeclarationProblem : the table ``[platforms.rapids]`` is not right
        EnvironmentProblem : this machine has no GPU, or the accelerator cannot be fetched
        """
        if not has_gpu():
            raise EnvironmentProblem(
                "This machine shows no GPU that the RAPIDS Accelerator could compute on.",
                fix="Run the comparison on a machine with a GPU of NVIDIA and its driver, or leave this platform out.",
            )
        yield RunningPlatform(self, {**self.changes(), "spark": rapids_settings(self._jar(settings))})

    def diagram(self, settings: Settings) -> Diagram:
        """Return Java, the GPU, the Python workers and the store."""
        memory = in_bytes(settings.memory or default_memory())
        parts = [
            node("driver", "Spark, driver and executor in one", cores=self.cores, memory=memory),
            node("gpu", "GPU"),
            node("python", "Python workers", count=self.cores or 1),
        ]
        return architecture(parts, [edge("driver", "gpu", "columns"), edge("driver", "python", "rows, as Arrow")])

    def _jar(self, settings: Settings) -> Path:
        given = _TABLE in settings.platforms
        table = platform_table(settings, _TABLE, {"jar": str}, {"jar": f'"{_JAR}"'}) if given else {"jar": _JAR}
        return jars([table["jar"]])[-1]


def rapids_settings(jar: Path) -> dict[str, str]:
    """Return Spark's settings with the accelerator, and with the GPU for networks of images; what stays on the processor is told in the output of the work."""
    return {
        "spark.jars": str(jar),
        "spark.plugins": "com.nvidia.spark.SQLPlugin",
        "spark.rapids.sql.enabled": "true",
        "spark.rapids.sql.explain": "NOT_ON_GPU",
        "spark.caudal.embed.device": "cuda",
    }


def _make(match: re.Match[str], text: str) -> Rapids:
    cores = usable_cores() if match[1] in (None, "*") else int(match[1])
    word = "core" if cores == 1 else "cores"
    return Rapids(text, f"Spark in one process, {cores} {word} and a GPU by the RAPIDS Accelerator", frozenset({"run"}), cores)


PLATFORM = PlatformKind(
    "rapids",
    "rapids[N]",
    "Spark with the RAPIDS Accelerator on a GPU of this machine",
    by_form(r"rapids(?:\[([1-9]\d*|\*)\])?", _make),
)
