# SPDX-License-Identifier: Apache-2.0
"""librdkafka on topics with streams: where it puts keys, what it is told of a conflict, and that its own retries are
none."""
import socket
import struct
import threading

import confluent_kafka
import pytest

from evlogd import Broker, quiet_port
from evlog_wire import ask

STREAM_READ = 0x4011
INVALID_RECORD = 87
KEYS = [b"order-%d" % n for n in range(60)]


def make_topic(conn, topic, partitions=1, partitioner="murmur2"):
    settings = [("evlog.streams", "true"), ("evlog.key.partitioner", partitioner)]
    assert conn.create_topic(topic, partitions, settings) == (0, None)


class Writer:
    """A producer of librdkafka that sends one record at a time."""

    def __init__(self, bootstrap, **settings):
        self.producer = confluent_kafka.Producer({
            "bootstrap.servers": bootstrap, "log_level": 0, "linger.ms": 0, "enable.idempotence": True,
            **{name.replace("_", "."): value for name, value in settings.items()}})
        self.done = None

    def send(self, topic, key, expected=None, **more):
        """(error code or 0, offset, text)"""
        headers = [] if expected is None else [("evlog-expected-version", expected)]
        self.done = None
        self.producer.produce(topic, b"v", key, headers=headers, on_delivery=self.delivered, **more)
        self.producer.flush(30)
        assert self.done is not None, "no answer in time"
        return self.done

    def delivered(self, error, message):
        self.done = (error.code() if error else 0, message.offset(), error.str() if error else "")


@pytest.mark.parametrize("partitioner,setting", [("murmur2", "murmur2_random"), ("crc32", "consistent_random"),
                                                 ("fnv1a", "fnv1a_random")])
def test_keys_go_where_the_topic_wants_them(broker, topic, partitioner, setting):
    with broker.connect() as conn:
        make_topic(conn, topic, 7, partitioner)
        right = Writer(broker.bootstrap, partitioner=setting)
        for key in KEYS:
            assert right.send(topic, key)[0] == 0, key
        wrong = Writer(broker.bootstrap, partitioner="fnv1a_random" if partitioner != "fnv1a" else "murmur2_random")
        codes = [wrong.send(topic, key)[0] for key in KEYS]
        assert set(codes) == {0, INVALID_RECORD} and codes.count(0) < len(KEYS) / 2
        for key in KEYS:
            assert ask(conn, STREAM_READ, {"topic": topic, "key": key})["last_version"] in (0, 1)


def test_expected_versions_by_header(broker, topic):
    with broker.connect() as conn:
        make_topic(conn, topic)
    writer = Writer(broker.bootstrap)
    assert writer.send(topic, b"k", b"none")[:2] == (0, 0)
    assert writer.send(topic, b"k", b"0")[:2] == (0, 1)
    code, _, text = writer.send(topic, b"k", b"0")
    assert code == INVALID_RECORD, text
    assert writer.send(topic, b"k", b"none")[0] == INVALID_RECORD
    assert writer.send(topic, b"k", b"1")[:2] == (0, 2), "a refusal does not stop the producer"
    assert writer.send(topic, b"k", b"exists")[:2] == (0, 3)
    plain = Writer(broker.bootstrap, enable_idempotence=False)
    assert plain.send(topic, b"k", b"3")[0] == INVALID_RECORD, "neither producer id nor ce_id"
    assert plain.send(topic, b"k")[:2] == (0, 4)


class LossyProxy:
    """Between client and broker; loses the answer to the next Produce, and the connection with it."""

    def __init__(self, port, target):
        self.target = target
        self.lose = threading.Event()
        self.lost = 0
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            broker = socket.create_connection(("127.0.0.1", self.target()))
            produced = set()
            threading.Thread(target=self.forward, args=(client, broker, produced, True), daemon=True).start()
            threading.Thread(target=self.forward, args=(broker, client, produced, False), daemon=True).start()

    @staticmethod
    def frame(sock):
        head = sock.recv(4, socket.MSG_WAITALL)
        if len(head) < 4:
            return None
        body = sock.recv(struct.unpack(">i", head)[0], socket.MSG_WAITALL)
        return head + body

    def forward(self, source, sink, produced, requests):
        try:
            while (frame := self.frame(source)) is not None:
                if requests and frame[4:6] == b"\0\0":
                    produced.add(frame[8:12])
                if not requests and frame[4:8] in produced and self.lose.is_set():
                    self.lose.clear()
                    self.lost += 1
                    break
                sink.sendall(frame)
        except OSError:
            pass
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def test_a_retry_of_librdkafka_is_no_conflict(tmp_path, topic):
    port = quiet_port()
    broker = Broker(tmp_path / "data", args=["--advertised-address", f"127.0.0.1:{port}"]).start()
    try:
        proxy = LossyProxy(port, lambda: broker.port)
        with broker.connect() as conn:
            make_topic(conn, topic)
            writer = Writer(f"127.0.0.1:{port}")
            assert writer.send(topic, b"k", b"none")[:2] == (0, 0)
            for version in range(5):
                proxy.lose.set()
                assert writer.send(topic, b"k", b"%d" % version)[:2] == (0, version + 1)
            assert proxy.lost == 5
            assert ask(conn, STREAM_READ, {"topic": topic, "key": b"k"})["last_version"] == 5
        proxy.listener.close()
    finally:
        broker.stop()
