"""``python -m caudal.ledger.migrations "what changes"``: write the next change, from what ``records.py`` says and the changes before lack."""

from __future__ import annotations

import re
import sys

from alembic import command
from sqlalchemy import create_engine

from caudal.ledger.migrations.upgrade import alone, config, revisions, upgrade


def write(message: str) -> str:
    """Write the next change's file and return its path."""
    number = f"{int(revisions()[-1]) + 1:04}" if revisions() else "0001"
    name = re.sub(r"\W+", "_", message.lower()).strip("_")
    engine = create_engine("sqlite://")
    if revisions():
        upgrade(engine)
    with alone(engine) as connection:
        settings = config(connection)
        settings.set_main_option("file_template", f"r{number}_{name}")
        made = command.revision(settings, message.rstrip("."), autogenerate=True, rev_id=number)
    engine.dispose()
    assert made is not None
    assert not isinstance(made, list)
    return str(made.path)


if __name__ == "__main__":
    print(f"Written, to be read before it is used: {write(sys.argv[1])}")
