"""``audit:<model>``: figures of groups of the newest version's test rows, from the counts that its training left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from caudal.batch.step import StepResult, up_to_date
from caudal.declarations.audit import Audit
from caudal.declarations.model import Model
from caudal.errors import DeclarationProblem, StepFailed, nearest
from caudal.graph.fingerprint import code_of, digest
from caudal.json_value import JsonObject
from caudal.ledger.ledger import Ledger
from caudal.ledger.measurements import Measurement, add_measurements, measurements
from caudal.ledger.records import candidates, model_versions
from caudal.ledger.rows import ModelVersionRow
from caudal.runtime.workspace import Workspace
from caudal.stages.audit.audited import Audited, audited
from caudal.stages.audit.counts import GroupCounts, column_groups, count_groups, from_documents, group_codes, group_rows
from caudal.stages.audit.figures import AuditFigure, GroupFigures, Grouping, require_reference
from caudal.stages.audit.resample import INTERVALS

if TYPE_CHECKING:
    import pandas as pd

    from caudal.stages.gates.evidence import Evidence

COUNTS = "audit_counts"
MAX_GROUPS = 100
MAX_CELLS = 500


@dataclass
class Counting:
    """Counts the test rows of every candidate while its predictions are in memory; the counts become measurements of the version."""

    audit: Audit
    counts: dict[str, GroupCounts] = field(default_factory=dict)

    @classmethod
    def of(cls, audit: Audit, model: Model, frame: pd.DataFrame) -> Counting:
        """Return the counting for a training on some features, after a look at the groups: a mistake is told before anything is trained.

        Raises
        ------
        DeclarationProblem : a column is missing, has too many groups, or lacks the declared reference
        """
        subject, where = f"The audit of model '{audit.model}'", str(audit.where or "")
        for column in audit.by:
            if column not in frame.columns:
                raise DeclarationProblem(
                    f"{subject} groups rows by '{column}', which features '{model.features}' do not have.",
                    nearest=nearest(column, map(str, frame.columns)), fix="List it in the features' keep=[...].", where=where,
                )  # fmt: skip
            _, names = column_groups(frame[column])
            if len(names) > MAX_GROUPS:
                raise DeclarationProblem(
                    f"{subject} groups rows by '{column}', which has {len(names):,} values; at most {MAX_GROUPS} groups are compared.",
                    fix="Let the features give a column of ranges or classes instead.", where=where, column=column,
                )  # fmt: skip
            require_reference(audit.reference, column, names, subject, where)
        _, groups = group_codes(frame[list(audit.by)])
        if len(groups) > MAX_CELLS:
            raise DeclarationProblem(
                f"{subject} groups rows by {' × '.join(audit.by)}, which has {len(groups):,} combinations; at most {MAX_CELLS} are counted.",
                fix="Name fewer columns, or columns with fewer values.", where=where,
            )  # fmt: skip
        return cls(audit)

    def count(self, evidence: Evidence) -> None:
        """Count the test rows of all folds by group, label and prediction, for each candidate that gave predictions."""
        rows, tested, positive = evidence.rows, evidence.tested, self.audit.positive
        if positive is not None and rows.classes is not None and positive not in rows.classes:
            raise DeclarationProblem(
                f"The audit of model '{self.audit.model}' takes '{positive}' as the positive class, which no row is of.",
                nearest=nearest(positive, rows.classes), fix=f"The classes are: {', '.join(rows.classes[:20])}.",
                where=str(self.audit.where or ""),
            )  # fmt: skip
        grouped, label = group_rows(rows.frame[list(self.audit.by)].iloc[tested]), rows.y.iloc[tested]
        for name, evaluation in evidence.evaluated.items():
            if evaluation.predictions:
                self.counts[name] = count_groups(grouped, label, evidence.predicted(name), classes=rows.classes, positive=positive)

    def measurements(self, version: ModelVersionRow) -> list[Measurement]:
        """Return the counts as measurements of a version: one for each candidate and finest group."""
        return [
            Measurement(
                version["product"], version["run_id"], version["created_at"], "model", version["model"], COUNTS, float(rows), count=int(rows),
                group_by=counts.by, group_value=group, version=version["version"] if name == version["candidate"] else None,
                detail={"audit": "counts", "candidate": name, **document},
            )
            for name, counts in self.counts.items()
            for group, rows, document in zip(counts.groups, counts.rows, counts.documents(), strict=True)
        ]  # fmt: skip


def work(ws: Workspace, audit: Audit) -> StepResult:
    """Compute the figures of the newest version unless that was done before, and write them as measurements."""
    ledger, product = ws.record.ledger, ws.product.name
    version = next(iter(ledger.find(model_versions, product=product, model=audit.model, newest=True, limit=1)), None)
    if version is None:
        raise StepFailed(f"There is no version of '{audit.model}' to audit.", fix="Run the product again.", model=audit.model)
    fingerprint = digest(code_of(audit), version["version"])
    inputs = {audit.model: version["version"]}
    if done := up_to_date(ledger.last_success(product, f"audit:{audit.model}"), fingerprint, inputs, version["version"]):
        return done
    counts = counts_of(ledger, version)
    if not counts:
        raise StepFailed(
            f"Version {version['version']} of '{audit.model}' was trained without counts of groups.", fix="Run the product again.",
            model=audit.model,
        )  # fmt: skip
    by_candidate = {
        name: audited(
            of_candidate, audit.groupings, metrics=audit.metrics, reference=audit.reference, min_rows=audit.min_rows, seed=audit.seed
        )
        for name, of_candidate in counts.items()
    }  # fmt: skip
    writing = _Writing(ws.record.run_id, ws.record.clock(), version, audit)
    add_measurements(
        ledger, *(each for name, figures in by_candidate.items() for each in writing.candidate(name, counts[name], figures))
    )
    chosen = by_candidate[version["candidate"]]
    groups = [group for grouping in chosen.groupings for group in grouping.groups]
    small = sum(group.small for group in groups)
    note = f"{len(groups)} groups, {len(by_candidate)} candidates" + (
        f"; {small} groups under {audit.min_rows} rows" if small else ""
    )
    return StepResult(
        fingerprint=fingerprint, inputs=inputs, output_version=version["version"], rows_read=chosen.overall.rows,
        detail={"note": note, "model_version": version["version"]},
    )  # fmt: skip


def counts_of(ledger: Ledger, version: ModelVersionRow) -> dict[str, GroupCounts]:
    """Return the counts that the training of a version left, by candidate in the order of training."""
    found: dict[str, list[Measurement]] = {}
    rows = measurements(
        ledger, product=version["product"], subject=version["model"], subject_kind="model", run_id=version["run_id"], metric=COUNTS
    )
    for row in reversed(rows):
        found.setdefault(str(row.detail["candidate"]), []).append(row)
    order = [
        row["candidate"]
        for row in ledger.find(candidates, product=version["product"], model=version["model"], run_id=version["run_id"])
    ]
    return {
        name: from_documents(found[name][0].group_by, [list(map(str, row.group_value)) for row in found[name]], [row.detail for row in found[name]])
        for name in sorted(found, key=lambda name: order.index(name) if name in order else len(order))
    }  # fmt: skip


@dataclass(frozen=True)
class _Writing:
    """Writes an audit's figures as measurements of a version."""

    run_id: str
    at: float
    version: ModelVersionRow
    audit: Audit

    def candidate(self, name: str, counts: GroupCounts, figures: Audited) -> Iterator[Measurement]:
        """Yield the figures of a candidate: of all rows, of each group, between groups."""
        about: JsonObject = {"candidate": name, "chosen": name == self.version["candidate"], "interval": INTERVALS[counts.form]}
        options: JsonObject = {
            "positive": counts.positive, "form": counts.form, "min_rows": self.audit.min_rows, "notes": list(figures.notes),
            "by": [list(columns) for columns in self.audit.groupings],
        }  # fmt: skip
        yield self._measurement("rows", float(figures.overall.rows), about | options | {"audit": "overall"}, figures.overall.rows)
        for metric, figure in figures.overall.figures.items():
            yield from self._figure(metric, figure, about | {"audit": "overall"}, figures.overall.rows)
        for grouping in figures.groupings:
            for group in grouping.groups:
                yield from self._group(grouping, group, about)
            for metric, between in grouping.between.items():
                detail: JsonObject = {
                    "audit": "between", "by": list(grouping.by), "part": between.part,
                    "lowest": _listed(between.lowest), "highest": _listed(between.highest),
                }  # fmt: skip
                rows = sum(group.rows for group in grouping.groups if not group.small)
                yield from self._figure(metric, between.figure, about | detail, rows)

    def _group(self, grouping: Grouping, group: GroupFigures, about: JsonObject) -> Iterator[Measurement]:
        common: JsonObject = about | {"audit": "group", "small": group.small}
        yield self._measurement("rows", float(group.rows), common, group.rows, grouping.by, group.group)
        for metric, figure in group.figures.items():
            detail: JsonObject = common | {"reference": metric in group.references, "differs": group.differs(metric)}
            if metric in group.differences:
                detail |= {"difference": _triple(group.differences[metric]), "ratio": _triple(group.ratios[metric])}
            yield from self._figure(metric, figure, detail, group.rows, grouping.by, group.group)

    def _figure(
        self, metric: str, figure: AuditFigure, detail: JsonObject, rows: int, by: Sequence[str] = (), group: Sequence[str] = ()
    ) -> Iterator[Measurement]:
        if figure.value is not None:
            yield self._measurement(metric, figure.value, detail, rows, by, group, (figure.low, figure.high))

    def _measurement(
        self,
        metric: str,
        value: float,
        detail: JsonObject,
        rows: int,
        by: Sequence[str] = (),
        group: Sequence[str] = (),
        ends: tuple[float | None, float | None] = (None, None),
    ) -> Measurement:
        return Measurement(
            self.version["product"], self.run_id, self.at, "model", self.version["model"], metric, value, *ends, count=rows,
            group_by=tuple(by), group_value=tuple(group), version=self.version["version"] if detail["chosen"] else None, detail=detail,
        )  # fmt: skip


def _triple(figure: AuditFigure) -> list[Any]:
    return [figure.value, figure.low, figure.high]


def _listed(group: Sequence[str] | None) -> list[Any] | None:
    return None if group is None else list(group)


STEPS = {("audit", "audit"): work}
"""The work of the step."""
