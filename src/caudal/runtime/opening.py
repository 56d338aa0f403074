"""The preparation of a run: open the home, check the product, and lock it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError

from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.errors import DeclarationProblem, EnvironmentProblem
from caudal.graph.check import check
from caudal.ledger.claim import Claim, claim
from caudal.ledger.faults import ledger_problem
from caudal.ledger.ledger import Ledger
from caudal.storage import delta
from caudal.storage.lease import lease
from caudal.storage.place import place
from caudal.tables.home import Home
from caudal.tables.views import place_kind

LEAST_FILES = 256  # Java has a file open for each of its libraries
ENOUGH_FILES = 4096


def open_home(settings: Settings) -> Home:
    """Return the home of the settings; its folder is created when it does not exist.

    Raises
    ------
    EnvironmentProblem : the folder cannot be made or written to
    DeclarationProblem : the setting online names no place of online views
    """
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentProblem(
            f"The home folder '{settings.home}' cannot be made: {error.strerror}.", fix="Give another with --home DIR."
        ) from None
    open_files()
    delta.forget_tables()
    if settings.online:
        place_kind(settings.online)
    return Home(settings.home.absolute(), settings.ledger, place(settings.lake) if settings.lake else None, settings.online)


def open_files() -> None:
    """Raise this process's limit of open files, as far as allowed and needed.

    Raises
    ------
    EnvironmentProblem : the limit is too low; libraries would fail in the middle of their work
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < LEAST_FILES:
        raise EnvironmentProblem(
            f"This process may open {most} files, and needs {LEAST_FILES}.",
            fix="Raise the limit (ulimit -Hn 4096, or LimitNOFILE of the service) and give the same command again; nothing was done.",
            limit=most,
        )


def checked_product(product: Product) -> Product:
    """Return the product if its declaration is valid.

    Raises
    ------
    DeclarationProblem : with every problem found, one a line
    """
    problems = check(product)
    if not problems:
        return product
    if len(problems) == 1:
        raise problems[0]
    raise DeclarationProblem(
        f"Product '{product.name}' has {len(problems)} problems:\n"
        + "\n".join(f"  - {problem.sentence()}" for problem in problems),
        problems=len(problems),
    )


@contextlib.contextmanager
def hold_product(home: Home, ledger: Ledger, product: Product, wait_s: float = 0.0) -> Iterator[Claim]:
    """Lock a product during the block, by a lock file in its home for this machine and by a claim in the ledger for all machines.

    Raises
    ------
    LeaseHeld : another run of the product is at work
    """
    began = time.monotonic()
    with (
        lease(home.lease(product.name), product.name, wait_s),
        claim(ledger, product.name, max(wait_s - (time.monotonic() - began), 0.0)) as product_claim,
    ):
        yield product_claim


@contextlib.contextmanager
def translate_ledger_errors() -> Iterator[None]:
    """Raise an error of the ledger's database in the block as an EnvironmentProblem.

    Raises
    ------
    EnvironmentProblem : the ledger cannot be reached or used
    """
    try:
        yield
    except DBAPIError as error:
        raise ledger_problem(error) from None
