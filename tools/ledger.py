"""Write ``src/caudal/ledger/migrations/fresh.sql``, the tables of a new ledger, as all migrations leave an empty one: ``python tools/ledger.py``."""

from __future__ import annotations

from sqlalchemy import create_engine

from caudal.ledger.migrations.fresh import FILE, statements
from caudal.ledger.migrations.upgrade import run_migrations

if __name__ == "__main__":
    engine = create_engine("sqlite://")
    run_migrations(engine)
    with engine.connect() as connection:
        FILE.write_text(statements(connection), "utf-8")
    engine.dispose()
    print(f"Written: {FILE}")
