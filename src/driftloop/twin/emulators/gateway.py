"""Boots ministack and moto in this process and puts SageMaker and the twin's own door in front of them."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from email.utils import formatdate
from types import FrameType
from typing import Any

import uvicorn
from ministack import app
from ministack.core import router
from ministack.core.responses import error_response_json

from driftloop.twin.emulators import identity
from driftloop.twin.errors import ApiError
from driftloop.twin.keeping import Keeper
from driftloop.twin.requests import input_shape
from driftloop.twin.scaling import SERVICE

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Answer = tuple[int, dict[str, str], bytes]
Door = Callable[[str, Mapping[str, Any]], Any]
"""The twin's own door: (path, request) -> answer; runs in a thread."""

DOOR = "/_driftloop/"
_JSON = "application/x-amz-json-1.1"
_GRACE_SECONDS = 2.0


def route_sagemaker(
    call: Callable[[str, Mapping[str, Any], str], Any], invoke: Callable[..., Any], invoke_async: Callable[..., Any]
) -> None:
    """Answer SageMaker's API with ``call`` and its runtime with ``invoke`` and ``invoke_async``."""

    async def handle(method: str, path: str, headers: Mapping[str, str], body: bytes, _query: Any) -> Answer:
        found = identity.INVOCATION.match(path)
        if not found:
            return await _answered(call, headers, body, app.extract_access_key_id(headers, {}))
        if found[2]:
            return await _accepted(invoke_async, found[1], headers, body)
        names = ("content-type", "accept", "x-amzn-sagemaker-inference-id")
        kind, accept, inference_id = (headers.get(name, "") for name in names)
        try:
            reply, variant = await asyncio.to_thread(invoke, found[1], kind, accept, body, inference_id)
        except ApiError as error:
            return _refused(error)
        return 200, {"Content-Type": reply.content_type, "x-Amzn-Invoked-Production-Variant": variant}, reply.body

    app.SERVICE_HANDLERS["sagemaker"] = handle
    router.SERVICE_PATTERNS["sagemaker"] = {"target_prefixes": ["SageMaker."], "host_patterns": [], "path_patterns": []}


async def _accepted(invoke: Callable[..., Any], endpoint: str, headers: Mapping[str, str], body: bytes) -> Answer:
    members = input_shape("sagemaker-runtime", "InvokeEndpointAsync").members
    names = {field: shape.serialization.get("name", "").lower() for field, shape in members.items()}
    given = {field: headers[name] for field, name in names.items() if name in headers}
    content = {"Body": body} if body else {}
    try:
        waiting = await asyncio.to_thread(invoke, endpoint, {"EndpointName": endpoint, **given, **content})
    except ApiError as error:
        return _refused(error)
    places = {"X-Amzn-SageMaker-OutputLocation": waiting.output, "X-Amzn-SageMaker-FailureLocation": waiting.failure}
    told = {name: place for name, place in places.items() if place}
    return 202, {"Content-Type": "application/json", **told}, json.dumps({"InferenceId": waiting.inference_id}).encode()


async def _answered(call: Callable[..., Any], headers: Mapping[str, str], body: bytes, *more: Any) -> Answer:
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    try:
        answer = await asyncio.to_thread(call, operation, json.loads(body or b"{}"), *more)
    except ApiError as error:
        return _refused(error)
    return 200, {"Content-Type": _JSON}, json.dumps(answer).encode()


def _refused(error: ApiError) -> Answer:
    answer: Answer = error_response_json(error.code, str(error), error.status, content_type=_JSON)
    return answer


def route_scaling(call: Callable[[str, Mapping[str, Any]], Any]) -> None:
    """Answer Application Auto Scaling with ``call``."""

    async def handle(_method: str, _path: str, headers: Mapping[str, str], body: bytes, _query: Any) -> Answer:
        return await _answered(call, headers, body)

    app.SERVICE_HANDLERS[SERVICE] = handle
    targets = {"target_prefixes": ["AnyScaleFrontendService."], "host_patterns": [], "path_patterns": []}
    router.SERVICE_PATTERNS[SERVICE] = targets


def serve(
    listener: socket.socket, door: Door, keeper: Keeper | None,
    resume: Callable[[], None], on_ready: Callable[[], None], on_late: Callable[[], None],
) -> None:  # fmt: skip
    """Serve until the process is told to end; ``on_late`` is called when requests under way hold that up.

    ``resume`` is called when requests can be made and before any is answered.

    The Date header tells the machine's time, not the virtual one: the JavaScript SDK takes a difference for a broken
    clock and repeats its requests.
    """

    async def gateway(scope: Scope, receive: Receive, send: Send) -> None:
        if keeper and scope["type"] == "http":
            receive, send = _keeping(keeper, scope, receive, send)
        if scope["type"] == "http" and scope["path"].startswith(DOOR):
            await _open_door(door, scope, receive, send)
        else:
            await app.app(scope, receive, lambda message: send(_redated(message)))

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            resume()
            if keeper:
                await keeper.keep()
                self.keeping = asyncio.create_task(keeper.keep_on())
            on_ready()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            super().handle_exit(sig, frame)
            threading.Timer(_GRACE_SECONDS, on_late).start()

    config = uvicorn.Config(
        gateway,
        lifespan="on",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=75,
        http="httptools",
        date_header=False,
    )
    Server(config).run(sockets=[listener])


_READS = re.compile(rb"[.=](Describe|List|Get(?!SessionToken|FederationToken)|BatchGet|Query|Scan|Filter)[A-Za-z]*$")
"""Operations that change nothing, as the protocols that use POST for everything name them."""
_KEY = re.compile(rb"Credential=([^/]+)/")


def _keeping(keeper: Keeper, scope: Scope, receive: Receive, send: Send) -> tuple[Receive, Send]:
    """The same, but what somebody outside is told is kept before it is told."""
    headers = dict(scope["headers"])
    key = _KEY.search(headers.get(b"authorization", b""))
    operation = headers.get(b"x-amz-target", b"")
    # Who asks from inside does not outlive the twin. Requests to a model are noted one by one as they are captured.
    waits = not (
        (key and identity.is_inside(key[1].decode()))
        or identity.INVOCATION.match(scope["path"])
        or scope["path"] == f"{DOOR}status"
    )

    async def hear() -> MutableMapping[str, Any]:
        nonlocal operation
        message = await receive()
        if not operation and message.get("body", b"").startswith(b"Action="):
            operation = message["body"].partition(b"&")[0]
        return message

    async def tell(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            reads = scope["method"] in ("GET", "HEAD") or (scope["method"] == "POST" and _READS.search(operation))
            keeper.changes += not reads
            if waits and keeper.is_behind():
                await keeper.keep()
        await send(message)

    return hear, tell


_REAL = time.time() - time.monotonic()
"""Taken before the clock is moved; monotonic time is never moved."""


def _redated(message: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if message["type"] == "http.response.start":
        others = [(name, value) for name, value in message["headers"] if name.lower() != b"date"]
        now = formatdate(_REAL + time.monotonic(), usegmt=True).encode()
        return {**message, "headers": [*others, (b"date", now)]}
    return message


async def _open_door(door: Door, scope: Scope, receive: Receive, send: Send) -> None:
    body = b""
    more = True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    try:
        answer = await asyncio.to_thread(door, scope["path"].removeprefix(DOOR), json.loads(body or b"{}"))
        status, content = 200, json.dumps(answer).encode()
    except Exception as error:
        status, content = 400, json.dumps({"error": f"{type(error).__name__}: {error}"}).encode()
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
