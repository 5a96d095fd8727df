# SPDX-License-Identifier: Apache-2.0
"""A small Kafka client of the tests' own: frames, a few requests, record batches, and every way to get them wrong.

Written from the protocol's description and not from evlog's sources, so that one mistake is not made twice.
"""
import gzip
import socket
import struct

PRODUCE, FETCH, LIST_OFFSETS, METADATA = 0, 1, 2, 3
API_VERSIONS, CREATE_TOPICS, DELETE_TOPICS, DELETE_RECORDS, INIT_PRODUCER_ID = 18, 19, 20, 21, 22
CREATE_PARTITIONS = 37

NONE = 0
OFFSET_OUT_OF_RANGE = 1
CORRUPT_MESSAGE = 2
UNKNOWN_TOPIC_OR_PARTITION = 3
REQUEST_TIMED_OUT = 7
COORDINATOR_LOAD_IN_PROGRESS = 14
MESSAGE_TOO_LARGE = 10
INVALID_TOPIC_EXCEPTION = 17
INVALID_REQUIRED_ACKS = 21
INVALID_TIMESTAMP = 32
UNSUPPORTED_VERSION = 35
TOPIC_ALREADY_EXISTS = 36
INVALID_PARTITIONS = 37
INVALID_CONFIG = 40
INVALID_REQUEST = 42
OUT_OF_ORDER_SEQUENCE_NUMBER = 45
INVALID_PRODUCER_EPOCH = 47
FETCH_SESSION_ID_NOT_FOUND = 70
FENCED_LEADER_EPOCH = 74
UNKNOWN_LEADER_EPOCH = 75
UNSUPPORTED_COMPRESSION_TYPE = 76
INVALID_RECORD = 87
UNKNOWN_TOPIC_ID = 100
REBOOTSTRAP_REQUIRED = 129


def _crc_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ 0x82F63B78 if value & 1 else value >> 1
        table.append(value)
    return table


_CRC = _crc_table()


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def uvarint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def varint(value):
    return uvarint(value << 1 if value >= 0 else (-value << 1) - 1)


def record(value, key=None, offset_delta=0, timestamp_delta=0, headers=()):
    body = b"\0" + varint(timestamp_delta) + varint(offset_delta)
    for part in (key, value):
        body += varint(-1) if part is None else varint(len(part)) + part
    body += varint(len(headers))
    for name, content in headers:
        body += varint(len(name)) + name + (varint(-1) if content is None else varint(len(content)) + content)
    return varint(len(body)) + body


def batch(values, *, codec=0, timestamp=1_700_000_000_000, producer_id=-1, producer_epoch=-1, base_sequence=-1,
          attributes=None, magic=2, count=None, last_delta=None, crc=None, length=None, records=None,
          max_timestamp=None):
    """One record batch; every keyword replaces what a right batch would hold, behind a right checksum."""
    if records is None:
        records = b"".join(record(value, offset_delta=i) for i, value in enumerate(values))
    if codec == 1:
        records = gzip.compress(records)
    count = len(values) if count is None else count
    covered = struct.pack(">hiqqqhii", codec if attributes is None else attributes,
                          len(values) - 1 if last_delta is None else last_delta, timestamp,
                          timestamp if max_timestamp is None else max_timestamp, producer_id, producer_epoch,
                          base_sequence, count) + records
    tail = struct.pack(">ibI", -1, magic, crc32c(covered) if crc is None else crc) + covered
    return struct.pack(">qi", 0, len(tail) if length is None else length) + tail


def batches_in(data):
    """(base offset, last offset, record count) of each batch."""
    out = []
    while len(data) >= 61:
        base, length = struct.unpack_from(">qi", data)
        last_delta, = struct.unpack_from(">i", data, 23)
        count, = struct.unpack_from(">i", data, 57)
        out.append((base, base + last_delta, count))
        data = data[12 + length:]
    return out


