# SPDX-License-Identifier: Apache-2.0
"""Listeners with TLS: only the safe profile gets through, at the HTTP port as well, certificates say who clients are,
and new ones are taken without a connection lost. Clients are openssl and kcat."""
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from certs import Certs
from conftest import BIN, Broker, wait_for
from evlogd import start_or_skip

LISTENERS = "PLAINTEXT://127.0.0.1:0,SSL://127.0.0.1:0"


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    made = Certs(tmp_path_factory.mktemp("certs"))
    made.issue("server").issue("app", "/O=Example/CN=app")
    made.authority("other")
    return made.issue("foreign", ca="other")


@pytest.fixture(scope="module")
def secure(certs, tmp_path_factory):
    flags = certs.server_flags() + ["--ssl-ca-file", certs.pem("ca"), "--ssl-client-auth", "requested",
                                    "--http=https://127.0.0.1:0"]
    instance = Broker(tmp_path_factory.mktemp("data"), listeners=LISTENERS, args=flags).start()
    instance.ports["https"] = int(instance.http.rpartition(":")[2])
    yield instance
    assert instance.process.poll() is None, "".join(instance.log[-50:])
    assert instance.stop() == 0


def probe(port, *args):
    """Does openssl get through, and what does it agree on?"""
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *args], input="",
                          capture_output=True, text=True, timeout=60, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("New, ")]
    agreed = lines[0].rpartition(" ")[2] if lines else "(NONE)"
    return None if agreed == "(NONE)" or done.returncode != 0 else agreed


def kcat(port, settings, *args, text=""):
    options = [word for key, value in settings.items() for word in ("-X", f"{key}={value}")]
    return subprocess.run(["kcat", "-b", f"127.0.0.1:{port}", *options, *args], input=text, capture_output=True,
                          text=True, timeout=60, check=False)


WEAK = ["-cipher", "ALL:@SECLEVEL=0"]


@pytest.mark.parametrize("offer", [
    ["-tls1", *WEAK], ["-tls1_1", *WEAK], ["-tls1_3"],
    ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"],
    ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-CCM:@SECLEVEL=0"],
    ["-tls1_2", "-cipher", "AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0"],
    ["-tls1_2", "-cipher", "NULL:aNULL:@SECLEVEL=0"],
    ["-tls1_2", "-groups", "P-521"],
    ["-tls1_2", "-groups", "X448"],
    ["-tls1_2", "-sigalgs", "ECDSA+SHA1:RSA+SHA1", "-cipher", "DEFAULT:@SECLEVEL=0"],
], ids=" ".join)
@pytest.mark.parametrize("port", ["SSL", "https"])
def test_nothing_but_the_safe_profile_gets_through(secure, offer, port):
    assert probe(secure.ports[port], *offer) is None


@pytest.mark.parametrize("port", ["SSL", "https"])
def test_each_choice_of_the_safe_profile_gets_through(secure, port):
    port = secure.ports[port]
    for kind in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"):
        cipher = f"ECDHE-ECDSA-{kind}"
        assert probe(port, "-tls1_2", "-cipher", cipher) == cipher
    for groups in ("X25519:P-256", "P-256", "P-384:P-256"):
        assert probe(port, "-groups", groups) is not None


@pytest.mark.parametrize("port", ["SSL", "https"])
def test_no_session_is_resumed(secure, tmp_path, port):
    saved = str(tmp_path / "session")
    assert probe(secure.ports[port], "-sess_out", saved)
    again = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{secure.ports[port]}", "-sess_in", saved],
                           input="", capture_output=True, text=True, timeout=60, check=False).stdout
    assert "Reused" not in again and "New, TLSv1.2" in again


def test_clients_that_negotiate_again_are_cut(secure):
    session = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{secure.ports['SSL']}", "-tls1_2"],
                               text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    session.stdin.write("R\n")
    session.stdin.flush()
    assert session.wait(60) is not None
    session.communicate()
    wait_for(lambda: any("negotiate TLS again" in line for line in secure.log), "the line about it")


