"""The registries of kinds, one line for each folder. ``docs/kinds.md`` describes the form of their files.

Other packages add kinds by entry points of the group ``caudal.<second argument>``: each names a module of the same form.
"""

from __future__ import annotations

from typing import Any

from caudal.discovery import Kinds, by_class, by_constant, by_mark

Found = Kinds[Any]

EXPECTATIONS: Found = Kinds("expectation", "expectations", "caudal.stages.enforce", by_class)
FEATURES: Found = Kinds("feature", "features", "caudal.stages.features", by_mark("features"))
METRICS: Found = Kinds("metric", "metrics", "caudal.stages.metrics", by_constant("METRIC", "name"))
AUDIT_METRICS: Found = Kinds("fairness metric", "audit_metrics", "caudal.stages.audit.metrics", by_constant("METRIC", "name"))
MITIGATIONS: Found = Kinds("mitigation", "mitigations", "caudal.stages.mitigation", by_mark("mitigations"))
GATES: Found = Kinds("gate", "gates", "caudal.stages.gates", by_class)
MEASURES: Found = Kinds("measure of drift", "measures", "caudal.stages.monitor.measures", by_constant("MEASURE", "name"))
RULES: Found = Kinds("selection rule", "selection_rules", "caudal.stages.select", by_class)
DETECTORS: Found = Kinds("detector", "detectors", "caudal.stages.detect", by_class)
SIMULATORS: Found = Kinds("simulator", "simulators", "caudal.stages.simulate", by_mark("simulators"))
NETWORKS: Found = Kinds("network", "networks", "caudal.stages.images", by_constant("NETWORK", "name"))
SOURCES: Found = Kinds("source", "sources", "caudal.stages.ingest", by_mark("sources"))
FORMATS: Found = Kinds("format", "formats", "caudal.stages.ingest.formats", by_constant("FORMAT"))
PACKINGS: Found = Kinds("packing", "packings", "caudal.stages.ingest.packings", by_constant("PACKING"))
STREAM_SOURCES: Found = Kinds("stream source", "stream_sources", "caudal.stages.ingest.streams", by_constant("KIND"))
WIRES: Found = Kinds("wire", "wires", "caudal.messaging.wire", by_constant("WIRE"))
OUTLETS: Found = Kinds("outlet", "outlets", "caudal.streaming.outlets", by_constant("OUTLET"))
EXECUTORS: Found = Kinds("stream executor", "stream_executors", "caudal.streaming.executors", by_constant("EXECUTOR"))
WATCHERS: Found = Kinds("watcher", "watchers", "caudal.daemon.watchers", by_mark("watchers"))
PAGES: Found = Kinds("console page", "console_pages", "caudal.console.pages", by_constant("PAGE", "name"))
COMPILED_PARTS: Found = Kinds("part of a compiled model", "compiled_parts", "caudal.compiled.parts", by_class)
COMPILERS: Found = Kinds("compiler of estimators", "compilers", "caudal.compiled.estimators", by_constant("COMPILER", "name"))
PROBES: Found = Kinds("probe", "probes", "caudal.inspection.probes", by_constant("PROBE", "name"))
PLATFORMS: Found = Kinds("platform", "platforms", "caudal.compare.platforms", by_constant("PLATFORM", "name"))
FAULTS: Found = Kinds("fault", "faults", "caudal.compare.faults", by_constant("FAULT", "name"))
DEBTS: Found = Kinds("kind of debt", "debts", "caudal.debt.kinds", by_constant("DEBT", "name"))
VIEW_PLACES: Found = Kinds("place of online views", "view_places", "caudal.tables.view_places", by_constant("VIEW_PLACE", "name"))

WORDS: tuple[Found, ...] = (FEATURES, GATES, RULES, MITIGATIONS, DETECTORS, OUTLETS, SOURCES, STREAM_SOURCES)
"""The kinds whose function of the same name a product writes as ``cd.<name>``."""
