"""IAM in ministack: SageMaker's resource ARNs, condition keys, sessions of roles, and a clock that is not the caller's."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import cbor2
from ministack import app
from ministack.core import iam_actions, iam_evaluator, lambda_runtime, sigv4
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam, sts

from driftloop.twin.scaling import SERVICE

_KINDS = {
    "PipelineName": "pipeline",
    "ProcessingJobName": "processing-job",
    "TrainingJobName": "training-job",
    "TransformJobName": "transform-job",
    "ModelName": "model",
    "EndpointName": "endpoint",
    "EndpointConfigName": "endpoint-config",
    "ModelPackageGroupName": "model-package-group",
}
_ARN_FIELDS = ("ModelPackageArn", "PipelineExecutionArn", "ResourceArn")
INVOCATION = re.compile(r"/endpoints/([^/]+)/(async-)?invocations")
"""Path of a request to a model: the endpoint, and whether it is asynchronous."""


def install() -> None:
    """Teach ministack's IAM what it does not know."""
    ask_arn, ask_action, ask_context = (
        iam_actions.extract_resource_arn, iam_actions.extract_iam_action, iam_actions.request_tag_context,
    )  # fmt: skip
    pin_origin, function_credentials = iam_evaluator.pin_request_origin, lambda_runtime.execution_credentials

    def resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> str:
        if service == "ssm" and _operation(headers) == "GetParametersByPath":
            # The path stands for all parameters below it; ministack would ask for all parameters there are.
            return f"arn:aws:ssm:{region}:{account}:parameter{_json(body).get('Path', '')}"
        if service == SERVICE:
            return f"arn:aws:{SERVICE}:{region}:{account}:scalable-target/0"
        if service != "sagemaker":
            return str(ask_arn(service, method, path, headers, body, query, region, account))
        if found := INVOCATION.match(path):
            return _arn(region, account, "endpoint", found[1])
        return sagemaker_arn(_operation(headers), _json(body), region, account)

    def action(service: str, method: str, path: str, headers: Any, body: bytes, query: Any) -> str | None:
        if service == "sagemaker" and (found := INVOCATION.match(path)):
            return f"sagemaker:InvokeEndpoint{'Async' if found[2] else ''}"
        answer: str | None = ask_action(service, method, path, headers, body, query)
        return answer

    def context(service: str, iam_action: str, body: bytes, params: Any) -> dict[str, Any]:
        keys = dict(ask_context(service, iam_action, body, params))
        if iam_action == "cloudwatch:PutMetricData":
            keys["cloudwatch:namespace"] = _namespace(body, params)
        if service == SERVICE:
            names = {"service-namespace": "ServiceNamespace", "scalable-dimension": "ScalableDimension"}
            keys |= {f"{SERVICE}:{key}": _json(body).get(field) for key, field in names.items()}
        return keys

    def credentials(config: Mapping[str, Any]) -> dict[str, str]:
        found: dict[str, str] = function_credentials(config)
        _SERVICES.add(found["AWS_ACCESS_KEY_ID"])
        return found

    lambda_runtime.execution_credentials = credentials
    app._enforce_data_plane = _url_needs_both(app._enforce_data_plane)
    iam_actions.extract_resource_arn = resource_arn
    iam_actions.extract_iam_action = action
    iam_actions.request_tag_context = context
    # Policies that ask for TLS would refuse everything on a loopback address, which nobody else can listen to.
    iam_evaluator.pin_request_origin = app.pin_request_origin = lambda ip, _secure: pin_origin(ip, True)
    # Callers outside the twin sign with the machine's clock, not with the virtual one. Signatures are still verified.
    sigv4.request_time_failure = lambda _signature, **_: None
    # Policies are read anew for every request; the same text always says the same.
    parse = iam_evaluator.parse_policy_document
    parse_text = cache(parse)
    iam_evaluator.parse_policy_document = lambda document: (parse_text if isinstance(document, str) else parse)(
        document
    )
    iam_actions.SERVICE_TO_IAM_NAMESPACE |= {"sagemaker": "sagemaker", SERVICE: SERVICE}


def _url_needs_both(enforce: Callable[..., Any]) -> Callable[..., Any]:
    """Since October 2025 a function's URL asks for the permission to invoke the function, too."""

    def enforced(service: str, iam_action: str, *more: Any, **named: Any) -> Any:
        denied = enforce(service, iam_action, *more, **named)
        if denied or iam_action != "lambda:InvokeFunctionUrl":
            return denied
        context = {"lambda:InvokedViaFunctionUrl": "true"}
        return enforce(service, "lambda:InvokeFunction", *more, **{**named, "service_context": context})

    return enforced


