"""Versions that are broken, or not, and approved without looking."""

from __future__ import annotations

import io
import tarfile
from functools import cache

from driftloop.names import ModelNames

from .kit import Kit

BROKEN = {
    "throws": "\n\ndef predict_fn(request, predictor):\n    raise RuntimeError('broken')\n",
    "cannot be loaded": "\n\nraise ImportError('no module named yesterday')\n",
}
"""Kind -> what is wrong with the inference.py."""
SOUND = {
    "a copy": "",
    "the opposite": "\n\n_before = probabilities\n\n\ndef probabilities(*what):\n    return 1 - _before(*what)\n",
    "always late": "\n\n_before = probabilities\n\n\ndef probabilities(*what):\n    return 0.8 + _before(*what) / 5\n",
}
"""Kind -> what is different in one that answers everything."""


def approved(kit: Kit, model: str, kind: str, **properties: str) -> str:
    """ARN of a version that a person registers and approves without looking, with properties of its own if need be."""
    champion = kit.ledger.champion(model)
    assert champion
    found = kit.client("sagemaker").describe_model_package(ModelPackageName=champion.package_arn)
    container = found["InferenceSpecification"]["Containers"][0]
    container = {
        "Image": container["Image"],
        "Environment": container["Environment"],
        "ModelDataUrl": _archive(kit, model, container["ModelDataUrl"], kind),
    }
    answer = kit.client("sagemaker").create_model_package(
        ModelPackageGroupName=ModelNames(model).base, ModelApprovalStatus="Approved",
        InferenceSpecification={**found["InferenceSpecification"], "Containers": [container]},
        CustomerMetadataProperties={**found["CustomerMetadataProperties"], "episode_id": "manual", **properties},
    )  # fmt: skip
    kit.settle()
    return str(answer["ModelPackageArn"])


@cache
def _archive(kit: Kit, model: str, uri: str, kind: str) -> str:
    """URI of a version's archive with another inference.py."""
    key = uri.partition(f"{kit.bucket('artifacts')}/")[2]
    out = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(kit.read(key, "artifacts"))) as old,
        tarfile.open(fileobj=out, mode="w:gz") as new,
    ):
        for member in old:
            content = old.extractfile(member)
            text = content.read() if content else b""
            if member.name.endswith("code/inference.py"):
                text += (BROKEN | SOUND)[kind].encode()
                member.size = len(text)
            new.addfile(member, io.BytesIO(text))
    broken = f"models/{model}/{kind.replace(' ', '-')}/model.tar.gz"
    kit.put(broken, out.getvalue(), "artifacts")
    return f"s3://{kit.bucket('artifacts')}/{broken}"
