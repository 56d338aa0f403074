"""The clouds' metadata services: what a machine may ask about itself, without any login. Credentials, user data and keys are never asked for."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any, Mapping, Optional
from urllib.parse import urlsplit

from caudal.inspection.scope import InspectionScope, within

_AMAZON_TOKEN_S = "60"  # noqa: S105 the seconds for which a token of the service is good


@dataclass(frozen=True)
class MetadataAnswer:
    """What a metadata service says of this machine.

    Parameters
    ----------
    cloud : ``aws``, ``azure`` or ``gcp``; None where none answers
    how : which service at which address; without an answer, why
    facts : account, region, zone, machine_type, id, image, lifecycle, as far as it says them
    attributes : Google's attributes of a machine that clusters set, by name
    """

    cloud: Optional[str]
    how: str
    facts: Mapping[str, str]
    attributes: Mapping[str, str]


def metadata_answer(scope: InspectionScope) -> MetadataAnswer:
    """Return the answer of the one metadata service that there is; asked once."""
    return scope.once("metadata", lambda: _ask(scope))


def _ask(scope: InspectionScope) -> MetadataAnswer:
    place = urlsplit(scope.metadata)
    host, port = place.hostname or "", place.port or 80
    if scope.environment.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return _nothing("AWS_EC2_METADATA_DISABLED is true: no metadata service was asked")
    try:  # an address that nothing answers at costs one time-out instead of three
        within(scope.timeout_s + 0.5, lambda: socket.create_connection((host, port), scope.timeout_s).close())
    except OSError as error:
        why = f"within {scope.timeout_s:g} s" if isinstance(error, TimeoutError) else f"({error.strerror or error})"
        return _nothing(f"no metadata service answers at {host} {why}")
    refusals = []
    for service in (_amazon, _google, _microsoft):
        try:
            return service(scope)
        except OSError as error:
            refusals.append(str(error))
    return _nothing("; ".join(refusals))


def _nothing(why: str) -> MetadataAnswer:
    return MetadataAnswer(None, why, {}, {})


def _amazon(scope: InspectionScope) -> MetadataAnswer:
    """Ask EC2's service, version 2 (a session token, fetched by PUT), else version 1."""
    base = scope.metadata
    headers: dict[str, str] = {}
    version = "IMDSv2"
    try:
        token, _ = scope.get(f"{base}/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": _AMAZON_TOKEN_S}, "PUT")
        headers = {"X-aws-ec2-metadata-token": token}
    except OSError as error:
        if "answers" not in str(error):  # a container beyond the hop limit gets no token
            raise OSError(f"{error}; where this is EC2, its hop limit for containers may be 1") from None
        version = "IMDSv1"
    identity = _mapping(scope.get(f"{base}/latest/dynamic/instance-identity/document", headers)[0], base)
    facts = {
        "account": identity.get("accountId"), "region": identity.get("region"), "zone": identity.get("availabilityZone"),
        "machine_type": identity.get("instanceType"), "id": identity.get("instanceId"), "image": identity.get("imageId"),
        "lifecycle": _optional(scope, f"{base}/latest/meta-data/instance-life-cycle", headers),
    }  # fmt: skip
    if not facts["id"]:
        raise OSError(f"{base} answers as EC2's service does, but names no instance")
    return MetadataAnswer("aws", f"EC2's metadata service ({version}) at {base}", _texts(facts), {})


def _google(scope: InspectionScope) -> MetadataAnswer:
    base, headers = f"{scope.metadata}/computeMetadata/v1", {"Metadata-Flavor": "Google"}
    number, answered = scope.get(f"{base}/instance/id", headers)
    if {name.lower(): value for name, value in answered.items()}.get("metadata-flavor") != "Google":
        raise OSError(f"{base} does not answer as Google's service does")

    def last(path: str) -> str | None:
        text = _optional(scope, f"{base}/{path}", headers)
        return text.rpartition("/")[2] if text else None

    zone = last("instance/zone")
    facts = {
        "account": last("project/project-id"), "region": zone.rpartition("-")[0] if zone else None, "zone": zone,
        "machine_type": last("instance/machine-type"), "id": number, "image": last("instance/image"),
        "lifecycle": {"TRUE": "preemptible", "FALSE": "on demand"}.get(last("instance/scheduling/preemptible") or ""),
    }  # fmt: skip
    names = ("dataproc-cluster-name", "dataproc-role", "dataproc-region")
    attributes = {name: _optional(scope, f"{base}/instance/attributes/{name}", headers) for name in names}
    return MetadataAnswer("gcp", f"Compute Engine's metadata service at {scope.metadata}", _texts(facts), _texts(attributes))


def _microsoft(scope: InspectionScope) -> MetadataAnswer:
    url = f"{scope.metadata}/metadata/instance/compute?api-version=2021-02-01"
    instance = _mapping(scope.get(url, {"Metadata": "true"})[0], scope.metadata)
    zone = instance.get("zone")
    facts = {
        "account": instance.get("subscriptionId"), "region": instance.get("location"), "zone": zone, "machine_type": instance.get("vmSize"),
        "id": instance.get("vmId"), "image": ":".join(str(instance[name]) for name in ("publisher", "offer", "sku") if instance.get(name)),
        "lifecycle": {"Spot": "spot", "Regular": "on demand"}.get(str(instance.get("priority"))),
    }  # fmt: skip
    if not facts["id"]:
        raise OSError(f"{scope.metadata} answers as Azure's service does, but names no machine")
    return MetadataAnswer("azure", f"Azure's metadata service at {scope.metadata}", _texts(facts), {})


def _mapping(text: str, base: str) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise OSError(f"{base} answers with what is no JSON object")
    return document


def _optional(scope: InspectionScope, url: str, headers: Mapping[str, str]) -> str | None:
    try:
        return scope.get(url, headers)[0].strip()
    except OSError:
        return None


def _texts(facts: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in facts.items() if value}