def split(data):
    """The batches of a fetch answer, each as its bytes; a cut one at the end is left out."""
    out = []
    while len(data) >= 61:
        length = 12 + int.from_bytes(data[8:12], "big")
        if length > len(data):
            break
        out.append(data[:length])
        data = data[length:]
    return out


def codec_of(data):
    """Bits 0 to 2 of a batch's attributes."""
    return data[22] & 7


def signed_varint(data, at):
    """(value, position behind it)"""
    shift = value = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7


def _counted(data, at):
    length, at = signed_varint(data, at)
    return (None, at) if length < 0 else (data[at:at + length], at + length)


def records_in(data):
    """(offset, timestamp, key, value, headers) of each record of one batch, uncompressed or gzip."""
    base, = struct.unpack_from(">q", data)
    first, = struct.unpack_from(">q", data, 27)
    count, = struct.unpack_from(">i", data, 57)
    assert codec_of(data) <= 1, "the other codecs are not in Python's library"
    body = gzip.decompress(data[61:]) if codec_of(data) == 1 else data[61:]
    out, at = [], 0
    for _ in range(count):
        length, at = signed_varint(body, at)
        end = at + length
        stamp, at = signed_varint(body, at + 1)
        delta, at = signed_varint(body, at)
        key, at = _counted(body, at)
        value, at = _counted(body, at)
        headers, at = signed_varint(body, at)
        pairs = []
        for _ in range(headers):
            name, at = _counted(body, at)
            content, at = _counted(body, at)
            pairs.append((name, content))
        assert at == end, "a record's length is not that of its fields"
        out.append((base + delta, first + stamp, key, value, pairs))
    assert at == len(body), "bytes behind the last record"
    return out


def string(text):
    if text is None:
        return struct.pack(">h", -1)
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack(">h", len(raw)) + raw


def compact(text):
    if text is None:
        return b"\0"
    raw = text.encode() if isinstance(text, str) else text
    return uvarint(len(raw) + 1) + raw


def header(api, version, correlation=1, client="test", flexible=False):
    return struct.pack(">hhi", api, version, correlation) + string(client) + (b"\0" if flexible else b"")


def frame(payload):
    return struct.pack(">i", len(payload)) + payload


class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        assert self.at + count <= len(self.data), f"answer too short: wanted {count} bytes at {self.at}"
        out = self.data[self.at:self.at + count]
        self.at += count
        return out

    def unpack(self, form):
        values = struct.unpack(">" + form, self.take(struct.calcsize(">" + form)))
        return values[0] if len(values) == 1 else values

    def uvarint(self):
        shift = value = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def string(self):
        length = self.unpack("h")
        return None if length < 0 else self.take(length).decode()

    def compact(self):
        length = self.uvarint()
        return None if length == 0 else self.take(length - 1).decode()

    def bytes(self):
        length = self.unpack("i")
        return None if length < 0 else self.take(length)

    def compact_bytes(self):
        length = self.uvarint()
        return None if length == 0 else self.take(length - 1)

    def tags(self):
        """{tag: bytes} of a tagged section."""
        return {self.uvarint(): self.take(self.uvarint()) for _ in range(self.uvarint())}

    def end(self):
        assert self.at == len(self.data), f"{len(self.data) - self.at} bytes left over in an answer"


