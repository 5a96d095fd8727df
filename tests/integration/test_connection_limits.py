# SPDX-License-Identifier: Apache-2.0
"""Limits on connections over real sockets: those of an address and of a user are counted over all shards, one more is
closed and counted, the log says it once, there is room again when one has gone, and limits change while evlogd runs."""
import base64
import hashlib
import hmac
import socket
import struct

import pytest

from cli_kit import evlog
from conftest import Broker, start_or_skip, wait_for

API_VERSIONS, SASL_HANDSHAKE, SASL_AUTHENTICATE = 18, 17, 36
PASSWORD = "Zitrone=7"


class Client:
    """A connection that asks for versions; alive says whether it was answered."""

    def __init__(self, port, address="127.0.0.1"):
        self.conn = socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(address, 0))
        self.alive = self.ask(API_VERSIONS, 0, b"") is not None

    def ask(self, key, version, body):
        """The answer behind its header; None: the connection was closed."""
        request = struct.pack(">hhih", key, version, 7, -1) + body
        try:
            self.conn.sendall(struct.pack(">i", len(request)) + request)
            answer = self.read(struct.unpack(">i", self.read(4))[0])
        except (ConnectionError, EOFError):
            return None
        assert answer[:4] == struct.pack(">i", 7)
        return answer[4:]

    def read(self, count):
        data = b""
        while len(data) < count:
            piece = self.conn.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def say(self, text):
        """One message of an exchange; what the broker says, None when it has closed."""
        answer = self.ask(SASL_AUTHENTICATE, 0, struct.pack(">i", len(text)) + text.encode())
        if answer is None:
            return None
        assert answer[:2] == b"\0\0", answer
        return answer[8:].decode()

    def prove(self, user):
        """SCRAM-SHA-256; whether evlogd takes it and keeps the connection."""
        name = b"SCRAM-SHA-256"
        assert self.ask(SASL_HANDSHAKE, 1, struct.pack(">h", len(name)) + name)[:2] == b"\0\0"
        first = f"n={user},r=nonce"
        server = self.say("n,," + first)
        given = dict(part.split("=", 1) for part in server.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), base64.b64decode(given["s"]), int(given["i"]))
        key = hmac.digest(salted, b"Client Key", "sha256")
        last = f"c=biws,r={given['r']}"
        signed = hmac.digest(hashlib.sha256(key).digest(), f"{first},{server},{last}".encode(), "sha256")
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signed))).decode()
        return self.say(f"{last},p={proof}") is not None

    def close(self):
        self.conn.close()


def refused(broker, reason="connections"):
    return broker.metric("evlog_refused_total", reason=reason)


@pytest.fixture
def started(tmp_path):
    brokers = []

    def start(*args, **options):
        brokers.append(start_or_skip(Broker(tmp_path / "data", shards=2, args=list(args), **options)))
        return brokers[-1]

    yield start
    for broker in brokers:
        assert broker.stop() == 0, "".join(broker.log[-50:])


def test_connections_of_an_address_are_counted_over_all_shards(started):
    broker = started("--max-connections-per-ip=6", "--max-connections-per-ip-overrides=127.0.0.3:1,127.0.0.4:0")
    clients = [Client(broker.port) for _ in range(16)]
    assert sum(client.alive for client in clients) == 6
    assert refused(broker) == 10
    assert Client(broker.port, "127.0.0.2").alive  # another address has its own
    others = [Client(broker.port, "127.0.0.3") for _ in range(3)]
    assert [client.alive for client in others] == [True, False, False]
    assert not Client(broker.port, "127.0.0.4").alive
    lines = broker.said("connection refused")
    assert 1 <= len(lines) <= 2 and "max.connections.per.ip" in lines[0], lines  # each shard says it once
    gone = next(client for client in clients if client.alive)
    gone.close()
    wait_for(lambda: Client(broker.port).alive, "room for another connection", 60)


def test_limits_of_addresses_change_while_evlogd_runs(started):
    broker = started()
    at = {"bootstrap": f"127.0.0.1:{broker.port}"}
    evlog("config", "set", "max.connections.per.ip.overrides=127.0.0.3:1", expect=0, **at)
    kept = Client(broker.port, "127.0.0.3")
    assert kept.alive and not Client(broker.port, "127.0.0.3").alive
    assert "127.0.0.3:x" in evlog("config", "set", "max.connections.per.ip.overrides=127.0.0.3:x", **at).err
    evlog("config", "set", "max.connections.per.ip.overrides=127.0.0.3:2", expect=0, **at)
    assert Client(broker.port, "127.0.0.3").alive


def test_connections_of_a_user_are_counted_over_all_shards(started):
    broker = started("--evlog-max-connections-per-principal=3",
                     listeners="PLAINTEXT://127.0.0.1:0,SASL_PLAINTEXT://127.0.0.1:0")
    for user in ("alice", "bob"):
        evlog("user", "create", user, "--password-file", "-", "--iterations", "4096", stdin=PASSWORD,
              bootstrap=f"127.0.0.1:{broker.ports['PLAINTEXT']}", expect=0)
    port = broker.ports["SASL_PLAINTEXT"]
    clients = [Client(port) for _ in range(8)]
    taken = [client.prove("alice") for client in clients]
    assert taken.count(True) == 3, taken
    assert refused(broker, "principal_connections") == 5
    assert broker.metric("evlog_authentication_failures_total") == 0  # it did prove who it is
    lines = broker.said("User:alice has too many")
    assert 1 <= len(lines) <= 2, lines  # each shard says it once
    assert Client(port).prove("bob")
    assert clients[taken.index(True)].prove("alice")  # again, on the same connection
    clients[taken.index(True)].close()
    wait_for(lambda: Client(port).prove("alice"), "room for another connection", 60)
