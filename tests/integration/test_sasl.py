# SPDX-License-Identifier: Apache-2.0
"""The command line proves who it is: by SCRAM with the settings of librdkafka, from flags, environment or a file; a
wrong password, a refused mechanism and a missing right are exit code 4, and no message shows the password."""
import base64
import hashlib
import hmac
import socket
import struct

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from cli_kit import evlog
from conftest import Broker
from scram_user import make_user

PASSWORD = "Zitrone=7"


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    broker = Broker(tmp_path_factory.mktemp("data"), shards=1,
                    listeners="PLAINTEXT://127.0.0.1:0,SASL_PLAINTEXT://127.0.0.1:0").start()
    make_user(broker.ports["PLAINTEXT"], "alice", PASSWORD)
    make_user(broker.ports["PLAINTEXT"], "alice", PASSWORD, 512)
    make_user(broker.ports["PLAINTEXT"], "eve", PASSWORD)
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
    assert "remedy: 'evlog acl allow User:eve create topic mine' gives the right" in done.err
    run(secured, "produce", "orders", user="eve", stdin="x\n", expect=4)


def test_settings_that_cannot_be_are_refused_before_anything_is_sent(secured):
    done = run(secured, "topics", "ls", mechanism="PLAIN", expect=2)
    assert "sasl.mechanism=PLAIN shows the password" in done.err and "Zitrone" not in done.err
    done = run(secured, "topics", "ls", password="", expect=2)
    assert "needs sasl.username and sasl.password" in done.err
    done = evlog("topics", "ls", "--timeout", "1s", bootstrap=f"127.0.0.1:{secured.ports['SASL_PLAINTEXT']}")
    assert done.code != 0 and "perhaps this listener wants SASL" in done.err


def exchange_of_version_0(port, user, password):
    """SaslHandshake 0, and SCRAM-SHA-256 in frames that are nothing but its messages. returns the open connection, or
    None where the broker has closed it."""
    conn = socket.create_connection(("127.0.0.1", port), timeout=60)

    def read():
        data = b""
        while len(data) < 4 or len(data) < 4 + struct.unpack(">i", data[:4])[0]:
            piece = conn.recv(4096)
            if not piece:
                return None
            data += piece
        return data[4:]

    def send(data):
        conn.sendall(struct.pack(">i", len(data)) + data)

    send(struct.pack(">hhih", 17, 0, 1, -1) + struct.pack(">h", 13) + b"SCRAM-SHA-256")
    assert read()[4:6] == b"\0\0"
    bare = f"n={user},r=abcdefgh".encode()
    send(b"n,," + bare)
    first = read()
    parts = dict(part.split(b"=", 1) for part in first.split(b","))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(parts[b"s"]), int(parts[b"i"]))
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    without = b"c=biws,r=" + parts[b"r"]
    signature = hmac.digest(hashlib.sha256(client_key).digest(), bare + b"," + first + b"," + without, "sha256")
    proof = bytes(a ^ b for a, b in zip(client_key, signature))
    send(without + b",p=" + base64.b64encode(proof))
    last = read()
    if last is None:
        return None
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    want = hmac.digest(server_key, bare + b"," + first + b"," + without, "sha256")
    assert last == b"v=" + base64.b64encode(want)
    send(struct.pack(">hhih", 3, 1, 9, -1) + struct.pack(">i", -1))    # requests from here on: Metadata of all
    assert read()[:4] == struct.pack(">i", 9)
    return conn


def test_a_handshake_of_version_0_has_messages_without_requests(secured):
    port = secured.ports["SASL_PLAINTEXT"]
    exchange_of_version_0(port, "alice", PASSWORD).close()
    assert exchange_of_version_0(port, "alice", "Zitrone=8") is None
    assert exchange_of_version_0(port, "nobody", PASSWORD) is None


def test_librdkafka_of_old_proves_who_it_is_by_version_0(secured):
    """Told not to ask for versions it takes those of 0.10.0, as releases of that time did."""
    settings = {"bootstrap.servers": f"127.0.0.1:{secured.ports['SASL_PLAINTEXT']}", "api.version.request": False,
                "broker.version.fallback": "0.10.0.0", "security.protocol": "SASL_PLAINTEXT", "log_level": 0,
                "sasl.mechanism": "SCRAM-SHA-256", "sasl.username": "alice", "sasl.password": PASSWORD}
    assert AdminClient(settings).list_topics(timeout=60).brokers
    with pytest.raises(KafkaException):
        AdminClient({**settings, "sasl.password": "Zitrone=8"}).list_topics(timeout=2)


def test_a_message_that_is_too_long_for_an_exchange_closes_it(secured):
    conn = socket.create_connection(("127.0.0.1", secured.ports["SASL_PLAINTEXT"]), timeout=60)
    handshake = struct.pack(">hhih", 17, 0, 1, -1) + struct.pack(">h", 13) + b"SCRAM-SHA-256"
    conn.sendall(struct.pack(">i", len(handshake)) + handshake)
    assert len(conn.recv(4096)) > 8
    conn.sendall(struct.pack(">i", 100 << 20))
    assert conn.recv(1) == b""