class Connection:
    def __init__(self, host, port, timeout=60):
        self.socket = socket.create_connection((host, port), timeout)
        self.correlation = 0

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send_raw(self, data):
        self.socket.sendall(data)

    def read_exactly(self, count):
        out = b""
        while len(out) < count:
            part = self.socket.recv(count - len(out))
            if not part:
                raise EOFError(f"closed after {len(out)} of {count} bytes")
            out += part
        return out

    def read_frame(self):
        length, = struct.unpack(">i", self.read_exactly(4))
        return self.read_exactly(length)

    def closed_by_peer(self):
        """True once the other side closes; an answer instead is False."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def send(self, api, version, body, flexible=False, client="test"):
        self.correlation += 1
        self.send_raw(frame(header(api, version, self.correlation, client, flexible) + body))
        return self.correlation

    def receive(self, correlation, flexible=False):
        reader = Reader(self.read_frame())
        assert reader.unpack("i") == correlation
        if flexible:
            reader.tags()
        return reader

    def ask(self, api, version, body, flexible=False, answer_flexible=None):
        correlation = self.send(api, version, body, flexible)
        return self.receive(correlation, flexible if answer_flexible is None else answer_flexible)

    # --- requests, at the versions that are easiest to read ---------------------------------------------------------

    def create_topic(self, name, partitions=1, configs=(), replication=1, validate=False):
        """CreateTopics 4. returns (error, message)"""
        body = struct.pack(">i", 1) + string(name) + struct.pack(">ihii", partitions, replication, 0, len(configs))
        for key, value in configs:
            body += string(key) + string(value)
        reader = self.ask(CREATE_TOPICS, 4, body + struct.pack(">ib", 30000, validate))
        reader.unpack("ii")
        assert reader.string() == name
        out = reader.unpack("h"), reader.string()
        reader.end()
        return out

    def delete_topic(self, name):
        """DeleteTopics 3. returns the error"""
        reader = self.ask(DELETE_TOPICS, 3, struct.pack(">i", 1) + string(name) + struct.pack(">i", 30000))
        reader.unpack("ii")
        assert reader.string() == name
        return reader.unpack("h")

    def create_partitions(self, name, count):
        """CreatePartitions 1. returns the error"""
        body = struct.pack(">i", 1) + string(name) + struct.pack(">iiib", count, -1, 30000, 0)
        reader = self.ask(CREATE_PARTITIONS, 1, body)
        reader.unpack("ii")
        assert reader.string() == name
        error = reader.unpack("h")
        reader.string()
        reader.end()
        return error

    def delete_records(self, name, offset, partition=0):
        """DeleteRecords 1. returns (error, new log start)"""
        body = struct.pack(">i", 1) + string(name) + struct.pack(">iiqi", 1, partition, offset, 30000)
        reader = self.ask(DELETE_RECORDS, 1, body)
        reader.unpack("ii")
        assert reader.string() == name
        assert reader.unpack("i") == 1
        _, low, error = reader.unpack("iqh")
        reader.end()
        return error, low

    def metadata(self, names, auto_create=False):
        """Metadata 4. names None: all. returns {name: (error, partition count, internal)}"""
        body = struct.pack(">i", -1) if names is None else struct.pack(">i", len(names))
        body += b"".join(string(name) for name in names or ()) + struct.pack(">b", auto_create)
        reader = self.ask(METADATA, 4, body)
        reader.unpack("i")
        for _ in range(reader.unpack("i")):
            reader.unpack("i"), reader.string(), reader.unpack("i"), reader.string()
        reader.string(), reader.unpack("i")
        out = {}
        for _ in range(reader.unpack("i")):
            error, name, internal = reader.unpack("h"), reader.string(), reader.unpack("b")
            count = reader.unpack("i")
            for _ in range(count):
                reader.unpack("hii")
                for _ in range(2):
                    reader.take(4 * reader.unpack("i"))
            out[name] = error, count, bool(internal)
        reader.end()
        return out

    def topic_id(self, name):
        """Metadata 10."""
        body = uvarint(2) + bytes(16) + compact(name) + b"\0" + b"\0\0\0" + b"\0"
        reader = self.ask(METADATA, 10, body, flexible=True)
        reader.unpack("i")
        for _ in range(reader.uvarint() - 1):
            reader.unpack("i"), reader.compact(), reader.unpack("i"), reader.compact(), reader.tags()
        reader.compact(), reader.unpack("i")
        assert reader.uvarint() == 2
        error, _, identity = reader.unpack("h"), reader.compact(), reader.take(16)
        assert error == 0
        return identity

    def send_produce(self, name, data, partition=0, acks=-1, version=7, timeout_ms=30000):
        body = string(None) + struct.pack(">hii", acks, timeout_ms, 1) + string(name) + struct.pack(">ii", 1, partition)
        body += struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data
        return self.send(PRODUCE, version, body)

    def read_produce(self, correlation, version=7):
        """(error, base offset, append time, log start) of the only partition; from 8 also record indexes and text."""
        reader = self.receive(correlation)
        assert reader.unpack("i") == 1
        reader.string()
        assert reader.unpack("i") == 1
        _, error, base, stamp = reader.unpack("ihqq")
        start = reader.unpack("q") if version >= 5 else -1
        indexes, text = [], None
        if version >= 8:
            for _ in range(reader.unpack("i")):
                indexes.append(reader.unpack("i"))
                reader.string()
            text = reader.string()
        reader.unpack("i")
        reader.end()
        return (error, base, stamp, start) if version < 8 else (error, base, stamp, start, indexes, text)

    def produce(self, name, data, partition=0, acks=-1, version=7, timeout_ms=30000):
        return self.read_produce(self.send_produce(name, data, partition, acks, version, timeout_ms), version)

    def send_fetch(self, name, partition=0, offset=0, max_wait=0, min_bytes=1, max_bytes=1 << 25, version=11, epoch=-1,
                   isolation=0, session=(0, -1), partition_bytes=1 << 20):
        body = struct.pack(">iiii", -1, max_wait, min_bytes, max_bytes) + struct.pack(">b", isolation)
        if version >= 7:
            body += struct.pack(">ii", *session)
        body += struct.pack(">i", 1) + string(name) + struct.pack(">ii", 1, partition)
        if version >= 9:
            body += struct.pack(">i", epoch)
        body += struct.pack(">q", offset)
        if version >= 5:
            body += struct.pack(">q", -1)
        body += struct.pack(">i", partition_bytes)
        if version >= 7:
            body += struct.pack(">i", 0)
        if version >= 11:
            body += string("")
        return self.send(FETCH, version, body)

    def read_fetch(self, correlation, version=11):
        """dict of the only partition's answer; {'error': code} alone for an error of the whole request."""
        reader = self.receive(correlation)
        reader.unpack("i")
        if version >= 7:
            error, session = reader.unpack("hi")
            assert session == 0
            if error:
                assert reader.unpack("i") == 0
                reader.end()
                return {"error": error}
        assert reader.unpack("i") == 1
        reader.string()
        assert reader.unpack("i") == 1
        out = dict(zip(("partition", "error", "high", "stable"), reader.unpack("ihqq")))
        out["start"] = reader.unpack("q") if version >= 5 else None
        aborted = reader.unpack("i")
        out["aborted"] = None if aborted < 0 else [reader.unpack("qq") for _ in range(aborted)]
        if version >= 11:
            assert reader.unpack("i") == -1
        out["records"] = reader.bytes()
        reader.end()
        return out

    def fetch(self, name, **keywords):
        return self.read_fetch(self.send_fetch(name, **keywords), keywords.get("version", 11))

    def list_offset(self, name, timestamp, partition=0, version=5, epoch=-1):
        """ListOffsets 4 or 5. returns (error, timestamp, offset, leader epoch)"""
        body = struct.pack(">ibi", -1, 0, 1) + string(name) + struct.pack(">iiiq", 1, partition, epoch, timestamp)
        reader = self.ask(LIST_OFFSETS, version, body)
        reader.unpack("ii")
        assert reader.string() == name
        assert reader.unpack("i") == 1
        _, error, stamp, offset, leader_epoch = reader.unpack("ihqqi")
        reader.end()
        return error, stamp, offset, leader_epoch

    def init_producer_id(self, transactional_id=None):
        """InitProducerId 1. returns (error, producer id, epoch)"""
        reader = self.ask(INIT_PRODUCER_ID, 1, string(transactional_id) + struct.pack(">i", 60000))
        reader.unpack("i")
        out = reader.unpack("hqh")
        reader.end()
        return out
