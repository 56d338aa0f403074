"""The machine's name, its system, and who this process is."""

from __future__ import annotations

import getpass
import os
import platform
import socket
import sys
import time
from typing import Iterator

from caudal.inspection.fact import InspectedFact, InspectionProbe, known, known_if, not_known
from caudal.inspection.scope import InspectionScope, within

ORDER = 10
_NAME_S = 2.0


def findings(scope: InspectionScope) -> Iterator[InspectedFact]:
    """Yield the host's name and system, its clock, and the user, folder and program of this process."""
    name = socket.gethostname()
    yield known_if("host", "Host name", name, "gethostname", "the system has given this machine no name")
    try:
        whole = within(_NAME_S, lambda: socket.getfqdn(name))
        why = "the name service knows no longer name"
        yield known_if("fqdn", "Full name", whole if "." in whole else None, "the name service (getfqdn)", why)
    except OSError as error:
        yield not_known("fqdn", "Full name", f"the name service: {error}")
    release = dict(line.partition("=")[::2] for line in (scope.text("/etc/os-release") or "").splitlines() if "=" in line)
    pretty = release.get("PRETTY_NAME", "").strip("\"'")
    if pretty:
        yield known("system", "System", pretty, "/etc/os-release")
    else:
        yield known_if("system", "System", platform.platform(), "Python's platform module", "Python's platform module knows none")
    yield known_if("kernel", "Kernel", f"{platform.system()} {platform.release()}".strip(), "uname", "uname gives none")
    yield known_if("architecture", "Architecture", platform.machine(), "uname", "uname gives none")
    up = (scope.text("/proc/uptime") or "").split()
    yield known_if("uptime", "Up for", float(up[0]) if up else None, "/proc/uptime", "/proc/uptime is not there", "s")
    now = time.localtime()
    offset = time.strftime("%z", now)
    yield known("clock", "Clock", f"{time.strftime('%Y-%m-%d %H:%M:%S', now)} {offset}", "this process's time zone")
    try:
        user = getpass.getuser()
        number = f" (uid {os.getuid()})" if hasattr(os, "getuid") else ""
        yield known("user", "User", f"{user}{number}", "variables LOGNAME, USER, else the password database")
    except (KeyError, OSError, ImportError):
        number = f"uid {os.getuid()}" if hasattr(os, "getuid") else ""
        yield known_if("user", "User", number, "getuid; no name belongs to it", "the user has no name")
    hadoop = scope.environment.get("HADOOP_USER_NAME")
    if hadoop:
        yield known("hadoop_user", "User for Hadoop", hadoop, "variable HADOOP_USER_NAME")
    yield known("folder", "Working folder", os.getcwd(), "getcwd")
    program = getattr(sys.modules.get("__main__"), "__file__", None) or (sys.argv[0] if sys.argv else "")
    why = "it was not started from a file (a notebook, or an interpreter)"
    yield known_if("program", "Program", os.path.abspath(program) if program else None, "this process's main file", why)
    yield known("process", "Process", os.getpid(), "getpid")


PROBE = InspectionProbe("host", "Host", findings)
