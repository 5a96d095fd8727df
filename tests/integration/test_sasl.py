# SPDX-License-Identifier: Apache-2.0
"""The command line proves who it is: by SCRAM with the settings of librdkafka, from flags, environment or a file; a
wrong password, a refused mechanism and a missing right are exit code 4, and no message shows the password."""
import hashlib
import os
import socket
import struct

import pytest

from cli_kit import evlog
from conftest import Broker

PASSWORD = "Zitrone=7"


def compact(data):
    assert len(data) < 127
    return bytes([len(data) + 1]) + data


def make_user(port, name, mechanism, bits):
    """AlterUserScramCredentials 0, with one credential."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac(f"sha{bits}", PASSWORD.encode(), salt, 4096)
    credential = compact(name) + struct.pack(">bi", mechanism, 4096) + compact(salt) + compact(salted) + b"\0"
    request = struct.pack(">hhihx", 51, 0, 7, -1) + b"\1\2" + credential + b"\0"
    with socket.create_connection(("127.0.0.1", port), timeout=20) as conn:
        conn.sendall(struct.pack(">i", len(request)) + request)
        answer = b""
        while len(answer) < 4 or len(answer) < 4 + struct.unpack(">i", answer[:4])[0]:
            piece = conn.recv(4096)
            assert piece
            answer += piece
    # correlation id, tags, throttle time, one result: its name and its error code
    assert answer[14:].startswith(compact(name) + b"\0\0"), answer


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    broker = Broker(tmp_path_factory.mktemp("data"), shards=1,
                    listeners="PLAINTEXT://127.0.0.1:0,SASL_PLAINTEXT://127.0.0.1:0").start()
    make_user(broker.ports["PLAINTEXT"], b"alice", 1, 256)
    make_user(broker.ports["PLAINTEXT"], b"alice", 2, 512)
    make_user(broker.ports["PLAINTEXT"], b"eve", 1, 256)
    assert broker.stop() == 0
    broker.args = ["--authorizer=on", "--super-users=User:alice", "--connections-max-reauth-ms=2s"]
    yield broker.start()
    assert broker.stop() == 0, "".join(broker.log[-50:])


def run(broker, *args, user="alice", password=PASSWORD, mechanism="SCRAM-SHA-256", **options):
    settings = {"security.protocol": "sasl_plaintext", "sasl.mechanism": mechanism, "sasl.username": user,
                "sasl.password": password}
    words = [word for key, value in settings.items() for word in ("-X", f"{key}={value}")]
    return evlog(*args, *words, bootstrap=f"127.0.0.1:{broker.ports['SASL_PLAINTEXT']}", **options)


@pytest.mark.parametrize("given, said", [
    ({"password": "Zitrone=8"}, "refuses the user or the password"),
    ({"user": "nobody"}, "refuses the user or the password"),
    ({"mechanism": "SCRAM-SHA-512", "user": "eve"}, "refuses the user or the password"),
], ids=["password", "user", "mechanism"])
def test_who_cannot_prove_it_ends_at_once_with_exit_code_4(secured, given, said):
    for args in (("produce", "orders"), ("consume", "orders")):
        done = run(secured, *args, **given, stdin="x\n", expect=4)
        assert "EVL-1103" in done.err and said in done.err and "remedy: sasl.username" in done.err
        assert "Zitrone" not in done.err


def test_a_password_makes_the_way_free_from_flags_environment_and_file(secured, tmp_path):
    run(secured, "topics", "create", "orders", expect=0)
    run(secured, "produce", "orders", stdin="one\n", expect=0)
    run(secured, "produce", "orders", mechanism="SCRAM-SHA-512", stdin="two\n", expect=0)
    bootstrap = f"127.0.0.1:{secured.ports['SASL_PLAINTEXT']}"
    environment = {"EVLOG_SECURITY_PROTOCOL": "sasl_plaintext", "EVLOG_SASL_USERNAME": "alice",
                   "EVLOG_SASL_PASSWORD": PASSWORD}
    evlog("produce", "orders", bootstrap=bootstrap, env=environment, stdin="three\n", expect=0)
    file = tmp_path / "settings"
    file.write_text(f"security.protocol = sasl_plaintext\nsasl.username = alice\nsasl.password = {PASSWORD}\n",
                    encoding="ascii")
    done = evlog("consume", "orders", "--config", file, bootstrap=bootstrap, expect=0)
    assert sorted(done.out.split()) == ["one", "three", "two"]


def test_a_missing_right_is_exit_code_4_with_a_remedy(secured):
    done = run(secured, "topics", "create", "mine", user="eve", expect=4)
    assert "remedy: a super user can give the right" in done.err
    run(secured, "produce", "orders", user="eve", stdin="x\n", expect=4)


def test_settings_that_cannot_be_are_refused_before_anything_is_sent(secured):
    done = run(secured, "topics", "ls", mechanism="PLAIN", expect=2)
    assert "sasl.mechanism=PLAIN shows the password" in done.err and "Zitrone" not in done.err
    done = run(secured, "topics", "ls", password="", expect=2)
    assert "needs sasl.username and sasl.password" in done.err
    done = evlog("topics", "ls", "--timeout", "1s", bootstrap=f"127.0.0.1:{secured.ports['SASL_PLAINTEXT']}")
    assert done.code != 0 and "perhaps this listener wants SASL" in done.err
