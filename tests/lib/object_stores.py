# SPDX-License-Identifier: Apache-2.0
"""Object stores that tests start: two servers that speak S3, and a proxy with faults before either.

`make deps` builds versitygw into build/tools and installs moto; what is not there is a skip with the reason.
"""
import logging
import os
import pathlib
import shutil
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from evlogd import ROOT, wait_for

ACCESS_KEY = "evlog-tests"
SECRET_KEY = "evlog-tests-secret"     # of servers that these tests start, and nobody else reaches
BUCKET = "bucket"
REGION = "us-east-1"
START_SECONDS = 60
VERSITYGW = ROOT / "build" / "tools" / "versitygw"


def environment(url, **others):
    """The environment of a program that uses a store at url; others: further variables, None takes one away."""
    inherited = {name: value for name, value in os.environ.items()
                 if not name.startswith(("AWS_", "EVLOG_S3_")) and name.lower() not in ("http_proxy", "https_proxy")}
    ours = {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": REGION, "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, **others}
    return inherited | {name: value for name, value in ours.items() if value is not None}


class Versitygw:
    """A gateway over a folder; it judges signatures."""

    def __init__(self, cert=None, key=None):
        if not VERSITYGW.exists():
            pytest.skip("versitygw is not built: `make deps` builds it where Go 1.25 or later is installed")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="evlog-versitygw-"))
        (self.folder / "data" / BUCKET).mkdir(parents=True)
        (self.folder / "meta").mkdir()
        tls = ["--cert", str(cert), "--key", str(key)] if cert else []
        with socketserver.TCPServer(("127.0.0.1", 0), None) as probe:
            self.port = probe.server_address[1]
        self.url = f"http{'s' if cert else ''}://127.0.0.1:{self.port}"
        with open(self.folder / "log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [VERSITYGW, "--port", f"127.0.0.1:{self.port}", "--keep-alive", *tls, "posix", "--sidecar",
                 self.folder / "meta", self.folder / "data"],
                env={**os.environ, "ROOT_ACCESS_KEY_ID": ACCESS_KEY, "ROOT_SECRET_ACCESS_KEY": SECRET_KEY},
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        wait_for(self.answers, "versitygw answers", START_SECONDS)

    def answers(self):
        assert self.process.poll() is None, (self.folder / "log").read_text(encoding="utf-8")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Moto:
    """A server within the test's own process; it takes any signature."""

    def __init__(self):
        server = pytest.importorskip("moto.server", reason="moto is not installed: run `make deps`")
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.server = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.server.start()
        host, self.port = self.server.get_host_and_port()
        self.url = f"http://{host}:{self.port}"
        connection = HTTPConnection(host, self.port)
        connection.request("POST", "/moto-api/reset")
        connection.getresponse().read()
        connection.request("PUT", f"/{BUCKET}", headers={"authorization": "AWS4-HMAC-SHA256 Credential="
                                                         f"{ACCESS_KEY}/20260101/{REGION}/s3/aws4_request"})
        assert connection.getresponse().status == 200
        connection.close()

    def stop(self):
        self.server.stop()


class Fault:
    """What becomes of the next requests that match: of a method, with a text in path and query.

    action(proxy handler, answer()) writes what the client shall get; answer() asks the server for (status, headers,
    body).
    """

    def __init__(self, action, method=None, text="", count=1, skip=0):
        self.action, self.method, self.text, self.count, self.skip = action, method, text, count, skip

    def takes(self, method, path):
        if self.count == 0 or (self.method and method != self.method) or self.text not in path:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.count -= 1
        return True


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1       # an answer's head and body leave together

    def log_message(self, *_):
        pass

    def forward(self):
        """(status, headers, body) of the server."""
        connection = HTTPConnection("127.0.0.1", self.server.target_port)
        connection.request(self.command, self.path, body=self.body, headers=dict(self.headers.items()))
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        kept = [(name, value) for name, value in answer.getheaders()
                if name.lower() not in ("connection", "transfer-encoding", "content-length", "keep-alive")]
        length = answer.getheader("content-length") if self.command == "HEAD" else str(len(body))
        return answer.status, [*kept, ("Content-Length", length or "0")], body

    def reply(self, status, headers, body, close=False):
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()
        self.close_connection = self.close_connection or close

    def handle_any(self):
        try:
            self.body = self.rfile.read(int(self.headers.get("content-length", 0)))
            with self.server.guard:
                self.server.seen.append(f"{self.command} {self.path}")
                fault = next((f for f in self.server.faults if f.takes(self.command, self.path)), None)
            if fault is None:
                self.reply(*self.forward())
            else:
                fault.action(self)
        except OSError:     # the client has gone, which is what some tests are about
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any


class FaultProxy(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, target_port):
        super().__init__(("127.0.0.1", 0), Handler)
        self.target_port = target_port
        self.guard = threading.Lock()
        self.faults, self.seen = [], []
        self.over = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def handle_error(self, *_):
        pass

    def arm(self, action, **which):
        with self.guard:
            self.faults.append(Fault(action, **which))

    def calm(self):
        with self.guard:
            self.faults.clear()
            self.seen.clear()

    def stop(self):
        self.over.set()
        self.shutdown()
        self.server_close()


# --- actions --------------------------------------------------------------------------------------------------------

def error_text(code, message=""):
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message>'
            "<RequestId>1</RequestId></Error>").encode()


def refuse(status, code=None, message="", headers=()):
    """Answer without asking the server."""
    def action(handler):
        body = error_text(code, message) if code else b""
        handler.reply(status, [*headers, ("Content-Length", str(len(body)))], body)
    return action


def drop_before(handler):
    """The connection ends, and the server never hears of the request."""
    handler.close_connection = True


def drop_after(handler):
    """The server does it, and the connection ends before its answer."""
    handler.forward()
    handler.close_connection = True


def half(handler):
    status, headers, body = handler.forward()
    handler.reply(status, headers, body[:len(body) // 2], close=True)


def with_length(change):
    """Content-Length says another number than the body has bytes."""
    def action(handler):
        status, headers, body = handler.forward()
        headers = [(n, str(int(v) + change) if n == "Content-Length" else v) for n, v in headers]
        handler.reply(status, headers, body, close=True)
    return action


def edited(edit=None, header=None, status=None):
    """The server's answer with another body, one header replaced, another status."""
    def action(handler):
        code, headers, body = handler.forward()
        body = edit(body) if edit else body
        headers = [(n, str(len(body)) if n == "Content-Length" and edit else v) for n, v in headers]
        if header:
            headers = [(n, v) for n, v in headers if n.lower() != header[0].lower()] + [header]
        handler.reply(status or code, headers, body)
    return action


def stall(handler):
    """Nothing comes, until the client has had enough."""
    handler.server.over.wait(60)
    handler.close_connection = True


def slow(handler):
    """A byte now and then."""
    status, headers, body = handler.forward()
    handler.reply(status, headers, b"")
    for byte in body:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        time.sleep(0.02)


def nonsense(handler):
    handler.wfile.write(b"220 mail.example.com ESMTP\r\n" * 10)
    handler.close_connection = True
