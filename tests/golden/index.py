# SPDX-License-Identifier: Apache-2.0
"""The files of the stream index, format version 1, read from bytes: docs/format.md section 12.

Part of the second reader: written from that page, sharing no code with evlogd. Whatever the page calls damage raises
Refused.
"""
import struct
from collections import namedtuple

from layout import check_format, need
from xxh3 import xxh3

BLOCK, NAME_BLOCK = 4096, 4 * 4096
ENTRIES, INDEX, FILTER, NAMES, NAME_INDEX, TOP, FOOTER = range(1, 8)
GROUP_BLOCKS_MAX, TOP_MAX, LINES_MAX, LINE, LINE_HASHES = 145, 101, 63, 64, 50
M64 = (1 << 64) - 1

List = namedtuple("List", "sequence next_run_id next_slot secret_tag slots runs")
Entry = namedtuple("Entry", "slot hash position place")    # hash: 32 hexadecimal digits
Run = namedtuple("Run", "run_id entries names hashes lines")


def read_list(data, shard):
    need(len(data) >= 128 and data[:8] == b"EVLOGSTL", "not a list")
    need(xxh3(data[:120]) == struct.unpack_from("<Q", data, 120)[0], "header: its sum does not fit")
    (number, of_shard, sequence, next_run, next_slot, slot_count, run_count, _, tag, body_len,
     body_sum) = struct.unpack_from("<IIQQIIII16sQQ", data, 8)
    check_format(number, "list")
    body = data[128:]
    need(of_shard == shard and sequence > 0 and body_len == len(body) and xxh3(body) == body_sum, "list: header, body")
    need(slot_count <= 1 << 20 and run_count <= 4096 and slot_count * 32 + run_count * 8 <= len(body), "list: counts")
    slots = [struct.unpack_from("<Ii16sq", body, at * 32) for at in range(slot_count)]
    runs = list(struct.unpack_from(f"<{run_count}Q", body, slot_count * 32))
    numbers = [0] + [slot[0] for slot in slots] + [next_slot]
    need(all(a < b for a, b in zip(numbers, numbers[1:])), "list: slots do not rise")
    need(all(partition >= 0 and end >= 0 for _, partition, _, end in slots), "list: partition or end offset")
    need(len(set(runs)) == len(runs) and all(run < next_run for run in runs), "list: runs")
    return List(sequence, next_run, next_slot, tag.hex(), slots, runs)


