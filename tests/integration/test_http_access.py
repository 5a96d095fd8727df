# SPDX-License-Identifier: Apache-2.0
"""Who sees what at the HTTP port.

Goal: with the authorizer on /metrics is for users with the right to Describe the cluster, health and version are for
all; each refusal is a problem document that says what to do; guessing is bounded. Method: users and rules by Kafka's
requests, requests with and without credentials, from the loopback and from another address of this machine.
"""
import base64
import json
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient,
                                   ResourcePatternType, ResourceType, ScramCredentialInfo, ScramMechanism,
                                   UserScramCredentialDeletion, UserScramCredentialUpsertion)

from cli_kit import evlog
from evlogd import Broker, start_or_skip, wait_for

GOOD, BAD = "Hollerblüte-9", "Holunder"


def elsewhere():
    """An address of this machine that is not the loopback's, or a skip."""
    words = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()
    addresses = [word for word in words if ":" not in word]
    if not addresses:
        pytest.skip("this machine has no address but the loopback's")
    return addresses[0]


def settle(futures):
    for future in futures.values():
        future.result(60)


def make_user(broker, name, mechanism=ScramMechanism.SCRAM_SHA_256, password=GOOD):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    info = ScramCredentialInfo(mechanism, 8192)
    settle(admin.alter_user_scram_credentials([UserScramCredentialUpsertion(name, info, password.encode())]))


