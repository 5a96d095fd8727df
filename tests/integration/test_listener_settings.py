# SPDX-License-Identifier: Apache-2.0
"""Settings of single listeners: certificates that one asks for and another does not, mechanisms of SASL, files and
rules of its own; clients are librdkafka and the command line, and a reload changes what it would change for all."""
import json
import signal
import socket
import struct

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from certs import Certs
from cli_kit import evlog
from conftest import Broker, wait_for
from scram_user import make_user

PASSWORD = "Zitrone=7"
MAP = "OUTER:SSL,INNER:SASL_SSL,LOCAL:SASL_PLAINTEXT"
LISTENERS = "PLAINTEXT://127.0.0.1:0,OUTER://127.0.0.1:0,INNER://127.0.0.1:0,LOCAL://127.0.0.1:0"


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    made = Certs(tmp_path_factory.mktemp("certs"))
    made.issue("server").issue("app", "/O=Example/CN=app")
    made.authority("other")
    return made.issue("public", ca="other").issue("guest", "/O=Elsewhere/CN=guest", ca="other")


class Served:
    """A broker with four listeners whose settings are a file that can be written anew."""

    def __init__(self, folder, certs, text):
        self.file, self.certs = folder / "evlogd.conf", certs
        self.write(text)
        self.broker = Broker(folder / "data", shards=2, listeners=LISTENERS,
                             args=["--listener-security-protocol-map", MAP, "--config", str(self.file)]).start()
        make_user(self.broker.ports["PLAINTEXT"], "alice", PASSWORD)
        make_user(self.broker.ports["PLAINTEXT"], "alice", PASSWORD, 512)

    def write(self, text):
        files = (f"ssl.certificate.file = {self.certs.pem('server')}\nssl.key.file = {self.certs.key('server')}\n"
                 f"ssl.ca.file = {self.certs.pem('ca')}\n")
        self.file.write_text(f"[network]\n{files}{text}", encoding="ascii")

    def reload(self, text):
        self.write(text)
        lines = len(self.broker.log_lines("SIGHUP: "))
        self.broker.process.send_signal(signal.SIGHUP)
        wait_for(lambda: len(self.broker.log_lines("SIGHUP: ")) > lines, "the reload")
        return self.broker.log_lines("SIGHUP: ")[lines:]

    def settings(self, listener, name=None, mechanism=None, ca="ca"):
        own = {"ssl.ca.location": self.certs.pem(ca)} if listener != "LOCAL" else {}
        if name:
            own |= {"ssl.certificate.location": self.certs.pem(name), "ssl.key.location": self.certs.key(name)}
        if mechanism:
            own |= {"sasl.mechanism": mechanism, "sasl.username": "alice", "sasl.password": PASSWORD}
        return own | {"security.protocol": {"OUTER": "ssl", "INNER": "sasl_ssl", "LOCAL": "sasl_plaintext"}[listener]}

    def admin(self, listener, **given):
        return AdminClient({"bootstrap.servers": f"127.0.0.1:{self.broker.ports[listener]}", "log_level": 0,
                            **self.settings(listener, **given)})

    def lets_in(self, listener, **given):
        """librdkafka and the command line agree."""
        words = [word for key, value in self.settings(listener, **given).items() for word in ("-X", f"{key}={value}")]
        done = evlog("topics", "ls", "--timeout", "3s", *words, bootstrap=f"127.0.0.1:{self.broker.ports[listener]}")
        try:
            inside = bool(self.admin(listener, **given).list_topics(timeout=60 if done.code == 0 else 2).brokers)
        except KafkaException:
            inside = False
        assert inside == (done.code == 0), done.err
        return inside


@pytest.fixture(name="served")
def fixture_served(tmp_path, certs):
    made = []

    def make(text):
        made.append(Served(tmp_path, certs, text))
        return made[-1]

    yield make
    for one in made:
        assert one.broker.stop() == 0, "".join(one.broker.log[-50:])


def test_one_listener_asks_for_certificates_and_another_does_not(served):
    s = served("listener.name.outer.ssl.client.auth = required\n")
    assert s.lets_in("OUTER", name="app") and not s.lets_in("OUTER") and not s.lets_in("OUTER", name="guest")
    assert s.lets_in("INNER", mechanism="SCRAM-SHA-256")

    s.reload("listener.name.inner.ssl.client.auth = required\n")
    assert s.lets_in("OUTER")
    assert not s.lets_in("INNER", mechanism="SCRAM-SHA-256")
    assert s.lets_in("INNER", name="app", mechanism="SCRAM-SHA-256")

    said = s.reload("listener.name.outr.ssl.client.auth = none\n")
    assert "evlogd.conf:5:38: listener.name.outr.ssl.client.auth: there is no listener OUTR" in said[0]
    assert not s.lets_in("INNER", mechanism="SCRAM-SHA-256"), "a reload with a fault changes nothing"


