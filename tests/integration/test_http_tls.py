# SPDX-License-Identifier: Apache-2.0
"""The HTTP port with TLS: certificates and tokens say who asks.

Goal: metrics are for certificates and tokens whose principals have the right, and for nobody else; new files count at
SIGHUP, and files with a fault change nothing; strangers who hold connections keep nobody out; a real Prometheus,
evlog's own probes and doctor get through. Method: requests with each of them, and sockets that do what they should
not. The profile of the port is in test_tls.py, with that of the listeners.
"""
import http.client
import json
import secrets
import signal
import socket
import ssl
import subprocess

import pytest
from confluent_kafka.admin import (AclBinding, AclOperation, AclPermissionType, AdminClient, ResourcePatternType,
                                   ResourceType)

from certs import Certs
from cli_kit import evlog
from evlogd import BIN, Broker, start_or_skip, wait_for
from prometheus import Prometheus, installed

SECURED = ["--authorizer=on", "--super-users=User:boss"]


def new_token():
    return secrets.token_hex(32)


class Port:
    """A broker whose HTTP port has TLS, with tokens; the boss's is a super user's."""

    def __init__(self, folder, args=(), client_auth="requested", listen="127.0.0.1"):
        (folder / "certs").mkdir(parents=True)
        self.folder = folder
        self.certs = Certs(folder / "certs").issue("server").issue("scraper", "/O=Example/CN=scraper").issue("other")
        self.certs.authority("foreign")
        self.certs.issue("stranger", ca="foreign")
        self.tokens = {name: new_token() for name in ("User:boss", "User:prometheus", "User:weak")}
        self.write_tokens()
        auth = ["--ssl-ca-file", self.certs.pem("ca"), "--ssl-client-auth", client_auth] if client_auth else []
        self.broker = start_or_skip(Broker(folder / "data", args=[
            f"--http=https://{listen}:0", *self.certs.server_flags(), *auth, *args,
            "--evlog-http-tokens-file", str(folder / "tokens")]))

    def write_tokens(self, text=None):
        path = self.folder / "tokens"
        path.touch(mode=0o600)
        lines = "".join(f"{who} {token}\n" for who, token in self.tokens.items())
        path.write_text(f"# tokens\n\n{lines}" if text is None else text, encoding="ascii")

    def reload(self):
        lines = len(self.broker.log_lines("was read again"))
        self.broker.process.send_signal(signal.SIGHUP)
        wait_for(lambda: len(self.broker.log_lines("was read again")) > lines, "a reload", 60)

    def context(self, name=None, ca="ca"):
        made = ssl.create_default_context(cafile=self.certs.pem(ca))
        if name is not None:
            made.load_cert_chain(self.certs.pem(name), self.certs.key(name))
        return made

    def place(self):
        host, _, port = self.broker.http.removeprefix("https://").rpartition(":")
        return host, int(port)

    def connection(self, name=None, ca="ca", source=None):
        return http.client.HTTPSConnection(*self.place(), timeout=60, context=self.context(name, ca),
                                           source_address=(source, 0) if source else None)

    def ask(self, path="/metrics", name=None, token=None, **where):
        """(status, text)"""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        connection = self.connection(name, **where)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def detail(self, **who):
        status, text = self.ask(**who)
        return status, json.loads(text)["detail"]

    def metric(self, name):
        text = self.ask(token=self.tokens["User:boss"])[1]
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(name + " "))

    def stop(self):
        assert self.broker.stop() == 0, "".join(self.broker.log[-50:])
        for token in self.tokens.values():
            assert not self.broker.log_lines(token)


def allow(broker, *principals):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    rules = [AclBinding(ResourceType.BROKER, "kafka-cluster", ResourcePatternType.LITERAL, principal, "*",
                        AclOperation.DESCRIBE, AclPermissionType.ALLOW) for principal in principals]
    for future in admin.create_acls(rules).values():
        future.result(60)


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """With the authorizer on, and rights of a scraper by certificate and by token."""
    folder = tmp_path_factory.mktemp("secured")
    made = Port(folder, ["--authorizer=on", "--super-users=User:ANONYMOUS"])
    assert made.ask()[0] == 200, "who has not said who it is may everything"
    allow(made.broker, "User:CN=scraper,O=Example", "User:prometheus")
    assert made.broker.stop() == 0
    made.broker.args += SECURED
    start_or_skip(made.broker)
    yield made
    made.stop()


def test_health_and_version_are_for_all(port):
    for path in ("/health/live", "/health/ready", "/version"):
        assert port.ask(path)[0] == 200
        assert port.ask(path, token=new_token())[0] == 200
        assert port.ask(path, name="other")[0] == 200
    assert port.ask("/none")[0] == 404


def test_a_certificate_says_who_asks(port):
    status, detail = port.detail()
    assert status == 401 and "the right to Describe the cluster" in detail
    status, text = port.ask(name="scraper")
    assert status == 200 and "evlog_tls_handshakes_total" in text
    status, detail = port.detail(name="other")
    assert status == 403 and "the user has no right" in detail
    wait_for(lambda: port.ask(name="other")[0] == 403 and port.broker.log_lines("User:CN=other has no right"),
             "a line about it, of which there is one a second", 60)


