"""A real HTTP server that misbehaves on demand."""

import contextlib
import dataclasses
import os
import re
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hal.data import download


@dataclasses.dataclass
class Server:
    """What the server holds and how it behaves; paths start with a slash."""

    url: str
    files: dict[str, bytes] = dataclasses.field(default_factory=dict)
    ranges: bool = True  # whether it honours Range
    misplaced: bool = False  # whether it answers a Range with the file's beginning
    cuts: dict[str, int] = dataclasses.field(
        default_factory=lambda: defaultdict(int)
    )  # connections to cut half way
    stalls: dict[str, int] = dataclasses.field(
        default_factory=lambda: defaultdict(int)
    )  # the same, to fall silent
    errors: dict[str, list[int]] = dataclasses.field(
        default_factory=lambda: defaultdict(list)
    )  # first answers
    unsaid: bool = False  # whether it leaves out how long an answer is
    endless: set[str] = dataclasses.field(default_factory=set)  # sent on and on, their size unsaid
    authorization: set[str] = dataclasses.field(default_factory=set)  # what was sent to be let in
    headers: dict[str, str] = dataclasses.field(default_factory=dict)  # sent with every file
    asked: list[tuple[str, int]] = dataclasses.field(default_factory=list)  # (path, first byte)
    sent: int = 0  # bytes of content
    over: threading.Event = dataclasses.field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        state: Server = self.server.state
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(match[1]) if match else 0
        state.asked.append((self.path, start))
        if "Authorization" in self.headers:
            state.authorization.add(self.headers["Authorization"])
        self.close_connection = True
        if state.errors[self.path]:
            return self.send_error(state.errors[self.path].pop(0))
        if self.path not in state.files:
            return self.send_error(404)
        whole = state.files[self.path]
        if self.path in state.endless:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):  # until the other side has enough
                while True:
                    self.wfile.write(whole)
        if not state.ranges:
            start = 0
        elif match and start >= len(whole):
            return self.send_error(416)
        first = 0 if state.misplaced else start
        body = whole[first:]
        self.send_response(206 if start else 200)
        if not state.unsaid:
            self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header("Content-Range", f"bytes {first}-{len(whole) - 1}/{len(whole)}")
        for key, value in state.headers.items():
            self.send_header(key, value)
        self.end_headers()
        for faults in (state.cuts, state.stalls):
            if faults[self.path]:
                faults[self.path] -= 1
                half = body[: len(body) // 2]
                self.wfile.write(half)
                state.sent += len(half)
                if faults is state.stalls:
                    state.over.wait(20)
                return None
        self.wfile.write(body)
        state.sent += len(body)
        return None

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def start_server(monkeypatch):
    """A function that starts one more server."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    started = []

    def start() -> Server:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        server.state = Server(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        started.append(server)
        return server.state

    yield start
    for server in started:
        server.state.over.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def server(start_server):
    return start_server()


@pytest.fixture(autouse=True)
def quick(monkeypatch, request):
    """Short pauses; and no mirror from outside but for the tests of real data."""
    monkeypatch.setattr(download, "PAUSE", 0.01)
    monkeypatch.setattr(download, "TIMEOUT", (2, 0.3))
    if "real_data" not in request.keywords:
        monkeypatch.delenv("HAL_DATA_MIRROR", raising=False)


@pytest.fixture
def real_mirror() -> Path:
    folder = os.environ.get("HAL_DATA_MIRROR", "")
    if not folder or not Path(folder, "mnist").is_dir():
        pytest.skip("HAL_DATA_MIRROR names no folder with mnist/ in it")
    return Path(folder)
