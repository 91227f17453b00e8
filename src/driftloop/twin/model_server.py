"""Serves one model archive through SageMaker's inference toolkit. Stand-alone: run as a script, never imported.

``python model_server.py MODEL_DIR``: loads the user's ``inference.py`` from MODEL_DIR/code with sagemaker-inference, which calls
the same functions as the containers' own server (sagemaker-containers), says on which loopback port it listens, and
ends when its standard input closes.
"""

from __future__ import annotations

import os
import socketserver
import struct
import sys
import threading
from io import BufferedIOBase
from pathlib import Path

model_dir = sys.argv[1]
sys.path.insert(0, str(Path(model_dir) / "code"))

from sagemaker_inference.transformer import Transformer  # noqa: E402


class Context:
    """What the toolkit reads and writes of the model server's request."""

    def __init__(self, content_type: str, accept: str) -> None:
        self.system_properties = {"model_dir": model_dir, "gpu_id": None}
        self.request_processor = [self]
        self.status, self.content_type = 200, accept
        self._headers = {"Content-Type": content_type, "Accept": accept}

    def get_request_properties(self) -> dict[str, str]:
        return self._headers

    def set_response_status(self, code: int, phrase: str) -> None:
        self.status = code

    def set_response_content_type(self, _index: int, value: str) -> None:
        self.content_type = value


def receive(stream: BufferedIOBase) -> bytes | None:
    head = stream.read(4)
    if len(head) < 4:
        return None
    return stream.read(struct.unpack("!I", head)[0])


def send(stream: BufferedIOBase, *parts: bytes) -> None:
    for part in parts:
        stream.write(struct.pack("!I", len(part)) + part)
    stream.flush()


def main() -> None:
    # What the model prints belongs into the log, wherever it prints it.
    announcement = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    service, lock = Transformer(), threading.Lock()
    service.validate_and_initialize(model_dir=model_dir)

    class Connection(socketserver.StreamRequestHandler):
        disable_nagle_algorithm = True

        def handle(self) -> None:
            while (content_type := receive(self.rfile)) is not None:
                context = Context(content_type.decode(), (receive(self.rfile) or b"").decode())
                with lock:
                    answer = service.transform([{"body": receive(self.rfile) or b""}], context)[0]
                content = answer.encode() if isinstance(answer, str) else bytes(answer)
                send(self.wfile, str(int(context.status)).encode(), context.content_type.encode(), content)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Connection)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"ready {server.server_address[1]}", file=announcement, flush=True)
    sys.stdin.read()


main()
