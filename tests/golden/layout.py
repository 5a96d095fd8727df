# SPDX-License-Identifier: Apache-2.0
"""The structures of evlog's data directory, format version 1, read from bytes: docs/format.md sections 2 to 6, 8 and 9.

Part of the second reader: written from that page, sharing no code with evlogd. Bytes in, dictionaries out; whatever the
page calls invalid raises Refused. Which of the things found count is decided by recovery.py.
"""
import itertools
import struct
import zlib
from collections import namedtuple

from xxh3 import crc32c, xxh3

BLOCK = 4096
GROUP_HEADER, FRAME_HEADER, GROUP_MAX = 112, 64, 24 << 20
SEGMENT_HEADER, CHUNK_HEADER, CHUNK_ENTRY, TRAILER = 128, 64, 64, 32
CHUNK_BATCHES_MAX, CHUNK_DATA_MAX = 65536, 64 << 20
CHECKPOINT_HEADER, NODE_LEN, MARK_LEN = 128, 128, 64
BATCH_HEADER, BATCH_OUTPUT_MAX = 61, 64 << 20
META_ID = b"evlog-meta\0\0\0\0\0\1"
FRAME_NAMES = {1: "batch", 2: "carry", 3: "log_start", 4: "clock", 5: "producer_ids"}
CODECS = {0: "none", 1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}


class Refused(Exception):
    """The bytes are not what the specification asks for."""


class NewerFormat(Refused):
    """A format number above the one this reader knows."""


def need(condition, why):
    if not condition:
        raise Refused(why)


def check_format(number, what):
    if number > 1:
        raise NewerFormat(f"{what} has format {number}: a newer program is needed")
    need(number == 1, f"{what} has format {number}")


def check_sum(covered, stored, what):
    need(xxh3(covered) == stored, f"{what}: its sum does not fit")


def u64_bytes(value):
    return struct.pack("<Q", value)


def incarnation(value):
    return f"{value:016x}"


# --- section 2 ------------------------------------------------------------------------------------------------------

def node(data):
    need(len(data) >= NODE_LEN and data[:8] == b"EVLOGNOD", "not a node file")
    (number, shards, node_id, boot, epoch, clean, clock, last) = struct.unpack_from("<II16sQiIQQ", data, 8)
    check_sum(data[:120], struct.unpack_from("<Q", data, 120)[0], "node file")
    check_format(number, "node file")
    need(1 <= shards <= 64, f"node file: {shards} shards")
    return {"shards": shards, "id": node_id.hex(), "boot": boot, "leader_epoch": epoch, "clean": clean == 1,
            "clock_ns": clock, "incarnation": incarnation(last)}


# --- section 3 ------------------------------------------------------------------------------------------------------

Group = namedtuple("Group", "shard slot frame_count pos incarnation sequence length node_tag durable_through "
                            "append_time_ns previous_sum parent_incarnation parent_sequence boot sum")
Frame = namedtuple("Frame", "kind topic_id partition leader_epoch base_offset append_time_ns salt payload")


def group(data, pos):
    """The group at pos of a slot's bytes; Refused when none is there or it is not valid."""
    need(len(data) - pos >= GROUP_HEADER and data[pos:pos + 8] == b"EVLOGGRP", "no group")
    number, align = struct.unpack_from("<HH", data, pos + 8)
    check_format(number, "group")
    found = Group(*struct.unpack_from("<IIIQQQIIQQQQQQQ", data, pos + 12))
    need(align == 12, "group: alignment")
    need(GROUP_HEADER <= found.length <= min(GROUP_MAX, len(data) - pos), "group: length")
    need(found.durable_through < found.sequence, "group: durable through is not below the sequence")
    frames = data[pos + GROUP_HEADER:pos + found.length]
    check_sum(data[pos:pos + 104] + bytes(8) + u64_bytes(xxh3(frames)), found.sum, "group")
    return found


def frames(data, pos, header):
    """The frames of a valid group, as a list; Refused when they do not fill it."""
    at, end, found = pos + GROUP_HEADER, pos + header.length, []
    while at < end:
        need(end - at >= FRAME_HEADER, "frame: header cut off")
        kind, _, _, length, topic, partition, epoch, base, append, salt = \
            struct.unpack_from("<BBHI16siiqQ16s", data, at)
        padded = FRAME_HEADER + (length + 7) // 8 * 8
        need(kind in FRAME_NAMES, f"frame: type {kind}")
        need(padded <= end - at, "frame: length")
        payload = data[at + FRAME_HEADER:at + FRAME_HEADER + length]
        found.append(Frame(kind, topic, partition, epoch, base, append, salt, payload))
        at += padded
    need(len(found) == header.frame_count, f"group {header.sequence}: {len(found)} frames, not {header.frame_count}")
    return found