def test_who_shows_a_certificate_and_proves_itself_by_sasl_is_who_sasl_says(served):
    s = served("listener.name.inner.ssl.client.auth = required\n[security]\nauthorizer = on\n"
               "super.users = User:alice;User:ANONYMOUS\n")
    admin = s.admin("INNER", name="app", mechanism="SCRAM-SHA-256")
    admin.create_topics([NewTopic("of-alice", 1, 1)])["of-alice"].result(60)


def offered(port):
    """The mechanisms that SaslHandshake names when it is asked for one that there is not."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as conn:
        request = struct.pack(">hhih", 17, 1, 1, -1) + struct.pack(">h", 4) + b"NONE"
        conn.sendall(struct.pack(">i", len(request)) + request)
        answer = conn.recv(4096)
    code, count = struct.unpack(">hi", answer[8:14])
    assert code == 33
    names, at = [], 14
    for _ in range(count):
        length = struct.unpack(">h", answer[at:at + 2])[0]
        names.append(answer[at + 2:at + 2 + length].decode())
        at += 2 + length
    return names


def test_each_listener_offers_its_own_mechanisms(served):
    s = served("listener.name.inner.sasl.enabled.mechanisms = PLAIN\n"
               "listener.name.local.sasl.enabled.mechanisms = SCRAM-SHA-512\n")
    assert offered(s.broker.ports["LOCAL"]) == ["SCRAM-SHA-512"]
    assert s.lets_in("INNER", mechanism="PLAIN") and not s.lets_in("INNER", mechanism="SCRAM-SHA-512")
    assert s.lets_in("LOCAL", mechanism="SCRAM-SHA-512") and not s.lets_in("LOCAL", mechanism="SCRAM-SHA-256")

    s.reload("listener.name.local.sasl.enabled.mechanisms = SCRAM-SHA-256\n"
             "[security]\nsasl.enabled.mechanisms = SCRAM-SHA-512, PLAIN\n")
    assert offered(s.broker.ports["LOCAL"]) == ["SCRAM-SHA-256"]
    assert s.lets_in("INNER", mechanism="PLAIN") and s.lets_in("INNER", mechanism="SCRAM-SHA-512")
    assert s.lets_in("LOCAL", mechanism="SCRAM-SHA-256") and not s.lets_in("LOCAL", mechanism="SCRAM-SHA-512")

    s.reload("[security]\nsasl.enabled.mechanisms = SCRAM-SHA-512, PLAIN\n")
    assert offered(s.broker.ports["LOCAL"]) == ["SCRAM-SHA-512"], "PLAIN is for listeners with TLS"


def test_a_listener_has_a_certificate_cas_and_rules_of_its_own(served, certs):
    s = served(f"listener.name.outer.ssl.certificate.file = {certs.pem('public')}\n"
               f"listener.name.outer.ssl.key.file = {certs.key('public')}\n"
               f"listener.name.outer.ssl.ca.file = {certs.pem('other')}\n"
               "listener.name.outer.ssl.client.auth = required\n"
               "listener.name.outer.ssl.principal.mapping.rules = \"RULE:^CN=(.*?),.*$/$1/\"\n"
               "[security]\nauthorizer = on\nsuper.users = User:guest;User:ANONYMOUS;User:alice\n")
    assert s.lets_in("OUTER", name="guest", ca="other")
    assert not s.lets_in("OUTER", name="guest", ca="ca"), "the certificate is of another CA"
    assert not s.lets_in("OUTER", name="app", ca="other"), "the client's is"
    assert s.lets_in("INNER", mechanism="SCRAM-SHA-256", ca="ca")
    admin = s.admin("OUTER", name="guest", ca="other")
    admin.create_topics([NewTopic("of-guest", 1, 1)])["of-guest"].result(60)

    said = s.reload(f"listener.name.outer.ssl.certificate.file = {certs.pem('public')}\n"
                    f"listener.name.outer.ssl.key.file = {certs.key('guest')}\n")
    assert "does not belong to the key" in said[0] and "evlogd.conf:5:44: " in said[0], said
    assert s.lets_in("OUTER", name="guest", ca="other")
    got = evlog("config", "get", "--json", bootstrap=s.broker.bootstrap, expect=0).lines()
    assert {line["name"]: line["value"] for line in got if line["name"].startswith("listener.name.")} == {
        "listener.name.outer.ssl.certificate.file": certs.pem("public"),
        "listener.name.outer.ssl.key.file": certs.key("public"),
        "listener.name.outer.ssl.ca.file": certs.pem("other"),
        "listener.name.outer.ssl.client.auth": "required",
        "listener.name.outer.ssl.principal.mapping.rules": "RULE:^CN=(.*?),.*$/$1/"}, "what is in force is shown"


def test_the_certificate_that_ends_first_is_the_one_that_is_told(served, certs):
    certs.issue("short", days=5)
    s = served(f"listener.name.outer.ssl.certificate.file = {certs.pem('short')}\n"
               f"listener.name.outer.ssl.key.file = {certs.key('short')}\n")
    assert s.broker.log_lines(f"{certs.pem('short')}: the certificate ends in ")
    assert json.loads(s.broker.health()[1])["warning"].startswith("the certificate ends in ")
    s.reload("")
    wait_for(lambda: "warning" not in json.loads(s.broker.health()[1]), "the end of the warning")


def changes(broker):
    done = evlog("audit", "tail", "--json", "--class", "changes", bootstrap=broker.bootstrap, expect=0)
    return [line for line in done.lines() if line.get("action") in ("reload", "start")]


def test_what_tells_of_settings_tells_of_these(served):
    s = served("listener.name.outer.ssl.client.auth = required\n")
    broker = s.broker
    resource = ConfigResource(ConfigResource.Type.BROKER, "1")
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    entry = admin.describe_configs([resource])[resource].result(60)["listener.name.outer.ssl.client.auth"]
    assert entry.value == "required" and entry.is_read_only
    got = evlog("config", "get", "listener.name.outer.ssl.client.auth", "--json", bootstrap=broker.bootstrap, expect=0)
    assert got.lines()[0]["value"] == "required"
    done = evlog("config", "set", "listener.name.outer.ssl.client.auth=none", bootstrap=broker.bootstrap)
    assert done.code != 0 and "Set it in [network] of evlogd's configuration, then send it SIGHUP" in done.err

    s.reload("listener.name.inner.sasl.enabled.mechanisms = PLAIN\n")
    wait_for(lambda: changes(broker), "the record of the reload")
    assert changes(broker)[-1]["parameters"]["settings"] == [
        {"name": "listener.name.outer.ssl.client.auth", "before": "required", "after": "none"},
        {"name": "listener.name.inner.sasl.enabled.mechanisms", "before": "SCRAM-SHA-256,SCRAM-SHA-512",
         "after": "PLAIN"}]
    assert broker.stop() == 0
    broker.start()
    wait_for(lambda: len(changes(broker)) == 2, "the record of the start")
    assert {"name": "listener.name.inner.sasl.enabled.mechanisms", "value": "PLAIN"} in \
        changes(broker)[-1]["parameters"]["settings"]


def test_the_command_line_checks_and_explains_them(tmp_path):
    file = tmp_path / "evlogd.conf"
    file.write_text("[network]\nlisteners = OUTER://127.0.0.1:1\nlistener.security.protocol.map = OUTER:SSL\n"
                    "listener.name.outer.ssl.client.auth = required\n", encoding="ascii")
    shown = evlog("config", "print", file, expect=0).out
    (line,) = [line for line in shown.splitlines() if line.startswith("listener.name.")]
    assert line.startswith("listener.name.outer.ssl.client.auth = required ") and line.endswith(f"# {file}:4")
    told = evlog("config", "explain", "listener.name.outer.ssl.client.auth", file, "--json", expect=0).lines()[0]
    assert told["value"] == "required" and told["from"] == f"{file}:4" and "no request" in told["changes"]
    done = evlog("config", "check", file)
    assert done.code != 0 and f"{file}:2:13: a listener with SSL needs a certificate" in done.err
    file.write_text(file.read_text().replace("name.outer", "name.outr"), encoding="ascii")
    done = evlog("config", "check", file)
    assert done.code != 0 and f"{file}:4:38: " in done.err and "did you mean 'OUTER'?" in done.err
