# SPDX-License-Identifier: Apache-2.0
"""What a reload puts in force, and what it tells of it.

Goal: nothing that was changed on the machine comes into force without a record in the audit log, whoever had it read
and however fast one reload follows another; and what has a fault leaves all that belongs to it as it was, in what is
shown, told and done. Method: files that are changed under a running server, by one fault at a time.
"""
import http.client
import signal
import ssl

from certs import Certs
from cli_kit import evlog
from evlogd import Broker, start_or_skip, wait_for


def changes(broker):
    """Of settings: [(name, before, after)], in order."""
    lines = evlog("audit", "tail", "--class", "changes", "--json", bootstrap=broker.bootstrap, expect=0).lines()
    return [(change["name"], change["before"], change["after"])
            for line in lines if line.get("action") == "reload" for change in line["parameters"]["settings"]]


def reload(broker):
    lines = len(broker.log_lines("was read again"))
    broker.process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(broker.log_lines("was read again")) > lines, "the reload")


def setting(broker, name):
    (line,) = evlog("config", "get", name, "--json", bootstrap=broker.bootstrap, expect=0).lines()
    return line["value"]


def test_a_change_that_a_request_brings_into_force_is_told(tmp_path):
    """The request changes one thing, and has the file read; the other was written there before."""
    file = tmp_path / "evlogd.conf"
    file.write_text("[security]\nauthorizer = on\nsuper.users = User:ANONYMOUS\n")
    broker = Broker(tmp_path / "data", args=["--config", str(file)]).start()
    evlog("topics", "create", "orders", bootstrap=broker.bootstrap, expect=0)
    file.write_text("[security]\nauthorizer = off\nsuper.users = User:ANONYMOUS\n[topics]\nretention.ms = 7d\n")
    evlog("config", "set", "num.partitions=3", "log.segment.bytes=1MiB", bootstrap=broker.bootstrap, expect=0)
    assert setting(broker, "authorizer") == "off", "the file was read"
    wait_for(lambda: changes(broker), "the record")
    assert changes(broker) == [("authorizer", "on", "off"), ("retention.ms", "-1", "604800000")]
    evlog("config", "set", "num.partitions=", "segment.bytes=", bootstrap=broker.bootstrap, expect=0)
    reload(broker)
    assert len(changes(broker)) == 2, "what requests change is told by their own records"
    assert broker.stop() == 0


def test_of_reloads_in_a_row_no_change_is_lost(tmp_path):
    """The next signal comes while the record of the reload before is on its way to the disk."""
    file = tmp_path / "evlogd.conf"
    file.write_text("[topics]\nnum.partitions = 1\n")
    broker = Broker(tmp_path / "data", args=["--config", str(file)]).start()
    evlog("topics", "create", "orders", bootstrap=broker.bootstrap, expect=0)
    for number in range(2, 32):
        file.write_text(f"[topics]\nnum.partitions = {number}\n")
        reload(broker)
    wait_for(lambda: changes(broker) and changes(broker)[-1][2] == "31", "the record of the last one")
    told = changes(broker)
    assert told[0][1] == "1"
    assert [before for _, before, _ in told[1:]] == [after for _, _, after in told[:-1]], "none is missing"
    assert broker.stop() == 0


def test_of_certificates_with_a_fault_the_settings_stay_too(tmp_path):
    certs = Certs(tmp_path).issue("server").issue("app")
    file = tmp_path / "evlogd.conf"

    def write(key, auth):
        file.write_text(f"[network]\nssl.certificate.file = {certs.pem('server')}\nssl.key.file = {key}\n"
                        f"ssl.ca.file = {certs.pem('ca')}\nssl.client.auth = {auth}\n")

    write(certs.key("server"), "none")
    broker = start_or_skip(Broker(tmp_path / "data", args=["--config", str(file)],
                                  listeners="PLAINTEXT://127.0.0.1:0,SSL://127.0.0.1:0"))
    broker.port = broker.ports["PLAINTEXT"]

    def let_in():
        settings = [word for name, value in certs.client().items() for word in ("-X", f"{name}={value}")]
        return evlog("topics", "ls", *settings, bootstrap=f"localhost:{broker.ports['SSL']}").code == 0

    evlog("topics", "create", "orders", bootstrap=broker.bootstrap, expect=0)
    write(certs.key("app"), "required")
    reload(broker)
    assert broker.said("does not belong to the key", "stay as they were") and let_in()
    assert setting(broker, "ssl.client.auth") == "none", "as it is"
    assert changes(broker) == [], "nothing is in force that was not"

    write(certs.key("server"), "required")
    reload(broker)
    wait_for(lambda: changes(broker), "the record")
    assert changes(broker) == [("ssl.client.auth", "none", "required")]
    assert setting(broker, "ssl.client.auth") == "required" and not let_in()
    assert broker.stop() == 0


def test_tokens_with_a_fault_hold_nothing_else_up(tmp_path):
    """Whether metrics need a certificate is no matter of tokens."""
    certs = Certs(tmp_path).issue("server").issue("app")
    tokens, others = tmp_path / "tokens", tmp_path / "others"
    file = tmp_path / "evlogd.conf"
    for path in (tokens, others):
        path.touch(mode=0o600)

    def write(auth, path):
        file.write_text(f"[network]\nssl.client.auth = {auth}\n[security]\nevlog.http.tokens.file = {path}\n")

    write("requested", tokens)
    broker = start_or_skip(Broker(tmp_path / "data", args=[
        "--config", str(file), "--http=https://127.0.0.1:0", *certs.server_flags(), "--ssl-ca-file", certs.pem("ca")]))

    def status(name=None):
        context = ssl.create_default_context(cafile=certs.pem("ca"))
        if name is not None:
            context.load_cert_chain(certs.pem(name), certs.key(name))
        connection = http.client.HTTPSConnection(broker.http.removeprefix("https://"), timeout=60, context=context)
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    evlog("topics", "create", "orders", bootstrap=broker.bootstrap, expect=0)
    assert (status(), status("app")) == (200, 200)
    others.write_text("no token\n", encoding="ascii")
    write("required", others)
    reload(broker)
    assert broker.said("others:1: a line is a principal", "stay as they were")
    assert (status(), status("app")) == (403, 200)
    wait_for(lambda: changes(broker), "the record")
    assert changes(broker) == [("ssl.client.auth", "requested", "required")]
    assert setting(broker, "evlog.http.tokens.file") == str(tokens), "that is in force"
    assert broker.stop() == 0
