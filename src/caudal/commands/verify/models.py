"""Check that the files of model versions are those that were registered."""

from __future__ import annotations

from caudal.commands.verify.fault import HomeFault, Verification
from caudal.errors import CaudalError
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import model_versions
from caudal.registry.artifact import model_digest


def check_models(verification: Verification, product: str, ledger: Ledger) -> None:
    """Compare the files of every registered version with the hash that the ledger holds."""
    for row in ledger.find(model_versions, product=product):
        folder = verification.home.path / row["artifact"]
        verification.findings.checked["models"] += 1
        title = f"version {row['version']} of model '{row['model']}'"
        try:
            sentence = (
                None
                if model_digest(folder) == row["artifact_sha256"]
                else f"The files of {title} are not those that were registered."
            )
        except (CaudalError, OSError):
            sentence = f"The files of {title} are gone."
        if sentence is not None:
            champion = ledger.champion(product, row["model"])
            serving = champion is not None and champion["version"] == row["version"]
            rollback = f"caudal model rollback {row['model']} --product {product} {verification.home_options()}"
            mend = f"It is in production: put them back from a backup, or go back to the version before ({rollback})." if serving else (
                "It is not in production: put them back from a backup, or do without this version."
            )  # fmt: skip
            verification.findings.faults.append(HomeFault("model", product, row["model"], str(folder), sentence, mend))
