"""Documents of lineage, catalog, checks of a home, retention and erasure."""

from __future__ import annotations

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12

from caudal.json_value import JsonObject


class TraceDocument(TypedDict):
    """``caudal trace``."""

    product: str
    table: str
    where: str | None
    hops: list[JsonObject]
    models: list[JsonObject]
    files: list[JsonObject]


class CatalogDocument(TypedDict):
    """``caudal catalog build``."""

    out: str
    pages: list[str]


class FoundDocument(TypedDict):
    """A line of ``caudal search``."""

    kind: str
    where: str
    name: str
    about: str


class FaultDocument(TypedDict):
    """A file or record that differs from what caudal wrote (``Fault``)."""

    kind: str
    product: str | None
    name: str
    path: str
    what: str
    mend: str


class FindingsDocument(TypedDict):
    """What was checked, and the faults."""

    ok: bool
    faults: list[FaultDocument]
    notes: list[str]
    checked: dict[str, int]
    bytes: int


class VerifyDocument(FindingsDocument):
    """``caudal verify``."""

    home: str
    lake: str
    deep: bool
    seconds: float


class DebtFinding(TypedDict):
    """A debt, where it is, and what to do about it."""

    subject: str
    what: str
    fix: str
    where: str | None
    count: int
    names: list[str]


class DebtFigure(TypedDict):
    """A figure beside the findings of a kind of debt."""

    name: str
    group: str | None
    value: float


class DebtOfKind(TypedDict):
    """What one kind of debt found; ``count`` is None where it could not be measured, ``change`` is since the last time that it was."""

    kind: str
    title: str
    count: int | None
    change: int | None
    not_measured: str | None
    figures: list[DebtFigure]
    findings: list[DebtFinding]


class DebtMeasured(TypedDict):
    """The counts of debt by kind at one time."""

    run_id: str
    at: float
    counts: dict[str, int]


class DebtDocument(TypedDict):
    """``caudal debt``; ``run_id`` is None where there was no home to keep the figures in."""

    product: str
    home: str
    run_id: str | None
    at: float
    kinds: list[DebtOfKind]
    history: list[DebtMeasured]
    exceeded: list[str]


class GoingDocument(TypedDict):
    """An item that retention would delete, or has deleted, by the declared times."""

    kind: str
    table: str | None
    name: str
    why: str
    files: int
    bytes: int
    rows: int


class ProtectedVersion(TypedDict):
    """A version that retention keeps although its time is over."""

    table: str
    version: int
    why: str


class RetainDocument(TypedDict):
    """``caudal retain``."""

    product: str
    done: bool
    going: list[GoingDocument]
    files: int
    bytes: int
    protected: list[ProtectedVersion]


class PlaceDocument(TypedDict):
    """A file that holds rows of the subject."""

    kind: str
    name: str
    file: str
    rows: int
    current: bool


class LearnedFrom(TypedDict):
    """A version of a model that learned from rows of the subject."""

    model: str
    version: int
    training_table: str
    training_version: int


class SubjectDocument(TypedDict):
    """The files, models and places that hold rows of a subject."""

    product: str
    column: str
    places: list[PlaceDocument]
    searched: dict[str, int]
    not_searched: list[str]
    stays: list[str]
    columns: dict[str, list[str]]
    rows: dict[str, int]
    models: list[LearnedFrom]
    origins: list[str]


class ErasurePlan(SubjectDocument):
    """``caudal erase`` without ``--yes``, or with nothing left to erase."""

    done: bool
    earlier: list[JsonObject]


class RewrittenFile(TypedDict):
    """A raw file's content hash, and that of its replacement."""

    source: str
    old_sha256: str
    new_sha256: str
    rows: int


class ErasureRun(TypedDict):
    """The run that rebuilt the tables without the subject."""

    run_id: str
    state: str


class ErasureProof(TypedDict):
    """``caudal erase --yes``: the proof, its hash, and its files."""

    erasure: str
    product: str
    owner: str | None
    column: str
    subject_sha256: str
    salt: str
    who: str
    started_at: float
    finished_at: float
    done: bool
    before: SubjectDocument
    after: SubjectDocument
    raw_files: list[RewrittenFile]
    run: ErasureRun
    sha256: str
    json: str
    page: str