def test_events_go_in_and_out_over_tls(secure, certs, topic):
    port = secure.ports["SSL"]
    lines = "".join(f"event {i} {'x' * (i % 3000)}\n" for i in range(3000))
    done = kcat(port, certs.client(), "-P", "-t", topic, text=lines)
    assert done.returncode == 0, done.stderr
    read = kcat(port, certs.client("app"), "-C", "-t", topic, "-e", "-q")
    assert read.returncode == 0 and read.stdout == lines
    listing = kcat(port, certs.client(), "-L").stdout
    assert f"broker 1 at 127.0.0.1:{port}" in listing


def evlog(port, settings, *args, text="", host="localhost"):
    options = [word for key, value in settings.items() for word in ("-X", f"{key}={value}")]
    return subprocess.run([BIN / "evlog", "-b", f"{host}:{port}", "--timeout", "10s", *options, *args], input=text,
                          capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_command_line_speaks_tls(secure, certs, topic, host):
    port, settings = secure.ports["SSL"], certs.client("app")
    assert evlog(port, settings, "topics", "create", topic, host=host).returncode == 0
    lines = "".join(f"event {i} {'y' * (i % 5000)}\n" for i in range(2000))
    done = evlog(port, settings, "produce", topic, text=lines, host=host)
    assert done.returncode == 0, done.stderr
    assert evlog(port, certs.client(), "consume", topic, host=host).stdout == lines


def test_the_command_line_says_why_there_is_no_connection(secure, certs, tmp_path):
    (tmp_path / "certs").mkdir()
    port, wrong = secure.ports["SSL"], Certs(tmp_path / "certs")
    rows = [
        (port, {}, "perhaps this listener wants TLS (security.protocol=ssl)"),
        (secure.ports["PLAINTEXT"], certs.client(), "perhaps this listener speaks without TLS"),
        (port, wrong.client(), "no CA that is trusted here has signed it: ssl.ca.location names"),
        (port, certs.client("foreign"), "it wants a certificate of ours, or another one"),
    ]
    for at, settings, said in rows:
        done = evlog(at, settings, "topics", "ls")
        assert done.returncode != 0 and said in done.stderr
    certs.issue("elsewhere", names="DNS:elsewhere.example")
    flags = certs.server_flags("elsewhere")
    broker = Broker(tmp_path / "data", shards=1, listeners="SSL://127.0.0.1:0", args=flags).start()
    try:
        done = evlog(broker.port, certs.client(), "topics", "ls")
        assert done.returncode != 0 and "it is for another name" in done.stderr
        lenient = {**certs.client(), "ssl.endpoint.identification.algorithm": "none"}
        assert evlog(broker.port, lenient, "topics", "ls").returncode == 0
    finally:
        assert broker.stop() == 0


def test_clients_with_a_foreign_certificate_are_refused(secure, certs):
    port = secure.ports["SSL"]
    assert probe(port, "-cert", certs.pem("foreign"), "-key", certs.key("foreign")) is None
    assert probe(port, "-cert", certs.pem("app"), "-key", certs.key("app"))
    wait_for(lambda: any("no CA that is trusted here" in line for line in secure.log), "the line about it")


def test_clients_that_speak_plainly_are_told_in_the_log(secure):
    with socket.create_connection(("127.0.0.1", secure.ports["SSL"]), timeout=60) as conn:
        conn.sendall(b"\0\0\0\x17\0\x12\0\0\0\0\0\1\0\1x")
        assert conn.recv(100) == b""
    wait_for(lambda: any("does not speak TLS" in line for line in secure.log), "the line about it")


def test_a_listener_may_ask_every_client_for_a_certificate(certs, tmp_path):
    flags = certs.server_flags() + ["--ssl-ca-file", certs.pem("ca"), "--ssl-client-auth", "required"]
    broker = Broker(tmp_path / "data", shards=1, listeners=LISTENERS, args=flags).start()
    try:
        port = broker.ports["SSL"]
        assert kcat(port, certs.client("app"), "-L").returncode == 0
        assert probe(port) is None
        wait_for(lambda: any("the client shows no certificate" in line for line in broker.log), "the line about it")
        assert kcat(broker.ports["PLAINTEXT"], {}, "-L").returncode == 0
    finally:
        assert broker.stop() == 0


def serial_of(port):
    return ssl.get_server_certificate(("127.0.0.1", port))


def test_new_certificates_are_taken_under_load_and_bad_ones_are_not(certs, tmp_path):
    certs.issue("turning")
    broker = Broker(tmp_path / "data", listeners=LISTENERS, args=certs.server_flags("turning")).start()
    port, stop, failures, rounds = broker.ports["SSL"], threading.Event(), [], []
    held = ssl.create_default_context(cafile=certs.pem("ca")).wrap_socket(
        socket.create_connection(("127.0.0.1", port), timeout=60), server_hostname="localhost")

    def load():
        while not stop.is_set():
            done = kcat(port, certs.client(), "-P", "-t", "load", text="".join(f"{i}\n" for i in range(200)))
            rounds.append(1)
            if done.returncode != 0 or done.stderr:
                failures.append(done.stderr)

    worker = threading.Thread(target=load)
    worker.start()
    try:
        before = serial_of(port)
        for _ in range(3):
            certs.issue("turning")
            broker.process.send_signal(signal.SIGHUP)
            wait_for(lambda last=before: serial_of(port) != last, "the new certificate")
            before = serial_of(port)
        (certs.folder / "turning.pem").write_text("no certificate", encoding="ascii")
        broker.process.send_signal(signal.SIGHUP)
        wait_for(lambda: any("certificate and key stay as they were" in line for line in broker.log), "the refusal")
        assert serial_of(port) == before
        held.sendall(b"\0\0\0\x0f\0\x12\0\0\0\0\0\7\0\5older")
        assert held.recv(8)[4:] == b"\0\0\0\7"
        wait_for(lambda: len(rounds) > 2, "some load")
    finally:
        stop.set()
        worker.join()
        held.close()
        assert broker.stop() == 0
    assert not failures, failures[0]


def test_a_reload_refuses_what_clients_would_and_keeps_what_they_have(certs, tmp_path):
    """With mutual TLS, and a chain over an authority between."""
    made = Certs(tmp_path)
    made.issue("between", signs=True).issue("turning", ca="between").issue("app", "/O=Example/CN=app")
    made.issue("lone", ca="between").issue("gone", days=-1)
    between, root = (tmp_path / "between.pem").read_text(), (tmp_path / "ca.pem").read_text()
    leaf = (tmp_path / "turning.pem").read_text()

    def give(chain, key="turning"):
        (tmp_path / "live.pem.new").write_text("".join(chain))
        (tmp_path / "live.pem.new").rename(tmp_path / "live.pem")
        (tmp_path / "live.key.new").write_bytes((tmp_path / f"{key}.key").read_bytes())
        (tmp_path / "live.key.new").chmod(0o600)
        (tmp_path / "live.key.new").rename(tmp_path / "live.key")

    give([leaf, between])
    flags = made.server_flags("live") + ["--ssl-ca-file", made.pem("ca"), "--ssl-client-auth", "required"]
    broker = Broker(tmp_path / "data", shards=1, listeners=LISTENERS, args=flags).start()
    try:
        port = broker.ports["SSL"]
        before = serial_of_mutual(port, made)
        assert kcat(port, made.client("app"), "-L").returncode == 0
        assert broker.metric("evlog_tls_certificate_refused") == 0
        end = broker.metric("evlog_tls_certificate_end_timestamp_seconds")
        assert 28 * 86400 < end - time.time() < 31 * 86400
        for chain, key, said in (
                ([leaf, between], "app", "does not belong to the key"),
                ([(tmp_path / "gone.pem").read_text()], "gone", "has expired"),
                ([leaf, root], "turning", "its chain is not complete"),
                ([leaf], "turning", "its chain is not complete: the certificate of CN=between is missing"),
                ([(tmp_path / "lone.pem").read_text()], "lone", "its chain is not complete"),
                (["no certificate"], "turning", "no PEM file")):
            give(chain, key)
            broker.process.send_signal(signal.SIGHUP)
            wait_for(lambda text=said: any("stay as they were" in line and text in line for line in broker.log), said)
            wait_for(lambda: broker.metric("evlog_tls_certificate_refused") == 1, "the alarm")
            assert serial_of_mutual(port, made) == before and kcat(port, made.client("app"), "-L").returncode == 0
            broker.log.clear()
        give([leaf, between, root])     # more than clients need
        broker.process.send_signal(signal.SIGHUP)
        wait_for(lambda: broker.metric("evlog_tls_certificate_refused") == 0, "that it is taken")
        made.authority("self")          # signed by itself, and in force
        give([(tmp_path / "self.pem").read_text()], "self")
        broker.process.send_signal(signal.SIGHUP)
        wait_for(lambda: serial_of_mutual(port, made) not in (None, before), "the new certificate")
        assert broker.metric("evlog_tls_certificate_refused") == 0
    finally:
        assert broker.stop() == 0


def serial_of_mutual(port, made):
    """The certificate of a server that wants one of ours."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(made.pem("app"), made.key("app"))
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=60)) as conn:
        return conn.getpeercert(binary_form=True)


@pytest.mark.parametrize("spoil, said", [
    (lambda certs: ["--ssl-certificate-file", "/nowhere.pem", "--ssl-key-file", certs.key("server")], "No such file"),
    (lambda certs: certs.server_flags()[:3] + [certs.key("app")], "does not belong to the key"),
    (lambda certs: [], "set ssl.certificate.file and ssl.key.file"),
    (lambda certs: certs.server_flags() + ["--ssl-client-auth", "required"], "set ssl.ca.file"),
    (lambda certs: certs.server_flags() + ["--ssl-principal-mapping-rules", "RULE:x"], "a rule is RULE:"),
], ids=["no file", "mismatch", "nothing", "no CA", "rule"])
def test_what_cannot_serve_is_refused_at_start_and_by_the_check(certs, tmp_path, spoil, said):
    for check in ([], ["--check-config"]):
        done = subprocess.run([BIN / "evlogd", "--data", str(tmp_path / "data"), "--listeners", LISTENERS,
                               "--http", "off", *spoil(certs), *check],
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2 and said in done.stderr


def test_the_uri_of_a_certificate_says_who_its_owner_is(tmp_path):
    certs = Certs(tmp_path).issue("server").issue("orders", "/", names="URI:spiffe://example.org/orders")
    certs.issue("both", names="URI:spiffe://example.org/a,URI:spiffe://example.org/b").issue("none")
    broker = start_or_skip(Broker(tmp_path / "data", listeners="SSL://127.0.0.1:0", args=[
        *certs.server_flags(), "--ssl-ca-file", certs.pem("ca"), "--ssl-client-auth=required", "--authorizer=on",
        "--super-users=User:orders", "--evlog-ssl-principal-from=uri",
        r"--ssl-principal-mapping-rules=RULE:^spiffe:\/\/example\.org\/(.*)$/$1/"]))
    try:
        def created(name):
            return evlog(broker.ports["SSL"], certs.client(name), "topics", "create", f"by-{name}").returncode == 0

        assert created("orders")
        assert not created("both") and broker.said("several URIs")
        assert not created("none") and broker.said("has no URI")
    finally:
        assert broker.stop() == 0
