"""A model of a home: its versions and decisions, and the one in production, which predicts."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from caudal.client.shown import page_part
from caudal.registry import LoadedModel, LoadedSparkModel, history, list_versions, load_version
from caudal.tables.home import Home

if TYPE_CHECKING:
    import pandas as pd

    from caudal.declarations.settings import Settings


@dataclass(frozen=True)
class ModelVersions:
    """A model. ``model.champion.predict(frame)`` gives the predictions of the version in production."""

    home: Home
    settings: Settings
    product: str
    name: str

    @property
    def champion(self) -> LoadedModel | LoadedSparkModel:
        """The version in production.

        Raises
        ------
        NotThere : none is
        """
        return self.version()

    def version(self, number: int | None = None) -> LoadedModel | LoadedSparkModel:
        """Return a version, ready to predict; the one in production unless a number is given."""
        with contextlib.closing(self.home.ledger()) as ledger:
            return load_version(self.home, ledger, self.product, self.name, number, trust=self.settings.trust)

    def versions(self) -> pd.DataFrame:
        """Return all versions, oldest first: ``version``, ``candidate``, ``state``, ``created_at`` (UTC), and each metric over the folds."""
        import pandas as pd

        with contextlib.closing(self.home.ledger()) as ledger:
            rows = [row for row in list_versions(ledger, self.product) if row["model"] == self.name]
        return pd.DataFrame(
            [
                {
                    "version": row["version"], "candidate": row["candidate"], "state": row["state"],
                    "created_at": pd.Timestamp(row["created_at"], unit="s", tz="UTC").round("ms"), **(row["metrics"] or {}),
                }
                for row in sorted(rows, key=lambda row: row["version"])
            ]
        )  # fmt: skip

    def decisions(self) -> pd.DataFrame:
        """Return all decisions, oldest first: ``at`` (UTC), ``version``, ``decision``, ``who`` and ``reason``."""
        import pandas as pd

        with contextlib.closing(self.home.ledger()) as ledger:
            rows = history(ledger, self.product, self.name)
        frame = pd.DataFrame(rows, columns=["at", "version", "decision", "who", "reason"])
        return frame.assign(at=pd.to_datetime(frame["at"], unit="s", utc=True).dt.round("ms"))

    def _repr_html_(self) -> str:
        frame = self.versions()[["version", "candidate", "state"]]
        return page_part(f"Model {self.product}.{self.name}", list(map(str, frame)), frame.to_numpy().tolist())

    def __repr__(self) -> str:
        return f"<model {self.product}.{self.name}: {len(self.versions())} versions>"
