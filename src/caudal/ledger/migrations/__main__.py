"""``python -m caudal.ledger.migrations "what changes"``: write the next migration, the difference between ``records.py`` and the earlier migrations."""

from __future__ import annotations

import re
import sys

from alembic import command
from sqlalchemy import create_engine

from caudal.ledger.migrations.upgrade import config, exclusive_transaction, migrate, revisions


def write_migration(message: str) -> str:
    """Write the file of the next migration and return its path."""
    number = f"{int(revisions()[-1]) + 1:04}" if revisions() else "0001"
    name = re.sub(r"\W+", "_", message.lower()).strip("_")
    engine = create_engine("sqlite://")
    if revisions():
        with exclusive_transaction(engine) as connection:
            migrate(connection)
    with exclusive_transaction(engine) as connection:
        settings = config(connection)
        settings.set_main_option("file_template", f"r{number}_{name}")
        revision = command.revision(settings, message.rstrip("."), autogenerate=True, rev_id=number)
    engine.dispose()
    assert revision is not None
    assert not isinstance(revision, list)
    return str(revision.path)


if __name__ == "__main__":
    print(f"Written, to be read before it is used: {write_migration(sys.argv[1])}")
