# SPDX-License-Identifier: Apache-2.0
"""evlog's own requests: one CBOR map there, one back."""
import struct


def cbor(value):
    """Just what requests need: maps with text keys, arrays, text, bytes, integers, bool, null."""
    def head(major, count):
        for size, form, extra in ((24, "", 0), (1 << 8, ">B", 24), (1 << 16, ">H", 25), (1 << 32, ">I", 26),
                                  (1 << 64, ">Q", 27)):
            if count < size:
                first = bytes([major << 5 | (extra or count)])
                return first + (struct.pack(form, count) if form else b"")
        raise ValueError(count)
    if value is None:
        return b"\xf6"
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    pairs = sorted((cbor(key), cbor(item)) for key, item in value.items())
    return head(5, len(pairs)) + b"".join(key + item for key, item in sorted(pairs, key=lambda p: (len(p[0]), p[0])))


def uncbor(reader):
    first = reader.take(1)[0]
    major, low = first >> 5, first & 31
    if major == 7:
        return {20: False, 21: True, 22: None}[low]
    count = low if low < 24 else reader.unpack({24: "B", 25: "H", 26: "I", 27: "Q"}[low])
    if major == 0:
        return count
    if major == 1:
        return -1 - count
    if major == 2:
        return reader.take(count)
    if major == 3:
        return reader.take(count).decode()
    if major == 4:
        return [uncbor(reader) for _ in range(count)]
    assert major == 5
    return {uncbor(reader): uncbor(reader) for _ in range(count)}


def ask(conn, key, body):
    reader = conn.ask(key, 0, cbor(body), flexible=True)
    out = uncbor(reader)
    reader.end()
    return out