class Items:
    """What a block holds, front to back."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        need(self.at + count <= len(self.data), "items end too early")
        part = self.data[self.at:self.at + count]
        self.at += count
        return part

    def uvarint(self, bits=64):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            need(value < 1 << bits and shift < bits, "uvarint is too long")
            if byte < 0x80:
                return value
            shift += 7

    def varlong(self):
        value = self.uvarint()
        return value >> 1 ^ -(value & 1)


def entries_of(items, count):
    slot, shown, position, place = 0, bytes(16), 0, 0
    for _ in range(count):
        tag = items.take(1)[0]
        shared, implied, mode = tag & 31, tag & 32, tag >> 6
        need(shared <= 17 and (slot > 0 or shared == 17), "entry: tag")
        same = shared == 16
        if shared == 17:
            more = items.uvarint(32)
            need(more > 0 and slot + more < 1 << 32, "entry: slot")
            slot, shown = slot + more, items.take(16)
        elif not same:
            before, shown = shown, shown[:shared] + items.take(16 - shared)
            need(shown > before, "entry: hash does not rise")
        if same:
            position += 1 + (0 if implied else items.uvarint())
            need(position <= M64, "entry: position")
        else:
            position = 0 if implied else items.uvarint()
        if mode == 0:
            place = (place + items.varlong()) & M64 if same else items.uvarint()
        elif mode == 1:
            place = place + 1 & M64
        elif mode == 3:
            turned = items.uvarint()
            place = turned >> 2 | (turned & 3) << 62
        yield Entry(slot, shown.hex(), position, place)


def names_of(items, count, index):
    slot, key = 0, b""
    for _ in range(count):
        more, shared, rest_len = (items.uvarint(32) for _ in range(3))
        rest = items.take(rest_len)
        block = int.from_bytes(items.take(4), "little") if index else None
        need(shared + rest_len <= 4096 and slot + more < 1 << 32, "name: too long")
        need(shared == 0 if more else slot > 0 and shared <= len(key) and key[:shared] + rest > key, "name: order")
        slot, key = slot + more, key[:shared] + rest
        yield (slot, key), block


class RunFile:
    def __init__(self, data, run_id):
        self.data, self.run_id = data, run_id
        self.end = len(data) // BLOCK
        need(len(data) % BLOCK == 0 and self.end >= 2, "length of the file")
        need(data[:8] == b"EVLOGRUN" and xxh3(data[:4088]) == struct.unpack_from("<Q", data, 4088)[0], "header")
        check_format(struct.unpack_from("<I", data, 8)[0], "run")
        need(struct.unpack_from("<Q", data, 16)[0] == run_id, "header: another run")
        _, footer = self.block(self.end - 1, BLOCK, FOOTER)
        (self.entries, self.names, self.blocks, self.hashes, self.lines, self.groups, self.names_block,
         self.name_blocks, self.top_block) = struct.unpack_from("<5Q4I", footer.data)
        need(self.names_block + 4 * self.name_blocks == self.top_block, "footer: names")
        need(self.top_block + -(-self.groups // TOP_MAX) + 1 == self.end, "footer: top")

    def block(self, number, length, *kinds):
        """(kind and count, items) of a block that is what it should be."""
        need(0 < number < self.end, "block: number")
        data = self.data[number * BLOCK:number * BLOCK + length]
        total, run_id, at, kind, _, count = struct.unpack_from("<QQIBBH", data)
        need(total == xxh3(data[8:]) and run_id == self.run_id and at == number and kind in kinds, f"block {number}")
        return (kind, count), Items(data[24:])

    def top(self):
        number, left, found = self.top_block, self.groups, []
        while left > 0:
            (_, count), items = self.block(number, BLOCK, TOP)
            need(count == min(left, TOP_MAX), "top: count")
            found += [struct.unpack("<IQQQIII", items.take(40)) for _ in range(count)]
            number, left = number + 1, left - count
        return found

    def walk_entries(self):
        at, lines, hashes, last = 1, 0, 0, None
        for slot, high, low, position, first_block, block_count, line_count in self.top():
            need(first_block == at and 0 < block_count <= GROUP_BLOCKS_MAX, "top: blocks")
            firsts, of_group = [], []
            for number in range(at, at + block_count):
                (_, count), items = self.block(number, BLOCK, ENTRIES)
                need(count > 0, "no entries")
                found = list(entries_of(items, count))
                firsts.append(found[0])
                of_group += found
            for entry in of_group:
                need(last is None or entry[:3] > last, "entries do not rise")
                last = entry[:3]
            (_, count), items = self.block(at + block_count, BLOCK, INDEX)
            keys = [struct.unpack("<IQQQ", items.take(28)) for _ in range(count)]
            need([(e.slot, int(e.hash[:16], 16), int(e.hash[16:], 16), e.position) for e in firsts] == keys and
                 keys[0] == (slot, high, low, position), "index of a group")
            different = {(e.slot, e.hash) for e in of_group}
            need(line_count == -(-len(different) // LINE_HASHES), "filter: lines")
            self.check_filter(at + block_count + 1, line_count, different)
            at += block_count + 1 + -(-line_count // LINES_MAX)
            lines, hashes = lines + line_count, hashes + len(different)
            yield from of_group
        need((at, lines, hashes) == (self.names_block, self.lines, self.hashes), "footer: groups")

    def check_filter(self, number, line_count, different):
        lines = b""
        while len(lines) < line_count * LINE:
            (_, count), items = self.block(number, BLOCK, FILTER)
            need(count == min(line_count - len(lines) // LINE, LINES_MAX), "filter: count")
            lines += items.data[40:40 + count * LINE]
            number += 1
        expected = bytearray(line_count * LINE)
        for slot, shown in different:
            high, low, mixed = int(shown[:16], 16), int(shown[16:], 16), slot * 0x9E3779B97F4A7C15 & M64
            line = ((high & 0xFFFFFFFF) ^ (mixed >> 32)) * line_count >> 32
            for probe in range(6):
                bit = ((low ^ mixed) >> 9 * probe) % 512
                expected[line * LINE + bit // 8] |= 1 << bit % 8
        need(lines == expected, "filter: bits")

    def walk_names(self):
        """Leaves in order; each block of the tree must name blocks before it by their first names."""
        firsts, last, named = {}, None, set()
        for number in range(self.names_block, self.top_block, 4):
            (kind, count), items = self.block(number, NAME_BLOCK, NAMES, NAME_INDEX)
            found = list(names_of(items, count, kind == NAME_INDEX))
            need(found, "no names")
            firsts[number] = found[0][0]
            for name, block in found:
                if kind == NAME_INDEX:
                    need(block in firsts and block < number and firsts[block] == name and block not in named, "tree")
                    named.add(block)
                else:
                    need(last is None or name > last, "names do not rise")
                    last = name
                    yield name
        need(set(firsts) - named == set(list(firsts)[-1:]), "tree: more than one root")


def read_run(data, run_id):
    run = RunFile(data, run_id)
    entries, names = list(run.walk_entries()), list(run.walk_names())
    need(len(entries) == run.entries and len(names) == run.names, "footer: counts")
    return Run(run_id, entries, names, run.hashes, run.lines)
