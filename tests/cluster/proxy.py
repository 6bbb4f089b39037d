"""A proxy in front of an S3 server that refuses or delays while a file says so: `proxy.py ADDRESS PORT TO FILE`.

In the file: "503" (every request is answered with 503 Slow Down), "slow" (every answer comes 2 s late), else nothing.
Standard library only; runs on its own host.
"""

from __future__ import annotations

import http.client
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SLOW = 2.0
REFUSED = (
    b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)
HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def answer(self) -> None:
        body = self._body()
        kind = self.server.fault()
        if kind == "503":
            self._send(503, [("Content-Type", "application/xml")], REFUSED)
            return
        if kind == "slow":
            time.sleep(SLOW)
        onward = http.client.HTTPConnection("127.0.0.1", self.server.to, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        headers["Content-Length"] = str(len(body))
        onward.request(self.command, self.path, body=body, headers=headers)
        answer = onward.getresponse()
        self._send(answer.status, answer.getheaders(), answer.read())
        onward.close()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _send(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        length = {name.lower(): value for name, value in headers}.get("content-length", str(len(body)))
        for name, value in headers:
            if name.lower() not in HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *values: object) -> None:
        pass


class Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: str, port: int, to: int, file: Path) -> None:
        super().__init__((address, port), Handler)
        self.to, self.file = to, file

    def fault(self) -> str:
        return self.file.read_text().strip() if self.file.exists() else ""


if __name__ == "__main__":
    Proxy(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]).expanduser()).serve_forever()