def test_a_certificate_of_another_ca_is_no_connection(port):
    def refused():
        with pytest.raises((ssl.SSLError, ConnectionError)):
            port.ask("/health/live", name="stranger")
        return port.broker.log_lines("TLS: the certificate of the other side is refused")
    wait_for(refused, "a line about it, of which there is one a second", 60)


def test_a_token_says_who_asks(port):
    failures = port.metric("evlog_authentication_failures_total")
    assert port.ask(token=port.tokens["User:prometheus"])[0] == 200
    status, detail = port.detail(token=port.tokens["User:weak"])
    assert status == 403 and "the user has no right" in detail
    for wrong in (new_token(), port.tokens["User:prometheus"][:-1], port.tokens["User:prometheus"] + "0"):
        assert port.detail(token=wrong) == (401, "the token is nobody's")
        assert not port.broker.log_lines(wrong)
    for none in ("", "a b", "a,b"):
        assert port.detail(token=none)[0] == 401
    assert port.metric("evlog_authentication_failures_total") == failures + 3
    wait_for(lambda: port.ask(token=new_token())[0] == 401 and port.broker.log_lines("a token is nobody's"),
             "a line about it, of which there is one a second", 60)


def test_who_has_a_token_is_who_it_says_whatever_the_certificate(port):
    assert port.ask(name="other", token=port.tokens["User:prometheus"])[0] == 200
    assert port.ask(name="scraper", token=port.tokens["User:weak"])[0] == 403
    assert port.ask(name="scraper", token=new_token())[0] == 401


def test_401_names_both_ways(port):
    connection = port.connection()
    connection.request("GET", "/metrics")
    ways = connection.getresponse().headers.get_all("WWW-Authenticate")
    connection.close()
    assert ways == ['Basic realm="evlog", charset="UTF-8"', 'Bearer realm="evlog"']


def test_new_files_count_and_bad_ones_change_nothing(port):
    old = dict(port.tokens)
    kept = port.connection()
    kept.request("GET", "/health/live")
    assert kept.getresponse().read()
    port.tokens["User:prometheus"] = new_token()
    port.write_tokens()
    port.certs.issue("server", ca="foreign")
    port.reload()
    with pytest.raises(ssl.SSLError):
        port.ask("/health/live")
    assert port.ask(token=old["User:prometheus"], ca="foreign")[0] == 401
    assert port.ask(token=port.tokens["User:prometheus"], ca="foreign")[0] == 200
    kept.request("GET", "/health/live")
    assert kept.getresponse().status == 200, "a connection that was there goes on"
    kept.close()

    port.write_tokens("User:boss " + new_token() + "\nUser:x short\n")
    port.certs.issue("server")
    port.reload()
    assert port.broker.said("tokens:2: a token has 32 to 512", "stay as they were")
    assert port.ask(token=port.tokens["User:prometheus"])[0] == 200, "with the new certificate and the old tokens"
    port.write_tokens()
    port.reload()


def test_what_does_not_speak_tls_is_closed(port):
    def told():
        with socket.create_connection(port.place(), timeout=60) as sock:
            sock.sendall(b"G")
            assert sock.recv(1) == b""
        return port.broker.log_lines("this port wants it (https)")
    wait_for(told, "a line about it, of which there is one a second", 60)
    refused = port.metric("evlog_tls_refused_total")
    for text in (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"\0" * 5000, b"\x16\x03\x01\x00\x05hello"):
        with socket.create_connection(port.place(), timeout=60) as sock:
            sock.sendall(text)
            answer = b""
            try:
                while more := sock.recv(4096):
                    answer += more
            except ConnectionError:
                pass
            assert b"HTTP" not in answer
    assert port.ask("/health/live")[0] == 200
    assert port.metric("evlog_tls_refused_total") == refused + 3
    assert port.metric("evlog_tls_half_open") == 0


def test_long_headers_are_refused(port):
    connection = port.connection()
    connection.request("GET", "/metrics", headers={"X-Long": "a" * 60000})
    assert connection.getresponse().status == 431
    connection.close()
    assert port.ask("/health/live")[0] == 200


def test_crowds_keep_nobody_out(port):
    """64 of an address, 128 in all: half of them say nothing, the others begin a handshake."""
    crowd = []
    for source in ("127.0.0.1", "127.0.0.2"):
        for i in range(64):
            crowd.append(socket.create_connection(port.place(), timeout=60, source_address=(source, 0)))
            if i % 2:
                crowd[-1].sendall(b"\x16\x03\x01\x02")

    def served(source):
        try:
            return port.ask("/health/live", source=source)[0] == 200
        except OSError:
            return False
    for source in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
        wait_for(lambda: served(source), f"an answer for {source}", 60)
    for sock in crowd:
        sock.close()
    wait_for(lambda: port.metric("evlog_tls_half_open") == 0, "no handshake is left", 60)


def test_who_does_not_read_holds_nobody_up(port):
    slow = port.connection("scraper")
    slow.connect()
    for _ in range(60):
        slow.sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    for _ in range(10):
        assert port.ask(name="scraper")[0] == 200
    slow.close()