def mark(data, shard):
    """(incarnation, sequence) of the mark at the start of a block, None when there is none."""
    if len(data) < MARK_LEN or data[:8] != b"EVLOGMRK":
        return None
    number, of_shard, inc, sequence = struct.unpack_from("<IIQQ", data, 8)
    if number != 1 or of_shard != shard or struct.unpack_from("<Q", data, 56)[0] != xxh3(data[:56]):
        return None
    return inc, sequence


# --- section 4 ------------------------------------------------------------------------------------------------------

Entry = namedtuple("Entry", "append_time_ns base_offset leader_epoch length salt sum max_timestamp last_delta "
                            "cleaned_s")


def segment_header(data):
    need(len(data) >= SEGMENT_HEADER and data[:8] == b"EVLOGSEG", "not a segment")
    number, partition, topic, segment_id, base, generation, previous, previous_generation = \
        struct.unpack_from("<Ii16sQqQQQ", data, 8)
    check_format(number, "segment")
    check_sum(data[:120], struct.unpack_from("<Q", data, 120)[0], "segment header")
    return {"topic_id": topic.hex(), "partition": partition, "segment": segment_id, "base_offset": base,
            "generation": incarnation(generation), "previous": previous,
            "previous_generation": incarnation(previous_generation)}


def chunk_end(end):
    """Where the next chunk begins after one whose last batch ends at end."""
    return (end + BLOCK - 1) // BLOCK * BLOCK


def chunk(read, pos, limit, owner):
    """The table of the chunk at pos, checked, and the position of its first batch.

    read(pos, length) gives bytes of the file; limit is the length that counts; owner (topic id, partition, segment id).
    """
    need(limit - pos >= CHUNK_HEADER, "chunk: header cut off")
    header = read(pos, CHUNK_HEADER)
    need(len(header) == CHUNK_HEADER and header[:8] == b"EVLOGCHK", "no chunk")
    topic, partition, count, segment_id, at, data_len, _, total = struct.unpack_from("<16siIQQIIQ", header, 8)
    need(1 <= count <= CHUNK_BATCHES_MAX and data_len <= CHUNK_DATA_MAX, "chunk: number or length of batches")
    need((topic, partition, segment_id) == owner and at == pos, "chunk: belongs elsewhere")
    table_len = count * CHUNK_ENTRY
    need(CHUNK_HEADER + table_len + data_len <= limit - pos, "chunk: longer than what counts")
    table = read(pos + CHUNK_HEADER, table_len)
    need(len(table) == table_len, "chunk: table cut off")
    check_sum(header[:56] + u64_bytes(xxh3(table)), total, "chunk")
    entries = [Entry(*struct.unpack_from("<QqiI16sQqII", table, CHUNK_ENTRY * i)) for i in range(count)]
    need(sum(e.length for e in entries) == data_len, "chunk: lengths do not add up")
    expected = 0
    for e in entries:
        need(e.base_offset >= expected and e.last_delta < 1 << 31, "chunk: offsets")
        expected = e.base_offset + e.last_delta + 1
        need(expected < 1 << 63, "chunk: offsets")
    return entries, pos + CHUNK_HEADER + table_len


def chunk_behind(read, pos, limit, owner):
    """Where the chunk behind a damaged one begins, if only one of its lengths is wrong; limit when none is found."""
    data = read(pos, min(limit - pos, CHUNK_HEADER + CHUNK_BATCHES_MAX * CHUNK_ENTRY))
    if len(data) < CHUNK_HEADER:
        return limit
    count, data_len = struct.unpack_from("<I", data, 28)[0], struct.unpack_from("<I", data, 48)[0]
    lengths = [struct.unpack_from("<I", data, at + 20)[0]
               for at in range(CHUNK_HEADER, len(data) - CHUNK_ENTRY + 1, CHUNK_ENTRY)]
    sums = list(itertools.accumulate(lengths))
    guesses = [CHUNK_HEADER + count * CHUNK_ENTRY + data_len]
    if 1 <= count <= len(sums):
        guesses.append(CHUNK_HEADER + count * CHUNK_ENTRY + sums[count - 1])
    if data_len in sums:
        guesses.append(CHUNK_HEADER + (sums.index(data_len) + 1) * CHUNK_ENTRY + data_len)
    for behind in sorted(chunk_end(pos + guess) for guess in guesses):
        try:
            if behind < limit:
                chunk(read, behind, limit, owner)
                return behind
        except Refused:
            pass
    return limit


