"""A server that plays the metadata service of Amazon's, Microsoft's or Google's cloud, by their documentation, and notes what it is asked."""

from __future__ import annotations

import http.server
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

AMAZON = {
    "accountId": "123456789012", "architecture": "x86_64", "availabilityZone": "eu-west-1b", "billingProducts": None, "imageId": "ami-0abc1234",
    "instanceId": "i-0123456789abcdef0", "instanceType": "m6i.xlarge", "privateIp": "10.0.0.7", "region": "eu-west-1", "version": "2017-09-30",
}  # fmt: skip
MICROSOFT = {
    "azEnvironment": "AzurePublicCloud", "customData": "Zq7-custom", "location": "westeurope", "name": "worker-1", "offer": "ubuntu-24_04-lts", "osType": "Linux",
    "priority": "Spot", "publisher": "canonical", "sku": "server", "subscriptionId": "8d10da13-8125-4ba9-a717-bf7490507b3d", "userData": "Zq7-user",
    "vmId": "02aab8a4-74ef-476e-8182-f6d2ba4166a6", "vmSize": "Standard_E8ds_v5", "zone": "1",
}  # fmt: skip
GOOGLE = {
    "instance/id": "3134832170416110", "instance/zone": "projects/123/zones/europe-west4-a", "instance/machine-type": "projects/123/machineTypes/n2-standard-4",
    "instance/image": "projects/cloud-dataproc/global/images/dataproc-2-2-deb12", "instance/scheduling/preemptible": "FALSE", "project/project-id": "our-project",
    "instance/attributes/dataproc-cluster-name": "nightly", "instance/attributes/dataproc-role": "Master", "instance/attributes/dataproc-region": "europe-west4",
    "instance/attributes/startup-script": "export TOKEN=Zq7-startup",
}  # fmt: skip


@dataclass
class MetadataServer:
    """A server that is up; ``asked`` are the paths in their order."""

    url: str
    asked: list[str] = field(default_factory=list)


@contextmanager
def metadata_server(cloud: str, *, version_1: bool = False) -> Iterator[MetadataServer]:
    """Yield a server of ``aws`` (version 2, which wants a token fetched by PUT, unless ``version_1``), ``azure`` or ``gcp``."""
    token = secrets.token_hex(16)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            if (
                cloud == "aws"
                and not version_1
                and self.path == "/latest/api/token"
                and self._header("X-aws-ec2-metadata-token-ttl-seconds")
            ):
                self._answer(200, token)
            else:
                self._answer(405 if cloud == "aws" else 404, "")

        def do_GET(self) -> None:
            server.asked.append(self.path)
            getattr(self, f"_{cloud}")()

        def _aws(self) -> None:
            if not version_1 and self._header("X-aws-ec2-metadata-token") != token:
                return self._answer(401, "")
            texts = {
                "/latest/dynamic/instance-identity/document": json.dumps(AMAZON, indent=2), "/latest/meta-data/instance-life-cycle": "spot",
                "/latest/meta-data/iam/security-credentials/role": "Zq7-credentials", "/latest/user-data": "Zq7-user",
            }  # fmt: skip
            return self._answer(200 if self.path in texts else 404, texts.get(self.path, ""))

        def _azure(self) -> None:
            if self._header("Metadata") != "true" or "X-Forwarded-For" in self.headers:
                return self._answer(400, "{}")
            is_asked = self.path == "/metadata/instance/compute?api-version=2021-02-01"
            return self._answer(200 if is_asked else 404, json.dumps(MICROSOFT) if is_asked else "{}")

        def _gcp(self) -> None:
            if self._header("Metadata-Flavor") != "Google":
                return self._answer(403, "")
            text = GOOGLE.get(self.path.removeprefix("/computeMetadata/v1/"))
            return self._answer(404 if text is None else 200, text or "", {"Metadata-Flavor": "Google"})

        def _header(self, name: str) -> str | None:
            return self.headers.get(name)

        def _answer(self, code: int, text: str, headers: dict[str, str] | None = None) -> None:
            self.send_response(code)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = MetadataServer(f"http://127.0.0.1:{listening.server_port}")
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
