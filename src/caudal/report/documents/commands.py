"""What each command prints with ``--json``."""

from __future__ import annotations

from caudal.ledger.rows import DecisionRow
from caudal.registry.card import VersionCard
from caudal.report.documents.access import AccessKeyDocument, LogLine, NewKeyDocument
from caudal.report.documents.audit import AuditDocument, GuideDocument
from caudal.report.documents.comparison import CompareDocument
from caudal.report.documents.governance import (
    CatalogDocument,
    DebtDocument,
    ErasurePlan,
    ErasureProof,
    FoundDocument,
    RetainDocument,
    TraceDocument,
    VerifyDocument,
)
from caudal.report.documents.inspection import InspectDocument
from caudal.report.documents.measures import DifferencesDocument, MeasuresDocument
from caudal.report.documents.models import HistoryLine, ModelCompareDocument, VersionDocument
from caudal.report.documents.monitors import MonitorCommandDocument
from caudal.report.documents.preview import ExplainDocument, PreviewDocument
from caudal.report.documents.runs import BackfillPlan, CheckDocument, DemoDocument, GraphDocument, NewDocument, TimesDocument
from caudal.report.documents.service_levels import ServiceLevelsDocument
from caudal.report.documents.status import StatusDocument, WhyDocument
from caudal.report.documents.streams import BrokerDocument, ParityDocument, ReplayDocument, StreamDocument
from caudal.report.documents.tables import ExportDocument, QuarantineCount, QuarantinedRow
from caudal.report.documents.up import UpLine
from caudal.report.run_document import RunCommandDocument, RunDocument

# Of each command, in the order of `caudal --help`, what it prints. `up` prints one document a line.
DOCUMENTS: dict[str, object] = {
    "demo": DemoDocument,
    "new": NewDocument,
    "check": CheckDocument,
    "graph": GraphDocument,
    "run": RunCommandDocument,
    "preview": PreviewDocument,
    "explain": ExplainDocument,
    "predict": RunDocument,
    "times": TimesDocument,
    "status": StatusDocument | WhyDocument,
    "monitor": MonitorCommandDocument,
    "sla": ServiceLevelsDocument,
    "up": UpLine,
    "backfill": RunDocument | BackfillPlan,
    "stream": StreamDocument,
    "parity": ParityDocument,
    "broker": BrokerDocument,
    "replay": ReplayDocument,
    "export": ExportDocument,
    "trace": TraceDocument,
    "search": list[FoundDocument],
    "verify": VerifyDocument,
    "debt": DebtDocument,
    "retain": RetainDocument,
    "erase": ErasurePlan | ErasureProof,
    "compare": CompareDocument,
    "inspect": InspectDocument,
    "measures": MeasuresDocument | DifferencesDocument,
    "quarantine list": list[QuarantineCount],
    "quarantine show": list[QuarantinedRow],
    "quarantine replay": RunDocument,
    "model list": list[VersionDocument],
    "model show": VersionCard,
    "model promote": DecisionRow,
    "model rollback": DecisionRow,
    "model history": list[HistoryLine],
    "key add": NewKeyDocument,
    "key list": list[AccessKeyDocument],
    "key revoke": AccessKeyDocument,
    "log": list[LogLine],
    "model shadow": DecisionRow,
    "model canary": DecisionRow,
    "model withdraw": DecisionRow,
    "model compare": ModelCompareDocument,
    "audit show": AuditDocument,
    "audit guide": GuideDocument,
    "catalog build": CatalogDocument,
}