@pytest.mark.skipif(not installed(), reason="prometheus is not installed: make deps-deb")
@pytest.mark.parametrize("way", ["token", "certificate"])
def test_prometheus_scrapes(port, tmp_path, way):
    token = tmp_path / "token"
    token.write_text(port.tokens["User:prometheus"], encoding="ascii")
    tls = f"    scheme: https\n    tls_config:\n      ca_file: {port.certs.pem('ca')}\n"
    if way == "token":
        scrape = tls + f"    authorization:\n      credentials_file: {token}\n"
    else:
        scrape = tls + f"      cert_file: {port.certs.pem('scraper')}\n      key_file: {port.certs.key('scraper')}\n"
    prometheus = Prometheus(tmp_path, port.broker.ready["http"].removeprefix("https://"), scrape).start()
    try:
        wait_for(lambda: prometheus.value("evlog_build_info"), "a scrape", 60)
        assert [sample["value"][1] for sample in prometheus.value("up")] == ["1"]
    finally:
        prometheus.stop()


def test_probes_and_doctor_speak_tls(port):
    where = ["--http", port.broker.http]
    trust = ["-X", f"ssl.ca.location={port.certs.pem('ca')}"]
    own = ["-X", f"ssl.certificate.location={port.certs.pem('scraper')}",
           "-X", f"ssl.key.location={port.certs.key('scraper')}"]
    assert "OK" in evlog("check", "ready", *where, *trust, expect=0).out
    assert "OK" in evlog("check", "dlq", "--critical", 1, *where, *trust, *own, expect=0).out
    assert "a user is wanted" in evlog("check", "dlq", "--critical", 1, *where, *trust, expect=3).out
    assert "has signed it: ssl.ca.location names" in evlog("check", "ready", *where, expect=2).out
    assert "does not speak HTTP" in evlog("check", "dlq", "--critical", 1, "--http", where[1][8:], expect=3).out
    lines = evlog("doctor", *where, *trust, *own, "-b", port.broker.bootstrap, "--json").lines()
    verdicts = {line["check"]: line["verdict"] for line in lines}
    assert (verdicts["readiness"], verdicts["clock jumps"]) == ("ok", "ok")


@pytest.mark.parametrize("auth, bare, certified", [("none", 200, 200), ("requested", 200, 200), ("required", 403, 200)])
def test_with_the_authorizer_off_a_certificate_is_needed_where_it_is_required(tmp_path, auth, bare, certified):
    port = Port(tmp_path, client_auth=auth)
    assert port.ask("/health/ready")[0] == 200
    assert (port.ask()[0], port.ask(name="other")[0]) == (bare, certified)
    port.stop()


def test_tokens_come_over_the_loopback_or_tls_only(tmp_path):
    words = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()
    if not (addresses := [word for word in words if ":" not in word]):
        pytest.skip("this machine has no address but the loopback's")
    token = tmp_path / "tokens"
    token.touch(mode=0o600)
    secret = new_token()
    token.write_text(f"User:boss {secret}\n", encoding="ascii")
    for host, insecure, status in ((addresses[0], False, 403), (addresses[0], True, 200), ("127.0.0.1", False, 200)):
        broker = start_or_skip(Broker(tmp_path / "data", args=[
            f"--http={host}:0", *SECURED, "--evlog-http-tokens-file", str(token),
            *(["--insecure-http-password"] if insecure else [])]))
        connection = http.client.HTTPConnection(broker.http.removeprefix("http://"), timeout=60)
        connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {secret}"})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        assert answer.status == status and ("without TLS is refused" in text) == (status == 403)
        assert broker.stop() == 0


def refusal(*args):
    done = subprocess.run([str(BIN / "evlogd"), "--data=/nowhere", *args, "--check-config"], capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 2
    return done.stderr


def test_settings_that_cannot_serve_are_refused(tmp_path):
    certs = Certs(tmp_path).issue("server")
    assert "an HTTP port with https needs a certificate" in refusal("--http=https://127.0.0.1:8443")
    assert "or https:// before it" in refusal("--http=ftp://127.0.0.1:8443")
    assert "or https:// before it" in refusal("--http=https://off")
    flags = ["--http=https://127.0.0.1:8443", *certs.server_flags()]
    assert "set ssl.ca.file" in refusal(*flags, "--ssl-client-auth=requested")
    tokens = tmp_path / "tokens"
    tokens.write_text("User:a " + new_token(), encoding="ascii")
    tokens.chmod(0o644)
    assert "chmod 600" in refusal(*flags, f"--evlog-http-tokens-file={tokens}")
    assert "No such file" in refusal(*flags, f"--evlog-http-tokens-file={tokens}x")


def test_a_stop_does_not_wait_for_open_connections(tmp_path):
    port = Port(tmp_path)
    idle = port.connection()
    idle.request("GET", "/health/live")
    assert idle.getresponse().read()
    begun = socket.create_connection(port.place(), timeout=60)
    port.stop()
    idle.close()
    begun.close()
