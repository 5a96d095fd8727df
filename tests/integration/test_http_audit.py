# SPDX-License-Identifier: Apache-2.0
"""What the audit log keeps of the HTTP port.

Goal: who proves who they are at that port, fails to, or has no right there is in the log as on a listener, without a
secret, and a crowd costs a few records, whose counts add up. Method: one request of each kind, and many of one; the
records, and what is summed, which a stop writes.
"""
import base64
import http.client
import json
import socket
import ssl

import pytest

from certs import openssl
from cli_kit import evlog
from evlogd import wait_for
from test_http_access import BAD, GOOD, make_user
from test_http_tls import Port, allow, new_token

CROWD = 400


def records(port, name):
    """Of a class, so far; before the first of all the topic is not there."""
    done = evlog("audit", "tail", "--all", "--json", "--class", name, bootstrap=port.broker.bootstrap)
    assert done.code in (0, 5), done.err
    return [line for line in done.lines() if line["listener"] == "HTTP"] if done.code == 0 else []


def kinds(lines):
    return {(line["outcome"], line["action"], line.get("principal"), line.get("detail")) for line in lines}


@pytest.fixture
def port(tmp_path):
    """Who says nothing may everything, and so read the log."""
    made = Port(tmp_path, ["--authorizer=on", "--super-users=User:ANONYMOUS"])
    make_user(made.broker, "alice")
    allow(made.broker, "User:CN=scraper,O=Example", "User:prometheus", "User:alice")
    yield made
    made.stop()


def basic(port, password):
    word = base64.b64encode(f"alice:{password}".encode()).decode()
    return with_header(port, f"Basic {word}")


def with_header(port, text):
    connection = port.connection()
    try:
        connection.request("GET", "/metrics", headers={"Authorization": text})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def test_proofs_and_denials_are_told_and_no_secret_is(port):
    wrong = new_token()
    assert port.ask(token=port.tokens["User:prometheus"])[0] == 200
    assert port.ask(token=port.tokens["User:weak"])[0] == 403
    assert port.ask(token=wrong)[0] == 401
    assert basic(port, GOOD) == 200 and basic(port, BAD) == 401 and with_header(port, "Basic !!!") == 401
    assert port.ask(name="scraper")[0] == 200
    assert port.ask("/health/live", name="other")[0] == 200, "a proof also where nobody asks for one"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        port.ask("/health/live", name="stranger")
    with socket.create_connection(port.place(), timeout=60) as conn:
        conn.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert conn.recv(100) == b""

    wanted = {("ok", "Bearer", "User:prometheus", None), ("ok", "Bearer", "User:weak", None),
              ("ok", "Basic", "User:alice", None), ("failed", "Bearer", None, None),
              ("failed", "Basic", "alice", None), ("failed", "HTTP", None, "malformed"),
              ("failed", "TLS", None, "certificate_foreign"), ("failed", "TLS", None, "no_tls")}

    def told():
        found = records(port, "authentication")
        return found if kinds(found) >= wanted and len(kinds(found)) == len(wanted) + 2 else None
    lines = wait_for(told, "the records of proofs", 60)
    by_tls = {line["principal"]: line for line in lines if line["action"] == "TLS" and line["outcome"] == "ok"}
    assert set(by_tls) == {"User:CN=scraper,O=Example", "User:CN=other"}
    for line in by_tls.values():
        assert line["detail"].startswith("TLSv1.2 ECDHE-") and line["resource"].startswith("Certificate sha256:")
    digest = openssl("x509", "-in", port.certs.pem("other"), "-noout", "-fingerprint", "-sha256")
    assert by_tls["User:CN=other"]["resource"].endswith(digest.strip().rpartition("=")[2].replace(":", "").lower())
    assert all(line["address"] == "127.0.0.1" for line in lines)

    denial, = wait_for(lambda: records(port, "denials"), "the denial", 60)
    assert (denial["principal"], denial["action"], denial["resource"], denial["detail"], denial["outcome"]) == (
        "User:weak", "GET /metrics", "Cluster kafka-cluster", "Describe", "denied")
    text = json.dumps(lines + [denial], ensure_ascii=False)
    for secret in (wrong, GOOD, BAD, *port.tokens.values()):
        assert secret not in text


def test_a_crowd_that_fails_costs_a_few_records_whose_counts_add_up(port):
    host, number = port.place()
    connection = http.client.HTTPSConnection(host, number, timeout=60, context=port.context())
    for _ in range(CROWD):   # each with another token, at the speed of one connection
        connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {new_token()}"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 401
    connection.close()
    lines = wait_for(lambda: records(port, "authentication"), "the first record", 60)
    assert len(lines) <= 4, lines
    assert port.broker.stop() == 0   # what is summed is written
    port.broker.start()
    lines = records(port, "authentication")
    assert len(lines) <= 8 and sum(line["count"] for line in lines) == CROWD, lines
    assert {line["outcome"] for line in lines} == {"failed"}


def test_classes_that_are_not_wanted_are_not_told(tmp_path):
    made = Port(tmp_path, ["--authorizer=on", "--super-users=User:ANONYMOUS", "--evlog-audit-include=changes"])
    assert made.ask(token=new_token())[0] == 401 and made.ask(token=made.tokens["User:weak"])[0] == 403
    evlog("topics", "create", "t", bootstrap=made.broker.bootstrap, expect=0)
    assert made.broker.stop() == 0
    made.broker.start()
    done = evlog("audit", "tail", "--all", "--json", bootstrap=made.broker.bootstrap, expect=0)
    assert {line["class"] for line in done.lines()} == {"changes"}
    made.stop()


def test_a_certificate_that_is_missing_where_one_is_required_is_told(tmp_path):
    made = Port(tmp_path, client_auth="required")
    assert made.ask()[0] == 403
    assert made.ask(name="other")[0] == 200
    wait_for(lambda: ("failed", "TLS", None, "no_certificate") in kinds(records(made, "authentication")),
             "the record", 60)
    made.stop()
