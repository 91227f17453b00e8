"""moto as a record store: SageMaker's registry, models, configurations, pipeline definitions; and scaling targets."""

from __future__ import annotations

import http.client
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from moto.applicationautoscaling.models import applicationautoscaling_backends
from moto.sagemaker.models import sagemaker_backends
from moto.server import ThreadedMotoServer

from driftloop.twin.errors import ApiError, invalid, missing

Request = Mapping[str, Any]
_CARD = "driftloop_model_card"


class MotoRecords:
    """Performs SageMaker operations in moto, with what moto lacks or gets wrong mended."""

    def __init__(self, account: str, region: str) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        self._address = self._server.get_host_and_port()
        self._region = region
        self._backend = sagemaker_backends[account][region]
        self._scaling = applicationautoscaling_backends[account][region]
        self._mended: dict[str, Callable[[Request], dict[str, Any]]] = {
            "CreateEndpointConfig": self._create_config,
            "DeleteModelPackage": self._delete_package,
            "DeleteModelPackageGroup": self._delete_group,
            "CreateModelPackage": self._create_package,
            "DescribeModelPackage": self._describe_package,
            "UpdateModelPackage": self._update_package,
        }

    def call(self, operation: str, request: Request) -> dict[str, Any]:
        """Perform one operation. Raises ApiError."""
        mended = self._mended.get(operation)
        return mended(request) if mended else self._ask(operation, request)

    def scale(self, operation: str, request: Request) -> dict[str, Any]:
        """Perform one operation of Application Auto Scaling. Raises ApiError."""
        return self._ask(operation, request, "application-autoscaling", "AnyScaleFrontendService")

    def _ask(
        self, operation: str, request: Request, service: str = "sagemaker", target: str = "SageMaker"
    ) -> dict[str, Any]:
        connection = http.client.HTTPConnection(*self._address, timeout=30)
        scope = f"Credential=twin/20130101/{self._region}/{service}/aws4_request"
        headers = {
            "X-Amz-Target": f"{target}.{operation}",
            "Content-Type": "application/x-amz-json-1.1",
            "Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0",
        }
        connection.request("POST", "/", json.dumps(request), headers)
        answer = connection.getresponse()
        body = json.loads(answer.read() or b"{}")
        connection.close()
        if answer.status >= 400:
            code = str(body.get("__type", "InternalFailure")).rpartition("#")[2]
            raise _refusal(code, str(body.get("message") or body.get("Message") or code), answer.status)
        return dict(body)

    def _create_config(self, request: Request) -> dict[str, Any]:
        # moto forgets shadow variants; with them added to its record, it tells them, too.
        shadows = request.get("ShadowProductionVariants", [])
        for variant in shadows:
            self._ask("DescribeModel", {"ModelName": variant["ModelName"]})
        answer = self._ask("CreateEndpointConfig", request)
        if shadows:
            record = self._backend.endpoint_configs[request["EndpointConfigName"]]
            vars(record)["shadow_production_variants"] = shadows
        return answer

    def _create_package(self, request: Request) -> dict[str, Any]:
        return self._with_card(self._ask("CreateModelPackage", request), request)

    def _describe_package(self, request: Request) -> dict[str, Any]:
        answer = self._ask("DescribeModelPackage", request)
        card = getattr(self._package(answer["ModelPackageArn"]), _CARD, None)
        return {**answer, "ModelCard": card} if card else answer

    def _update_package(self, request: Request) -> dict[str, Any]:
        # moto forgets the approval and the customer metadata that an update does not name.
        package = self._package(request["ModelPackageArn"])
        kept = {
            "ModelApprovalStatus": package.model_approval_status,
            "CustomerMetadataProperties": package.customer_metadata_properties or {},
        }
        if "ModelApprovalStatus" not in request and package.approval_description:
            kept["ApprovalDescription"] = package.approval_description
        properties = {**kept["CustomerMetadataProperties"], **request.get("CustomerMetadataProperties", {})}
        answer = self._ask("UpdateModelPackage", {**kept, **request, "CustomerMetadataProperties": properties})
        return self._with_card(answer, request)

    def _with_card(self, answer: dict[str, Any], request: Request) -> dict[str, Any]:
        """moto knows no model cards, so they are kept beside what it knows of a version."""
        if "ModelCard" in request:
            package = self._package(answer["ModelPackageArn"])
            setattr(package, _CARD, {**getattr(package, _CARD, {}), **request["ModelCard"]})
        return answer

    def _delete_package(self, request: Request) -> dict[str, Any]:
        package = self._package(request["ModelPackageName"])
        packages, names = self._backend.model_packages, self._backend.model_package_name_mapping
        for key in [key for key, value in packages.items() if value is package]:
            del packages[key]
            for alias in [alias for alias, target in names.items() if target == key]:
                del names[alias]
        return {}

    def _delete_group(self, request: Request) -> dict[str, Any]:
        name = request["ModelPackageGroupName"]
        if name not in self._backend.model_package_groups:
            raise missing("model package group", name)
        if self._ask("ListModelPackages", {"ModelPackageGroupName": name})["ModelPackageSummaryList"]:
            raise ApiError("ConflictException", f"Model package group {name!r} still has model packages.")
        del self._backend.model_package_groups[name]
        return {}

    def _package(self, arn: str) -> Any:
        for package in self._backend.model_packages.values():
            if package.arn == arn:
                return package
        raise missing("model package", arn)

    def sign(self, arn: str, who: str, created: bool) -> None:
        """Note who registered a version, or changed it last; moto would say that a profile of its own did."""
        package, person = self._package(arn), {"IamIdentity": {"Arn": who, "PrincipalId": who.rpartition("/")[2]}}
        package.last_modified_by = person
        if created:
            package.created_by = person

    def save(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """All records."""
        return vars(self._backend), vars(self._scaling)

    def load(self, state: tuple[Mapping[str, Any], Mapping[str, Any]]) -> None:
        """Put them back."""
        for backend, records in zip((self._backend, self._scaling), state, strict=True):
            vars(backend).update(records)

    def stop(self) -> None:
        """End the server."""
        self._server.stop()


def _refusal(code: str, message: str, status: int) -> ApiError:
    if message.startswith("No scalable target found"):
        return ApiError("ObjectNotFoundException", message)
    # SageMaker words what is missing in one way, moto in several.
    if "not found" in message.lower() and "could not find" not in message.lower():
        return invalid(f"Could not find the resource: {message}")
    return ApiError(code, message, status)
