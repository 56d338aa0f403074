"""Configuration files of Spark, Hive and Hadoop: where they lie, and what they set."""

from __future__ import annotations

import re
from typing import Iterator
from xml.etree import ElementTree

from caudal.inspection.scope import InspectionScope

_VARIABLES = ("SPARK_CONF_DIR", "HIVE_CONF_DIR", "HADOOP_CONF_DIR", "YARN_CONF_DIR")
_USUAL = ("/etc/spark/conf", "/etc/hive/conf", "/etc/hadoop/conf", "/databricks/hive/conf", "/databricks/spark/conf")


def configuration_folders(scope: InspectionScope) -> list[str]:
    """Return the folders that may hold configuration, those of variables first."""
    folders = [scope.environment[name] for name in _VARIABLES if scope.environment.get(name)]
    homes = (scope.environment.get(name) for name in ("SPARK_HOME", "HIVE_HOME"))
    folders += [f"{home.rstrip('/')}/conf" for home in homes if home]
    return list(dict.fromkeys([*folders, *_USUAL]))


def site_settings(scope: InspectionScope, file: str) -> tuple[dict[str, str], str] | None:
    """Return the settings of the first file of this name (``hive-site.xml``), and its path; None where there is none that can be read."""
    for folder in configuration_folders(scope):
        text = scope.text(f"{folder}/{file}")
        if text is None:
            continue
        try:
            properties = ElementTree.fromstring(text).iter("property")  # noqa: S314 the machine's own file
        except ElementTree.ParseError:
            continue
        pairs = ((each.findtext("name") or "", each.findtext("value") or "") for each in properties)
        return {name.strip(): value.strip() for name, value in pairs}, f"{folder}/{file}"
    return None


def default_settings(scope: InspectionScope) -> tuple[dict[str, str], str] | None:
    """Return the settings of the first ``spark-defaults.conf``, and its path; None where there is none."""
    for folder in configuration_folders(scope):
        text = scope.text(f"{folder}/spark-defaults.conf")
        if text is not None:
            return dict(_pairs(text)), f"{folder}/spark-defaults.conf"
    return None


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            name, *value = re.split(r"[\s=:]+", line.strip(), maxsplit=1)
            yield name, value[0] if value else ""
