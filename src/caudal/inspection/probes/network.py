"""Network: interfaces with addresses, the way out, name servers, proxies."""

from __future__ import annotations

import socket
import struct
from typing import Any, Iterator

from caudal.inspection.fact import InspectedFact, InspectionProbe, known, known_if, not_known
from caudal.inspection.scope import InspectionScope

ORDER = 60
_ASK_ADDRESS = 0x8915  # SIOCGIFADDR
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")


def findings(scope: InspectionScope) -> Iterator[InspectedFact]:
    """Yield interfaces, gateway, name servers and proxies."""
    folder = scope.path("/sys/class/net")
    if folder.is_dir():
        rows = [_interface(scope, entry.name) for entry in sorted(folder.iterdir()) if entry.is_dir()]
        yield known_if(
            "interfaces", "Interfaces", rows, "/sys/class/net, SIOCGIFADDR, /proc/net/if_inet6", "/sys/class/net is empty"
        )
    else:
        yield not_known("interfaces", "Interfaces", "there is no /sys/class/net")
    yield _gateway(scope)
    resolve = scope.text("/etc/resolv.conf")
    servers = [words[1] for line in (resolve or "").splitlines() if len(words := line.split()) > 1 and words[0] == "nameserver"]
    why = "there is no /etc/resolv.conf" if resolve is None else "/etc/resolv.conf names none"
    yield known_if("name_servers", "Name servers", servers, "/etc/resolv.conf", why)
    proxies = {name: value for name, value in sorted(scope.environment.items()) if name.lower() in _PROXIES and value}
    if not proxies:
        yield known("proxies", "Proxies", "none", f"none of the variables {', '.join(_PROXIES)} is set")
    for name, value in proxies.items():
        yield known("proxies", "Proxy" if "no_" not in name.lower() else "No proxy for", value, f"variable {name}")


def _interface(scope: InspectionScope, name: str) -> dict[str, Any]:
    speed = scope.number(f"/sys/class/net/{name}/speed")
    return {
        "interface": name,
        "state": scope.text(f"/sys/class/net/{name}/operstate") or "",
        "addresses": ", ".join([*_version_4(name), *_version_6(scope, name)]),
        "mtu": scope.number(f"/sys/class/net/{name}/mtu"),
        "megabits_per_s": speed if speed is not None and speed > 0 else None,
    }


def _version_4(name: str) -> list[str]:
    """Return the first IPv4 address of an interface, by the kernel."""
    try:
        import fcntl  # not on Windows

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            answer = fcntl.ioctl(asking.fileno(), _ASK_ADDRESS, struct.pack("256s", name.encode()[:15]))
        return [socket.inet_ntoa(answer[20:24])]
    except (OSError, ImportError):
        return []


def _version_6(scope: InspectionScope, name: str) -> list[str]:
    lines = (line.split() for line in (scope.text("/proc/net/if_inet6") or "").splitlines())
    return [socket.inet_ntop(socket.AF_INET6, bytes.fromhex(words[0])) for words in lines if len(words) == 6 and words[5] == name]


def _gateway(scope: InspectionScope) -> InspectedFact:
    routes = scope.text("/proc/net/route")
    if routes is None:
        return not_known("gateway", "Default route", "there is no /proc/net/route")
    for line in routes.splitlines()[1:]:
        words = line.split()
        if len(words) > 7 and words[1] == "00000000" and words[7] == "00000000":
            address = socket.inet_ntoa(struct.pack("<L", int(words[2], 16)))
            return known("gateway", "Default route", f"{address} by {words[0]}", "/proc/net/route")
    return known("gateway", "Default route", "none", "/proc/net/route has no default route of IPv4")


PROBE = InspectionProbe("network", "Network", findings)
