"""A small web server that can go wrong: it cuts answers short, fails, and knows ranges, or not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Served:
    """What is served, what goes wrong, and what was asked for."""

    files: dict[str, bytes] = field(default_factory=dict)
    cut: list[int] = field(default_factory=list)
    """After so many bytes the next answers break off."""
    failures: list[int] = field(default_factory=list)
    """With these statuses the next requests are answered."""
    ranges: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)
    """The method and path of every request, with the range that it asked for."""
    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def log_message(self, *args: Any) -> None:
        """Be quiet."""

    def do_GET(self) -> None:
        served: Served = self.server.served
        wanted = self.headers.get("Range", "")
        served.asked.append((self.path, wanted))
        data = served.files.get(self.path)
        if served.failures:
            return self.send_error(served.failures.pop(0))
        if data is None:
            return self.send_error(404)
        start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted and served.ranges else 0
        if start >= len(data) > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(data)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        end = start + served.cut.pop(0) if served.cut else len(data)
        self.wfile.write(data[start:end])
        return None


@contextmanager
def serving(**files: bytes) -> Iterator[Served]:
    """Serve files at ``url/NAME``, each under its name."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    served = Served({f"/{name}": data for name, data in files.items()})
    served.url = f"http://127.0.0.1:{server.server_port}"
    server.served = served  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