def rule(principal):
    return AclBinding(ResourceType.BROKER, "kafka-cluster", ResourcePatternType.LITERAL, principal, "*",
                      AclOperation.DESCRIBE, AclPermissionType.ALLOW)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data directory with users, made while the authorizer is off."""
    broker = start_or_skip(Broker(tmp_path_factory.mktemp("data")))
    assert ask(broker, "/metrics")[0] == 200, "the authorizer is off"
    assert ask(broker, "/metrics", credentials=("nobody", BAD))[0] == 200
    make_user(broker, "prometheus")
    make_user(broker, "other", ScramMechanism.SCRAM_SHA_512)
    make_user(broker, "boss")
    assert broker.stop() == 0
    return broker.data


@pytest.fixture(scope="module")
def secured(data):
    broker = start_or_skip(Broker(data, args=["--authorizer=on", "--super-users=User:boss"],
                                  listeners="PLAINTEXT://127.0.0.1:0,SASL_PLAINTEXT://127.0.0.1:0"))
    settle(boss_of(broker).create_acls([rule("User:prometheus")]))
    yield broker
    kept.clear()
    assert broker.stop() == 0, "".join(broker.log[-50:])


def boss_of(broker):
    boss = AdminClient({"bootstrap.servers": f"127.0.0.1:{broker.ports['SASL_PLAINTEXT']}",
                        "security.protocol": "sasl_plaintext", "sasl.mechanism": "SCRAM-SHA-256",
                        "sasl.username": "boss", "sasl.password": GOOD})
    kept.append(boss)  # its answers end with it
    return boss


kept = []


def ask(broker, path, credentials=None, header=None, base=None):
    """(status, headers, text)"""
    request = urllib.request.Request((base or broker.http) + path)
    if credentials is not None:
        header = "Basic " + base64.b64encode(":".join(credentials).encode()).decode()
    if header is not None:
        request.add_header("Authorization", header)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def problem(answer):
    status, headers, text = answer
    assert headers["Content-Type"] == "application/problem+json"
    document = json.loads(text)
    assert document["status"] == status
    return document["detail"]


def test_health_and_version_are_for_all(secured):
    for path in ("/health/live", "/health/ready", "/version"):
        assert ask(secured, path)[0] == 200
        assert ask(secured, path, credentials=("prometheus", BAD))[0] == 200
    assert ask(secured, "/none")[0] == 404


def test_metrics_are_for_users_with_the_right(secured):
    answer = ask(secured, "/metrics")
    assert answer[0] == 401 and answer[1]["WWW-Authenticate"] == 'Basic realm="evlog", charset="UTF-8"'
    assert "the right to Describe the cluster" in problem(answer)
    for user in ("prometheus", "boss"):
        answer = ask(secured, "/metrics", credentials=(user, GOOD))
        assert answer[0] == 200 and "evlog_denied_total" in answer[2]
    answer = ask(secured, "/metrics", credentials=("other", GOOD))
    assert answer[0] == 403 and "the user has no right to Describe the cluster" in problem(answer)
    for user, password in (("prometheus", BAD), ("nobody", GOOD), ("other", BAD), ("prometheus", "")):
        answer = ask(secured, "/metrics", credentials=(user, password))
        assert answer[0] == 401 and problem(answer) == "wrong user or password"
        time.sleep(0.15)
    text = ask(secured, "/metrics", credentials=("prometheus", GOOD))[2]
    counted = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert int(counted["evlog_denied_total"]) >= 2 and int(counted["evlog_authentication_failures_total"]) >= 4
    assert not [line for line in secured.log if GOOD in line or BAD in line]


def test_go_2026_4827_no_page_shows_a_credential(secured):
    """Nor do the words of its command."""
    coded = base64.b64encode(f"boss:{GOOD}".encode()).decode()
    for path in ("/metrics", "/health/live", "/health/ready", "/version", "/none", "/metrics?password=" + BAD):
        for credentials in (("boss", GOOD), ("prometheus", BAD), None):
            status, headers, text = ask(secured, path, credentials=credentials)
            said = str(headers) + text
            assert status in (200, 401, 404, 429), path
            assert not [secret for secret in (GOOD, BAD, coded) if secret in said]
            assert str(secured.data) not in said and "StoredKey" not in said
    words = open(f"/proc/{secured.process.pid}/cmdline", "rb").read()
    assert GOOD.encode() not in words


@pytest.mark.parametrize("header", ["", "Basic", "Basic ", "Basic !!!!", "Bearer abc", "Basic " + "QUFB" * 700,
                                    "Basic " + base64.b64encode(b"nocolon").decode(),
                                    "Basic " + base64.b64encode(b"a\0b:c").decode(),
                                    "Basic " + base64.b64encode(b":").decode(),
                                    "Basic " + base64.b64encode(b"\xff\xfe:x").decode()])
def test_headers_that_are_none_are_refused(secured, header):
    answer = ask(secured, "/metrics", header=header)
    assert answer[0] == 401, answer
    assert problem(answer)
    time.sleep(0.11)


def test_guessing_is_bounded_and_a_known_scraper_goes_on(secured):
    time.sleep(1.1)
    assert ask(secured, "/metrics", credentials=("prometheus", GOOD))[0] == 200
    codes = [ask(secured, "/metrics", credentials=("prometheus", f"{BAD}{i}"))[0] for i in range(60)]
    assert set(codes) == {401, 429} and codes.count(401) <= 40
    answer = ask(secured, "/metrics", credentials=("other", BAD))
    if answer[0] == 429:
        assert answer[1]["Retry-After"] == "1" and "come again" in problem(answer)
    assert ask(secured, "/metrics", credentials=("prometheus", GOOD))[0] == 200


def test_loopback_may_be_left_open(data, secured):
    assert secured.stop() == 0
    secured.args = ["--authorizer=on", "--super-users=User:boss", "--metrics-open-on-loopback"]
    secured.start()
    assert ask(secured, "/metrics")[0] == 200
    assert secured.stop() == 0
    secured.args = ["--authorizer=on", "--super-users=User:boss"]
    secured.start()


def test_rights_and_users_that_are_taken_away_count_at_once(secured):
    boss = boss_of(secured)
    who = ("prometheus", GOOD)
    assert ask(secured, "/metrics", credentials=who)[0] == 200
    its = AclBindingFilter(ResourceType.BROKER, None, ResourcePatternType.ANY, "User:prometheus", None,
                           AclOperation.ANY, AclPermissionType.ANY)
    settle(boss.delete_acls([its]))
    assert ask(secured, "/metrics", credentials=who)[0] == 403
    settle(boss.create_acls([rule("User:prometheus")]))
    assert ask(secured, "/metrics", credentials=who)[0] == 200
    settle(boss.alter_user_scram_credentials([UserScramCredentialUpsertion(
        "prometheus", ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 8192), BAD.encode())]))
    assert ask(secured, "/metrics", credentials=who)[0] == 401
    assert ask(secured, "/metrics", credentials=("prometheus", BAD))[0] == 200
    settle(boss.alter_user_scram_credentials([UserScramCredentialDeletion("prometheus",
                                                                          ScramMechanism.SCRAM_SHA_256)]))
    assert ask(secured, "/metrics", credentials=("prometheus", BAD))[0] == 401


@pytest.mark.parametrize("insecure", [False, True])
def test_password_comes_over_the_loopback_only(tmp_path, insecure):
    address = elsewhere()
    broker = Broker(tmp_path / "data", args=[f"--http={address}:0", "--authorizer=on", "--super-users=User:ANONYMOUS",
                                             *(["--insecure-http-password"] if insecure else []),
                                             "--metrics-open-on-loopback"])
    start_or_skip(broker)
    make_user(broker, "boss")
    assert ask(broker, "/metrics")[0] == 200, "User:ANONYMOUS may everything"
    answer = ask(broker, "/metrics", credentials=("boss", GOOD))
    assert answer[0] == 403
    wanted = "no right to Describe" if insecure else "without TLS is refused"
    assert wanted in problem(answer)

    def proofs():
        done = evlog("audit", "tail", "--all", "--json", "--class", "authentication", bootstrap=broker.bootstrap)
        return done.lines() if done.code == 0 else []
    lines = wait_for(proofs, "the record", 60)
    told = {(line["outcome"], line["action"], line.get("principal"), line.get("detail")) for line in lines}
    assert told == {("ok", "Basic", "User:boss", None) if insecure else ("failed", "HTTP", None, "in_the_clear")}
    assert broker.stop() == 0