def footer(read, end, file_len):
    """Sections of the footer that begins at end, by tag."""
    need(file_len - end >= TRAILER + 16, "footer: missing")
    trailer = read(file_len - TRAILER, TRAILER)
    pos, length, total = struct.unpack_from("<QQQ", trailer, 0)
    need(trailer[24:] == b"EVLOGEND" and pos == end and length == file_len - end - TRAILER, "footer: trailer")
    data = read(pos, length)
    need(len(data) == length and data[:8] == b"EVLOGFTR", "footer: magic")
    check_sum(data, total, "footer")
    sections, at = {}, 16
    for _ in range(struct.unpack_from("<I", data, 8)[0]):
        need(length - at >= 16, "footer: section cut off")
        tag, _, section_len = struct.unpack_from("<IIQ", data, at)
        need(section_len <= length - at - 16, "footer: section length")
        sections[tag] = data[at + 16:at + 16 + section_len]
        at += 16 + section_len
    return sections


def chunk_index(section):
    names = ("base_offset", "pos", "max_timestamp", "append_time_ns", "length")
    return [dict(zip(names, struct.unpack_from("<qQqQQ", section, at))) for at in range(0, len(section) // 40 * 40, 40)]


# --- section 5 ------------------------------------------------------------------------------------------------------

Checkpoint = namedtuple("Checkpoint", "shard sequence kind base incarnation cut clock_ns producer_counter delta_len "
                                      "previous_cut entries")


class Cursor:
    """Reads a body front to back; Refused at its end."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, layout):
        size = struct.calcsize(layout)
        need(len(self.data) - self.at >= size, "checkpoint: an entry is cut off")
        self.at += size
        return struct.unpack_from(layout, self.data, self.at - size)


def checkpoint_entry(body):
    topic, partition, flags, start, next_offset, end, next_id, clean_end, epochs, _, _, segments, producers = \
        body.take("<16siIqqqQqHHIII")
    need(0 <= clean_end <= end, "checkpoint: clean end")
    entry = {"topic_id": topic, "partition": partition, **({"archived": True} if flags & 1 else {}),
             "log_start": start, "next_offset": next_offset, "segment_end": end, "next_segment_id": next_id,
             "clean_end": clean_end, "epochs": [], "segments": [], "producers": []}
    for _ in range(epochs):
        epoch, _, first = body.take("<iIq")
        entry["epochs"].append((epoch, first))
    names = ("segment", "base_offset", "end_offset", "length", "max_timestamp", "first_append_ns", "last_append_ns",
             "generation", "created_ns", "flags", "tombstones_s")
    for _ in range(segments):
        segment = dict(zip(names, body.take("<QqqQqQQQQII")))
        need(segment["end_offset"] >= segment["base_offset"] and segment["length"] >= SEGMENT_HEADER or
             segment["flags"] & 2, "checkpoint: a segment that makes no sense")
        entry["segments"].append(segment)
    for _ in range(producers):
        producer, epoch, count, _, last = body.take("<qhHIQ")
        need(1 <= count <= 5, "checkpoint: batches of a producer")
        names_of_batch = ("first_sequence", "last_sequence", "base_offset", "append_time_ns")
        batches = [dict(zip(names_of_batch, body.take("<iiqQ"))) for _ in range(count)]
        entry["producers"].append({"id": producer, "epoch": epoch, "last_append_ns": last, "batches": batches})
    return entry


def checkpoint(data):
    need(len(data) >= CHECKPOINT_HEADER and data[:8] == b"EVLOGCKP", "not a checkpoint")
    number, shard, sequence, kind, count, base, inc, cut, clock, counter, body_len, body_sum, delta_len, previous = \
        struct.unpack_from("<IIQIIQQQQqQQQQ", data, 8)
    check_format(number, "checkpoint")
    check_sum(data[:120], struct.unpack_from("<Q", data, 120)[0], "checkpoint header")
    need(body_len == len(data) - CHECKPOINT_HEADER, "checkpoint: length")
    need(kind in (0, 1) and (kind == 0) == (base == sequence), "checkpoint: kind")
    check_sum(data[CHECKPOINT_HEADER:], body_sum, "checkpoint body")
    body = Cursor(data[CHECKPOINT_HEADER:])
    entries = [checkpoint_entry(body) for _ in range(count)]
    need(body.at == body_len, "checkpoint: bytes behind its entries")
    return Checkpoint(shard, sequence, kind, base, inc, cut, clock, counter, delta_len, previous, entries)


# --- section 6 ------------------------------------------------------------------------------------------------------

def catalogue_record(key, value):
    need(key is not None and value is not None and len(key) == 17 and len(value) >= 12, "catalogue: length")
    for version in (key[0], value[0]):
        if version > 1:
            raise NewerFormat(f"catalogue record of version {version}: a newer program is needed")
    verb, hidden, _, count, name_len, settings_len = struct.unpack_from("<BBBIHH", value, 1)
    need(verb in (1, 2) and count <= 10000 and name_len <= 249, "catalogue: record")
    need(len(value) == 12 + name_len + 2 * count + settings_len, "catalogue: record length")
    name = value[12:12 + name_len].decode()
    owners = struct.unpack_from(f"<{count}H", value, 12 + name_len)
    text = value[12 + name_len + 2 * count:]
    need(settings_len >= 4, "catalogue: settings")
    words = text[4:].split(b"\0")
    need(words[-1] == b"" and len(words) - 1 == 2 * struct.unpack_from("<I", text)[0], "catalogue: settings")
    settings = {words[i].decode(): words[i + 1].decode() for i in range(0, len(words) - 1, 2)}
    return {"verb": "put" if verb == 1 else "delete", "topic_id": key[1:].hex(), "name": name, "internal": hidden != 0,
            "owners": list(owners), "settings": settings}


# --- sections 8 and 9 -----------------------------------------------------------------------------------------------

Batch = namedtuple("Batch", "base_offset length leader_epoch crc attributes last_delta base_timestamp max_timestamp "
                            "producer_id producer_epoch first_sequence count")


def batch(data):
    """The header of a batch that fills data exactly."""
    need(len(data) >= BATCH_HEADER and data[16] == 2, "batch: header")
    base, length, epoch, _, crc, attributes, delta, first, greatest, producer, producer_epoch, sequence, count = \
        struct.unpack_from(">qiibIhiqqqhii", data, 0)
    need(length + 12 == len(data), "batch: length")
    need(base >= 0 and delta >= 0 and 0 <= count <= delta + 1 and base + delta < (1 << 63) - 1, "batch: offsets")
    return Batch(base, length + 12, epoch, crc, attributes, delta, first, greatest, producer, producer_epoch, sequence,
                 count)


def batch_crc_fits(data):
    return crc32c(data[21:]) == struct.unpack_from(">I", data, 17)[0]


def varint(data, at, bits=32):
    value = shift = 0
    while True:
        need(at < len(data) and shift < (35 if bits == 32 else 70), "record: number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            need(value < 1 << bits, "record: number")
            return value >> 1 ^ -(value & 1), at


def blob(data, at, null=True):
    length, at = varint(data, at)
    if length < 0:
        need(length == -1 and null, "record: length")
        return None, at
    need(length <= len(data) - at, "record: length")
    return data[at:at + length], at + length


def one_record(data, header):
    delta, at = varint(data, 1, 64)
    offset, at = varint(data, at)
    key, at = blob(data, at)
    value, at = blob(data, at)
    count, at = varint(data, at)
    headers = []
    for _ in range(count):
        name, at = blob(data, at, null=False)
        content, at = blob(data, at)
        headers.append((name, content))
    need(count >= 0 and at == len(data), "record: its fields do not fill it")
    timestamp = header.max_timestamp if header.attributes & 8 else header.base_timestamp + delta
    return {"offset": header.base_offset + offset, "timestamp": timestamp, "key": key, "value": value,
            "headers": headers}


def inflate(data):
    """gzip, one member after the other, up to the limit."""
    out = b""
    while data:
        member = zlib.decompressobj(wbits=31)
        try:
            out += member.decompress(data, BATCH_OUTPUT_MAX + 1 - len(out))
        except zlib.error as error:
            raise Refused(f"batch: {error}") from error
        need(len(out) <= BATCH_OUTPUT_MAX and member.eof, "batch: compressed records")
        data = member.unused_data
    return out


def records(data, header):
    """The records of a batch; None when they are compressed with a codec that Python's library lacks."""
    codec = header.attributes & 7
    need(codec in CODECS, f"batch: codec {codec}")
    if codec > 1:
        return None
    section = data[BATCH_HEADER:] if codec == 0 else inflate(data[BATCH_HEADER:])
    found, at = [], 0
    while at < len(section):
        body, at = blob(section, at, null=False)
        need(len(body) >= 6, "record: length")
        found.append(one_record(body, header))
    need(len(found) == header.count, f"batch: {len(found)} records, not {header.count}")
    return found