def sagemaker_arn(operation: str, request: Mapping[str, Any], region: str, account: str) -> str:
    """The resource that a SageMaker request is authorised on; ``*`` for lists."""
    for field in _ARN_FIELDS:
        if request.get(field):
            return str(request[field])
    name = request.get("ModelPackageName")
    if name:
        return str(name) if name.startswith("arn:") else _arn(region, account, "model-package", name)
    if operation == "CreateModelPackage":
        return _arn(region, account, "model-package", f"{request.get('ModelPackageGroupName', '')}/*")
    # The thing that the operation is named after comes first: CreateEndpoint names a configuration too.
    for field in sorted(_KINDS, key=lambda f: (not operation.endswith(f.removesuffix("Name")), -len(f))):
        if request.get(field) and not operation.startswith("List"):
            value = str(request[field])
            return value if value.startswith("arn:") else _arn(region, account, _KINDS[field], value)
    return "*"


_SERVICES: set[str] = set()
"""Access keys of the functions, jobs and endpoints."""


def is_inside(access_key: str) -> bool:
    """True for the key of a function, job or endpoint: its process ends with the twin."""
    return access_key in _SERVICES


def caller(access_key: str) -> str:
    """ARN of whoever signs with a key."""
    headers = {"authorization": f"AWS4-HMAC-SHA256 Credential={access_key}/20130101/{get_region()}/sts/aws4_request"}
    return str(sts._caller_identity(headers, {})["userArn"])


def role_session(role_arn: str, name: str) -> dict[str, str]:
    """Credentials of a role, as a service gets them that assumes it: environment variables of a process."""
    digest = hashlib.sha256(f"{role_arn}|{name}".encode()).hexdigest()
    key, role = f"ASIA{digest[:16].upper()}", role_arn.rsplit("/", 1)[-1]
    session = {
        "Arn": f"arn:aws:sts::{get_account_id()}:assumed-role/{role}/{name[:64]}",
        "UserId": f"{role}:{name[:64]}",
        "SecretAccessKey": digest,
        "SessionToken": digest[::-1],
    }
    sts.register_session(key, session)
    _SERVICES.add(key)
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": digest, "AWS_SESSION_TOKEN": digest[::-1]}


def may_pass(access_key: str, role_arn: str) -> str:
    """Empty if the caller may pass the role to SageMaker and SageMaker may assume it; else the reason."""
    role = iam._roles.get(role_arn.rsplit("/", 1)[-1])
    if role is None:
        return f"role {role_arn} does not exist"
    if not _trusts(role["AssumeRolePolicyDocument"], "sagemaker.amazonaws.com"):
        return f"role {role_arn} does not trust sagemaker.amazonaws.com"
    denied = iam_evaluator.enforce(
        access_key, "iam:PassRole", "iam", get_region(), resource_arn=role_arn,
        service_context={"iam:PassedToService": "sagemaker.amazonaws.com"},
    )  # fmt: skip
    return f"the caller is not authorized to perform iam:PassRole on {role_arn}" if denied else ""


def _trusts(document: Any, service: str) -> bool:
    """True if a trust policy lets a service assume its role. Conditions are not looked at."""
    trust = json.loads(document) if isinstance(document, str) else document
    effects = {
        statement["Effect"]
        for statement in _listed(trust["Statement"])
        if isinstance(statement.get("Principal"), dict)
        and service in _listed(statement["Principal"].get("Service"))
        and {"sts:AssumeRole", "sts:*", "*"} & set(_listed(statement.get("Action")))
    }
    return effects == {"Allow"}


def _listed(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _arn(region: str, account: str, kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{region}:{account}:{kind}/{name}"


def _operation(headers: Mapping[str, str]) -> str:
    return headers.get("x-amz-target", "").rpartition(".")[2]


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _namespace(body: bytes, params: Mapping[str, Any]) -> str | None:
    value = params.get("Namespace")
    if value:
        return str(value[0] if isinstance(value, list) else value)
    decoded = _json(body) or _cbor(body)
    return decoded.get("Namespace")


def _cbor(body: bytes) -> dict[str, Any]:
    try:
        value = cbor2.loads(body)
    except (cbor2.CBORDecodeError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
