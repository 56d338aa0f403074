"""A person's rows in the files in which servers log requests, until these are landed; and the logged requests that are older than they are kept."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from caudal.declarations.node import Source
from caudal.declarations.product import Product
from caudal.declarations.requests import Requests
from caudal.governance.held import Occurrence
from caudal.governance.identity import Person
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import landed
from caudal.ledger.rows import LandedRow
from caudal.messaging.request_files import RequestLines, all_files, read_request_lines, rewrite, take_all
from caudal.messaging.request_tables import requests_table
from caudal.tables import erased
from caudal.tables.home import Home


def request_sources(product: Product) -> dict[str, tuple[Source, Requests]]:
    """Return the sources of requests by name."""
    return {
        name: (source, source.connection) for name, source in product.sources.items() if isinstance(source.connection, Requests)
    }


def columns_in_files(home: Home, product: Product, source: str) -> set[str]:
    """Return the columns of the requests of a source that are not landed yet."""
    return {name for file in all_files(home.requests(product.name, source)) for name, _ in read_request_lines(file).columns}


def search_requests(
    product: Product, home: Home, who: Person, columns: Mapping[str, set[str]], searched: dict[str, int], not_searched: list[str]
) -> Iterator[Occurrence]:
    """Yield the files with requests of the subject that are not landed yet."""
    for name in request_sources(product).keys() & columns.keys():
        files = all_files(home.requests(product.name, name))
        if files:
            searched[f"requests/{name}"] = len(files)
        for file in files:
            try:
                count = sum(_is_subject(read_request_lines(file), columns[name], who))
            except FileNotFoundError:  # its server has finished it meanwhile, under another name
                not_searched.append(f"the file {file.name} of {name} was finished by its server during the search: search again")
                continue
            if count:
                yield Occurrence("requests", name, file.name, count, True)


def remove_requests(product: Product, home: Home, who: Person, columns: Mapping[str, set[str]]) -> None:
    """Take the files of requests that are not landed yet, also from servers that run, and write them without the subject's rows."""
    for name in request_sources(product).keys() & columns.keys():
        for file in take_all(home.requests(product.name, name)):
            lines = read_request_lines(file)
            mask = _is_subject(lines, columns[name], who)
            if any(mask):
                rewrite(file, lines.columns, [row for row, is_mine in zip(lines.rows, mask, strict=True) if not is_mine])


def old_requests(home: Home, ledger: Ledger, product: str, source: str, before: float) -> tuple[list[Path], list[LandedRow]]:
    """Return the files that are not landed yet, and the landed ones, whose newest row is older than a time in seconds since 1970."""
    files = [file for file in all_files(home.requests(product, source)) if file.stat().st_mtime <= before]
    rows = [row for row in ledger.find(landed, product=product, source=source, kind="data") if row["modified_ns"] / 1e9 <= before]
    return files, rows


def _is_subject(lines: RequestLines, columns: Collection[str], who: Person) -> list[bool]:
    table = requests_table(lines)
    mine = [False] * len(lines.rows)
    for name in table.column_names:
        mask = erased.array_mask(table.column(name), name, set(columns), who.is_it).to_pylist()
        mine = [one or bool(other) for one, other in zip(mine, mask, strict=True)]
    return mine
