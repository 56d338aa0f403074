"""Which cloud the machine belongs to: its metadata service, its firmware (DMI), its variables."""

from __future__ import annotations

from typing import Iterator

from caudal.inspection.fact import InspectedFact, InspectionProbe, known, not_known
from caudal.inspection.metadata import metadata_answer
from caudal.inspection.scope import InspectionScope

ORDER = 20
CLOUDS = {"aws": "Amazon Web Services", "azure": "Microsoft Azure", "gcp": "Google Cloud"}
_DMI = "/sys/class/dmi/id"
# file of the firmware, what it says, cloud or hypervisor
_FIRMWARE = (
    ("sys_vendor", "Amazon EC2", "Amazon Web Services"),
    ("bios_vendor", "Amazon EC2", "Amazon Web Services"),
    ("bios_version", ".amazon", "Amazon Web Services"),
    ("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77", "Microsoft Azure"),
    ("product_name", "Google Compute Engine", "Google Cloud"),
    ("chassis_asset_tag", "OracleCloud", "Oracle Cloud"),
    ("sys_vendor", "Alibaba Cloud", "Alibaba Cloud"),
    ("sys_vendor", "Tencent Cloud", "Tencent Cloud"),
    ("sys_vendor", "DigitalOcean", "DigitalOcean"),
    ("sys_vendor", "Hetzner", "Hetzner"),
    ("sys_vendor", "Scaleway", "Scaleway"),
    ("sys_vendor", "OVH", "OVHcloud"),
    ("chassis_asset_tag", "HUAWEICLOUD", "Huawei Cloud"),
    ("product_name", "OpenStack", "OpenStack"),
)
_VARIABLES = (
    ("AWS_EXECUTION_ENV", "Amazon Web Services"),
    ("AWS_LAMBDA_FUNCTION_NAME", "Amazon Web Services"),
    ("ECS_CONTAINER_METADATA_URI_V4", "Amazon Web Services"),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "Amazon Web Services"),
    ("WEBSITE_INSTANCE_ID", "Microsoft Azure"),
    ("IDENTITY_ENDPOINT", "Microsoft Azure"),
    ("K_SERVICE", "Google Cloud"),
    ("CLOUD_RUN_JOB", "Google Cloud"),
)
_ACCOUNTS = {"aws": "Account", "azure": "Subscription", "gcp": "Project"}
_LABELS = {
    "region": "Region",
    "zone": "Zone",
    "machine_type": "Machine type",
    "id": "Machine id",
    "image": "Image",
    "lifecycle": "Paid as",
}


def findings(scope: InspectionScope) -> Iterator[InspectedFact]:
    """Yield the cloud with what told it, and what its metadata service says of the machine."""
    metadata = metadata_answer(scope)
    firmware = _firmware(scope)
    variable = next(((name, cloud) for name, cloud in _VARIABLES if scope.environment.get(name)), None)
    evidence = [
        *([(CLOUDS[metadata.cloud], metadata.how)] if metadata.cloud else []),
        *([firmware] if firmware else []),
        *([(variable[1], f"variable {variable[0]}")] if variable else []),
    ]
    if not evidence:
        dmi = f"the firmware ({_DMI}) names none" if scope.path(_DMI).is_dir() else f"there is no {_DMI}"
        yield not_known("cloud", "Cloud", f"{metadata.how}; {dmi}; no variable of a cloud's service is set")
    else:
        cloud = evidence[0][0]
        others = [f"{how} says {name}" for name, how in evidence if name != cloud]
        yield known("cloud", "Cloud", cloud, "; ".join([*(how for name, how in evidence if name == cloud), *others]))
        if not metadata.cloud:
            yield not_known("metadata", "Metadata service", metadata.how)
    vendor = " ".join(text for name in ("sys_vendor", "product_name") if (text := scope.text(f"{_DMI}/{name}")))
    hypervisor = scope.text("/sys/hypervisor/type")
    if vendor or hypervisor:
        how = f"{_DMI}/sys_vendor and product_name" if vendor else "/sys/hypervisor/type"
        yield known("hardware", "Hardware", vendor or hypervisor, how)
    else:
        yield not_known("hardware", "Hardware", f"there is no {_DMI}, or it says nothing")
    for name, value in metadata.facts.items():
        yield known(name, _LABELS.get(name) or _ACCOUNTS[metadata.cloud or ""], value, metadata.how)


def _firmware(scope: InspectionScope) -> tuple[str, str] | None:
    """Return the cloud that the firmware names, and where."""
    for file, mark, cloud in _FIRMWARE:
        if mark in (scope.text(f"{_DMI}/{file}") or ""):
            return cloud, f"{_DMI}/{file} is {scope.text(f'{_DMI}/{file}')}"
    if (scope.text("/sys/hypervisor/uuid") or "").lower().startswith("ec2"):  # EC2 on Xen
        return "Amazon Web Services", "/sys/hypervisor/uuid begins with ec2"
    return None


PROBE = InspectionProbe("cloud", "Cloud", findings)
