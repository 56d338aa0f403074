"""``caudal debt``: the technical debt of a product, from its declaration, its code, and its home where it has run."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.debt.finding import Debt, DebtKind
from caudal.debt.measure import earlier_counts, keep_debt, measure_debt
from caudal.debt.scope import DebtScope
from caudal.declarations.settings import Settings
from caudal.errors import NotThere, nearest
from caudal.graph.load import load
from caudal.kinds import DEBTS
from caudal.ledger.ledger import Ledger
from caudal.runtime.lifecycle import new_run_id
from caudal.runtime.opening import checked_product, open_home
from caudal.tables.home import Home

if TYPE_CHECKING:
    from caudal.report.documents import DebtDocument, DebtOfKind


def product_debt(folder: Path, settings: Settings, fail_above: Sequence[str] = ()) -> DebtDocument:
    """Return a product's debt by kind, and keep its counts in the home.

    Without a home only the declaration and the code are looked at, and nothing is kept.

    Parameters
    ----------
    fail_above : ``KIND=N``, the greatest count of a kind that is no failure

    Raises
    ------
    NotThere : a limit is for a kind that there is not, or is no number
    """
    limits = dict(map(_limit, fail_above))
    product = checked_product(load(folder))
    now = time.time()
    with _opened(settings) as (home, ledger):
        debts = measure_debt(DebtScope(product, home, ledger))
        history = [] if ledger is None else earlier_counts(ledger, product.name)
        run_id = None if ledger is None else new_run_id()
        if ledger is not None and run_id is not None:
            keep_debt(ledger, product.name, {name: debt for name, (_, debt) in debts.items()}, run_id, now)
    return {
        "product": product.name,
        "home": str(settings.home),
        "run_id": run_id,
        "at": now,
        "kinds": [_of_kind(kind, debt, [counts for *_, counts in history]) for kind, debt in debts.values()],
        "history": [{"run_id": run, "at": at, "counts": counts} for run, at, counts in history],
        "exceeded": [sentence for name, most in limits.items() if (sentence := _exceeds(debts[name][1], name, most))],
    }


@contextlib.contextmanager
def _opened(settings: Settings) -> Iterator[tuple[Home | None, Ledger | None]]:
    """Yield the home and its ledger; None where no product has run there, since looking for debt makes no home."""
    if settings.ledger is None and not (settings.home / "ledger.db").exists() and not (settings.home / "lake").exists():
        yield None, None
        return
    home = open_home(settings)
    with contextlib.closing(home.ledger()) as ledger:
        yield home, ledger


def _of_kind(kind: DebtKind, debt: Debt, earlier: Sequence[Mapping[str, int]]) -> DebtOfKind:
    before = next((counts[kind.name] for counts in earlier if kind.name in counts), None)
    return {
        "kind": kind.name,
        "title": kind.title,
        "count": debt.count if debt.measured else None,
        "change": debt.count - before if debt.measured and before is not None else None,
        "not_measured": debt.not_measured,
        "figures": [{"name": figure.name, "group": figure.group, "value": figure.value} for figure in debt.figures],
        "findings": [
            {
                "subject": finding.subject, "what": finding.what, "fix": finding.fix, "where": finding.where, "count": finding.count,
                "names": list(finding.names),
            }
            for finding in debt.findings
        ],
    }  # fmt: skip


def _limit(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if name not in DEBTS:
        raise NotThere(f"There is no kind of debt '{name}'.", nearest=nearest(name, DEBTS), fix=f"There are: {', '.join(DEBTS)}.")
    if not number.isdecimal():
        raise NotThere(f"'--fail-above {text}' names no number.", fix=f"Write the greatest count: --fail-above {name}=0.")
    return name, int(number)


def _exceeds(debt: Debt, name: str, most: int) -> str | None:
    """Return why a limit is not kept. What could not be measured is not below any limit."""
    if not debt.measured:
        return f"{name} could not be measured: {debt.not_measured}"
    return f"{name} is {debt.count}, more than {most}" if debt.count > most else None
