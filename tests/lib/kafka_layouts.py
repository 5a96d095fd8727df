# SPDX-License-Identifier: Apache-2.0
"""Kafka messages of any listed version as dicts of fields, by kafka_layouts.txt: to send one and to read one to its
end."""
import pathlib
import struct

from kafka_wire import compact, string, uvarint

# As a value to send: null, whether or not the field may be.
NULL = object()
NUMBERS = {"int8": "b", "int16": "h", "uint16": "H", "int32": "i", "int64": "q", "float64": "d", "bool": "?"}


class Field:
    def __init__(self, line):
        words = line.split()
        self.name, kind, self.versions = words[0], words[1], span(words[2])
        self.array = kind.startswith("[]")
        self.type = kind.removeprefix("[]")
        self.nullable = span(words[words.index("null") + 1]) if "null" in words else ()
        self.tag = int(words[words.index("tag") + 1]) if "tag" in words else None
        self.fields = []


def span(text):
    low, plus, high = text.partition("-")
    return range(int(low.rstrip("+")), int(high) + 1 if plus else 1 << 15 if text.endswith("+") else int(low) + 1)


class Message:
    def __init__(self, line):
        self.name, self.side, key, _, flexible = line.split()
        self.key, self.flexible_from = int(key), 1 << 15 if flexible == "none" else int(flexible.rstrip("+"))
        self.fields = []

    def flexible(self, version):
        return version >= self.flexible_from


def load():
    """{(key, "request" | "response"): Message}"""
    out, open_lists = {}, []
    for line in (pathlib.Path(__file__).parent / "kafka_layouts.txt").read_text().splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        if line.startswith("#"):
            continue
        if depth == 0:
            made = Message(line)
            out[made.key, made.side] = made
        else:
            made = Field(line)
            open_lists[depth - 1].append(made)
        open_lists[depth:] = [made.fields]
    return out


# --- sending: absent fields are 0, empty, or null where that is allowed
# ------------------------------------------------

def encode(fields, values, version, flexible):
    out = b""
    for field in fields:
        if version in field.versions and field.tag is None:
            out += encode_field(field, values.get(field.name), version, flexible)
    return out + (b"\0" if flexible else b"")


def count_of(count, flexible):
    return uvarint(count + 1) if flexible else struct.pack(">i", count)


def encode_field(field, value, version, flexible):
    if value is None and version in field.nullable:
        if field.type == "string" and not field.array:
            return (compact if flexible else string)(None)
        return b"\xff" if field.fields and not field.array else count_of(-1, flexible)
    if field.array:
        value = value or []
        parts = [encode(field.fields, item, version, flexible) if field.fields else encode_one(field, item, flexible)
                 for item in value]
        return count_of(len(value), flexible) + b"".join(parts)
    if field.fields:
        present = b"\1" if version in field.nullable else b""
        return present + encode(field.fields, value or {}, version, flexible)
    return encode_one(field, value, flexible)


def encode_one(field, value, flexible):
    if field.type in NUMBERS:
        return struct.pack(">" + NUMBERS[field.type], value or 0)
    if field.type == "uuid":
        return value or bytes(16)
    if field.type == "string":
        return (compact if flexible else string)(None if value is NULL else value or "")
    value = value or b""
    return count_of(len(value), flexible) + value


# --- reading: fails on whatever the version has no place for
# -----------------------------------------------------------

def decode(fields, reader, version, flexible):
    out = {}
    for field in fields:
        if version in field.versions and field.tag is None:
            out[field.name] = decode_field(field, reader, version, flexible)
    if flexible:
        known = {field.tag: field for field in fields if field.tag is not None and version in field.versions}
        for tag, data in reader.tags().items():
            inner = type(reader)(data)
            out[known[tag].name] = decode_field(known[tag], inner, version, flexible)
            inner.end()
    return out


def decode_field(field, reader, version, flexible):
    if field.array:
        count = reader.uvarint() - 1 if flexible else reader.unpack("i")
        if count < 0:
            assert version in field.nullable, f"{field.name} is null in version {version}"
            return None
        return [decode(field.fields, reader, version, flexible) if field.fields
                else decode_one(field, reader, version, flexible) for _ in range(count)]
    if field.fields:
        if version in field.nullable and reader.unpack("b") < 0:
            return None
        return decode(field.fields, reader, version, flexible)
    return decode_one(field, reader, version, flexible)


def decode_one(field, reader, version, flexible):
    if field.type in NUMBERS:
        return reader.unpack(NUMBERS[field.type])
    if field.type == "uuid":
        return reader.take(16)
    if field.type == "string":
        value = reader.compact() if flexible else reader.string()
    else:
        value = reader.compact_bytes() if flexible else reader.bytes()
    assert value is not None or field.array or version in field.nullable or field.type == "records", \
        f"{field.name} is null in version {version}"
    return value


MESSAGES = load()


def send(conn, key, version, values):
    """Send a request of a version; returns what receive() needs to know."""
    request = MESSAGES[key, "request"]
    flexible = request.flexible(version)
    return conn.send(key, version, encode(request.fields, values, version, flexible), flexible)


def receive(conn, key, version, correlation):
    """Read an answer to the last byte."""
    response = MESSAGES[key, "response"]
    reader = conn.receive(correlation, response.flexible(version) and key != 18)
    out = decode(response.fields, reader, version, response.flexible(version))
    reader.end()
    return out


def ask(conn, key, version, values):
    """Send a request of a version and read its answer."""
    return receive(conn, key, version, send(conn, key, version, values))
