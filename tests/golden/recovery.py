# SPDX-License-Identifier: Apache-2.0
"""Which bytes of a data directory count: docs/format.md section 7, rule by rule, without changing anything.

  1. Directory.open()          node file, checkpoints and journals of every shard
  2. Directory.catalogue()     topics, from the records of __evlog_meta
  3. Directory.partitions()    what each partition holds: segments, then batches from the journal

Refused is raised where the page says so.
"""
import os
import re
from collections import namedtuple

import layout
from layout import BLOCK, META_ID, Refused, need

SLOT_MAX = 256

Found = namedtuple("Found", "slot header frames")
Taken = namedtuple("Taken", "base_offset end_offset frame source")


def file_bytes(path):
    with open(path, "rb") as file:
        return file.read()


def names_in(folder, pattern):
    """Names in a folder that fit a pattern, sorted; none when there is no such folder."""
    try:
        return sorted(name for name in os.listdir(folder) if re.fullmatch(pattern, name))
    except FileNotFoundError:
        return []


# --- 7.2 ------------------------------------------------------------------------------------------------------------

def checkpoint_file(folder, sequence, shard):
    try:
        found = layout.checkpoint(file_bytes(f"{folder}/{sequence:016x}"))
    except FileNotFoundError as error:
        raise Refused(f"checkpoint {sequence} is missing") from error
    need((found.shard, found.sequence) == (shard, sequence), "checkpoint: another shard's or another name")
    return found


def chain_from(folder, sequence, shard):
    last = checkpoint_file(folder, sequence, shard)
    need(last.base <= sequence, "checkpoint: base")
    chain = [checkpoint_file(folder, s, shard) for s in range(last.base, sequence)] + [last]
    need(all(c.base == last.base and (c.kind == 0) == (c.sequence == last.base) for c in chain), "checkpoint: chain")
    return chain


def checkpoint_chain(path, shard, notes):
    """The chain that is used, base first; empty when there is no file."""
    folder = f"{path}/checkpoint/{shard:04d}"
    sequences = [int(name, 16) for name in names_in(folder, "[0-9a-f]{16}")]
    for sequence in sequences[:-3:-1]:
        try:
            return chain_from(folder, sequence, shard)
        except layout.NewerFormat:
            raise
        except Refused as why:
            notes.append(f"shard {shard}: checkpoint {sequence} cannot be used: {why}")
    need(not sequences, f"shard {shard}: no checkpoint can be used")
    return []


# --- 7.3 ------------------------------------------------------------------------------------------------------------

def groups_of_slot(data, shard, slot):
    """Every valid group of a slot, with its frames still unread."""
    pos = 0
    while pos < len(data):
        step = BLOCK
        if data[pos:pos + 8] == b"EVLOGGRP":
            try:
                header = layout.group(data, pos)
                if (header.shard, header.slot, header.pos) == (shard, slot, pos) and header.incarnation != 0:
                    yield Found(slot, header, data)
                    step = (header.length + BLOCK - 1) // BLOCK * BLOCK
            except layout.NewerFormat:
                if pos == 0:
                    raise
            except Refused:
                pass
        pos += step


def linked(groups, start, known):
    """The incarnations whose groups may prove what was durable; start is that of the checkpoint."""
    parents = {g.header.incarnation: g.header.parent_incarnation for g in groups}
    found = {inc for inc in [start, *known] if inc != 0}
    size = -1
    while size != len(found):
        size = len(found)
        found |= {inc for inc, parent in parents.items() if parent == start or parent in found}
        found |= {parents[inc] for inc in found if parents.get(inc, 0) != 0}
    return found


def walk(groups, inc, sequence):
    """The accepted groups, from behind (inc, sequence) on."""
    by_sequence = {}
    for found in groups:
        by_sequence.setdefault(found.header.sequence, []).append(found)
    while True:
        here = by_sequence.get(sequence + 1, [])
        later = [g for g in here if g.header.incarnation != inc and
                 (g.header.parent_incarnation, g.header.parent_sequence) == (inc, sequence)]
        same = [g for g in here if g.header.incarnation == inc]
        if not later and not same:
            return
        chosen = max(later, key=lambda g: g.header.boot) if later else same[0]
        inc, sequence = chosen.header.incarnation, sequence + 1
        yield chosen


class Journal:
    """The journal of one shard: what is accepted, and up to where that was acknowledged."""

    def __init__(self, path, shard, chain, node):
        folder = f"{path}/journal/{shard:04d}"
        self.groups = []
        for slot in range(SLOT_MAX):
            name = f"{folder}/{slot:04d}"
            if not os.path.exists(name):
                break
            self.groups += groups_of_slot(file_bytes(name), shard, slot)
        self.marks = []
        if os.path.exists(f"{folder}/mark"):
            data = file_bytes(f"{folder}/mark")
            self.marks = [m for m in (layout.mark(data[pos:pos + BLOCK], shard) for pos in (0, BLOCK)) if m]
        self.cut = chain[-1].cut if chain else 0
        self.accepted = list(walk(self.groups, chain[-1].incarnation if chain else 0, self.cut))
        self.end = self.accepted[-1].header.sequence if self.accepted else self.cut
        last = chain[-1].incarnation if chain else 0
        known = linked(self.groups, last, [int(node["incarnation"], 16)] + [m[0] for m in self.marks])
        tag = int.from_bytes(bytes.fromhex(node["id"])[:4], "little")
        need(all(g.header.node_tag == tag for g in self.groups if g.header.pos == 0 or g.header.incarnation in known),
             f"shard {shard}: the journal is another node's")
        proofs = [g.header for g in self.groups if g.header.incarnation in known]
        self.durable = max([h.durable_through for h in proofs] + [h.parent_sequence for h in proofs] +
                           [m[1] for m in self.marks] + [0])
        need(self.end >= self.durable, f"shard {shard}: group {self.end + 1} is missing or damaged, but groups through "
                                       f"{self.durable} were acknowledged")
        self.void = sum(1 for g in self.groups if g.header.sequence > self.cut) - len(self.accepted)

    def frames(self):
        for found in self.accepted:
            for frame in layout.frames(found.frames, found.header.pos, found.header):
                yield found.header, frame


# --- 5 and 7.4 ------------------------------------------------------------------------------------------------------

class Partition:
    """State of a partition while checkpoint entries and frames are applied."""

    def __init__(self, topic_id, number, shard):
        self.topic_id, self.number, self.shard = topic_id, number, shard
        self.log_start = self.next_offset = self.segment_end = 0
        self.next_segment_id, self.clean_end, self.archived = 1, 0, False
        self.epochs, self.segments, self.producers, self.taken = [], [], {}, {}

    def note_epoch(self, epoch, first):
        if not self.epochs or epoch > self.epochs[-1][0]:
            self.epochs.append((epoch, first))

    def apply_entry(self, entry):
        self.log_start, self.next_offset = entry["log_start"], entry["next_offset"]
        self.segment_end, self.next_segment_id = entry["segment_end"], entry["next_segment_id"]
        self.clean_end, self.archived = entry["clean_end"], "archived" in entry
        for epoch, first in entry["epochs"]:
            self.note_epoch(epoch, first)
        for segment in entry["segments"]:
            self.apply_segment(segment)
        for producer in entry["producers"]:
            self.producers[producer["id"]] = dict(producer)

    def apply_segment(self, segment):
        ids = [s["segment"] for s in self.segments]
        place = ids.index(segment["segment"]) if segment["segment"] in ids else None
        if segment["flags"] & 2:
            if place is not None:
                del self.segments[place]
            return
        if place is not None:
            need(self.segments[place]["base_offset"] == segment["base_offset"], "checkpoint: base offset of a segment")
            self.segments[place] = segment
        else:
            place = sum(s["base_offset"] <= segment["base_offset"] for s in self.segments)
            self.segments.insert(place, segment)
        for before, behind in zip(self.segments[max(place - 1, 0):], self.segments[max(place, 1):place + 2]):
            need(before["end_offset"] <= behind["base_offset"], "checkpoint: segments overlap")

    def note_producer(self, batch, frame):
        known = self.producers.get(batch.producer_id)
        if known and frame.base_offset <= known["batches"][-1]["base_offset"]:
            return
        batches = known["batches"] if known and known["epoch"] == batch.producer_epoch else []
        last = (batch.first_sequence + batch.last_delta) & 0x7FFFFFFF
        batches = batches[-4:] + [{"first_sequence": batch.first_sequence, "last_sequence": last,
                                   "base_offset": frame.base_offset, "append_time_ns": frame.append_time_ns}]
        self.producers[batch.producer_id] = {"id": batch.producer_id, "epoch": batch.producer_epoch,
                                             "last_append_ns": frame.append_time_ns, "batches": batches}

    def apply_frame(self, frame, source):
        batch = layout.batch(frame.payload)
        need(batch.base_offset == frame.base_offset, "frame: base offset is not that of its batch")
        end = batch.base_offset + batch.last_delta + 1
        if frame.kind == 1 and batch.producer_id >= 0:
            self.note_producer(batch, frame)
        self.note_epoch(frame.leader_epoch, frame.base_offset)
        if end <= self.segment_end:
            return
        need(batch.base_offset >= self.segment_end, "journal: a batch reaches over the end of the segments")
        there = self.taken.get(batch.base_offset)
        if there is None:
            self.taken[batch.base_offset] = Taken(batch.base_offset, end, frame, source)
        else:
            need(there.end_offset == end, "journal: two batches overlap")

    def finish(self):
        """Offsets must be dense and reach what the checkpoint promised."""
        expected = self.segment_end
        for base in sorted(self.taken):
            need(base == expected, f"partition {self.number}: offsets {expected} to {base - 1} are missing")
            expected = self.taken[base].end_offset
        need(expected >= self.next_offset, f"partition {self.number}: ends at {expected}, before {self.next_offset}")
        self.next_offset = expected
        need(self.log_start <= expected, f"partition {self.number}: log start lies behind the end")

    def folder(self):
        return f"topics/{self.topic_id.hex()}/{self.number}"


# --- the directory --------------------------------------------------------------------------------------------------

class Shard:
    def __init__(self, path, number, notes, node):
        self.number = number
        self.chain = checkpoint_chain(path, number, notes)
        self.journal = Journal(path, number, self.chain, node)

    def entries(self):
        for found in self.chain:
            yield from found.entries


class Directory:
    def __init__(self, path):
        self.path = path
        self.notes = []
        self.topics = {}        # id -> catalogue record of the last put
        self.tombstones = set()
        self.partitions = {}    # (topic id, number) -> Partition

    def open(self):
        if not os.path.exists(f"{self.path}/node"):
            first = f"{self.path}/journal/0000/0000"
            used = os.path.exists(first) and file_bytes(first)[:8] == b"EVLOGGRP"
            raise Refused("node file is missing, though there is a journal" if used else "no data directory")
        self.node = layout.node(file_bytes(f"{self.path}/node"))
        self.shards = [Shard(self.path, number, self.notes, self.node) for number in range(self.node["shards"])]
        meta = self.partitions[META_ID, 0] = Partition(META_ID, 0, 0)
        self.apply(self.shards[0], lambda topic: topic == META_ID)
        meta.finish()
        for _, data, _ in self.batches(meta):
            self.apply_catalogue(data)
        for shard in self.shards:
            self.apply(shard, lambda topic: topic != META_ID)
        for key, partition in self.partitions.items():
            if key[0] != META_ID:
                partition.finish()
        return self

    def find(self, shard, topic_id, number):
        """The partition a frame or entry belongs to; None when its topic was deleted."""
        if topic_id in self.tombstones:
            return None
        partition = self.partitions.get((topic_id, number))
        need(partition is not None and partition.shard == shard.number,
             f"shard {shard.number}: topic {topic_id.hex()} partition {number} is not in the catalogue")
        return partition

    def apply(self, shard, wanted):
        for entry in shard.entries():
            if wanted(entry["topic_id"]):
                partition = self.find(shard, entry["topic_id"], entry["partition"])
                if partition:
                    partition.apply_entry(entry)
        for header, frame in shard.journal.frames():
            if frame.kind > 3 or not wanted(frame.topic_id):
                continue
            partition = self.find(shard, frame.topic_id, frame.partition)
            if partition is None:
                continue
            if frame.kind == 3:
                partition.log_start = max(partition.log_start, frame.base_offset)
            else:
                partition.apply_frame(frame, f"journal {header.sequence}")

    def apply_catalogue(self, data):
        found = layout.records(data, layout.batch(data))
        need(found is not None, "catalogue: compressed")
        for record in found:
            change = layout.catalogue_record(record["key"], record["value"])
            topic_id = bytes.fromhex(change["topic_id"])
            if change["verb"] == "delete":
                self.tombstones.add(topic_id)
                gone = self.topics.pop(topic_id, {"owners": []})
                for number in range(len(gone["owners"])):
                    del self.partitions[topic_id, number]
                continue
            known = self.topics.setdefault(topic_id, dict(change, owners=[]))
            known["settings"] = change["settings"]
            for number in range(len(known["owners"]), len(change["owners"])):
                owner = change["owners"][number]
                need(owner < len(self.shards), "catalogue: owner")
                known["owners"].append(owner)
                self.partitions[topic_id, number] = Partition(topic_id, number, owner)

    # --- 7.5 --------------------------------------------------------------------------------------------------------

    def batches(self, partition, damaged=None):
        """(entry or frame, bytes, source) of each batch in the order of offsets.

        damaged(first offset, end offset, why) is told what cannot be read; without it that is refused.
        """
        def refuse(first, end, why):
            raise Refused(f"offsets {first} to {end - 1}: {why}")
        tell = damaged or refuse
        first = partition.segments[0]["base_offset"] if partition.segments else partition.segment_end
        if first > partition.log_start and not partition.archived:
            tell(partition.log_start, first, "no segment")
        for segment in partition.segments:
            yield from self.segment_batches(partition, segment, tell)
        for base in sorted(partition.taken):
            taken = partition.taken[base]
            yield taken.frame, taken.frame.payload, taken.source

    def segment_batches(self, partition, segment, tell):
        name = f"{self.path}/{partition.folder()}/{segment['segment']:08d}.seg"
        owner = (partition.topic_id, partition.number, segment["segment"])
        expected, end = segment["base_offset"], segment["end_offset"]
        compacted, seen_damage = segment["flags"] & 4 != 0, False
        try:
            file = open(name, "rb")
        except FileNotFoundError:
            tell(expected, end, f"segment {segment['segment']} is missing")
            return
        with file:
            def read(pos, length):
                file.seek(pos)
                return file.read(length)
            try:
                header = layout.segment_header(read(0, layout.SEGMENT_HEADER))
                need((header["topic_id"], header["partition"], header["segment"]) ==
                     (owner[0].hex(), owner[1], owner[2]), "segment: belongs elsewhere")
                need(header["base_offset"] == expected, "segment: base offset")
            except Refused as why:
                tell(expected, end, str(why))
                return
            for pos in self.chunk_positions(read, segment, owner, os.fstat(file.fileno()).st_size):
                try:
                    entries, at = layout.chunk(read, pos, segment["length"], owner)
                except Refused as why:
                    self.notes.append(f"{name}: chunk at {pos}: {why}")
                    seen_damage = True
                    continue
                for entry in entries:
                    if entry.base_offset != expected and (seen_damage or not compacted):
                        tell(expected, entry.base_offset, "cannot be read")
                    expected, seen_damage = entry.base_offset + entry.last_delta + 1, False
                    data = read(at, entry.length)
                    at += entry.length
                    try:
                        check_batch(data, entry)
                    except Refused as why:
                        tell(entry.base_offset, expected, str(why))
                        continue
                    yield entry, data, f"segment {segment['segment']}"
            if expected != end and (seen_damage or not compacted):
                tell(expected, end, "cannot be read")

    def chunk_positions(self, read, segment, owner, file_len):
        """Where the chunks of a segment begin: from its footer, else by walking, past damaged ones if it can be."""
        if segment["flags"] & 1:
            try:
                index = layout.chunk_index(layout.footer(read, segment["length"], file_len)[1])
                yield from (e["pos"] for e in index)
                return
            except (Refused, KeyError) as why:
                self.notes.append(f"segment {segment['segment']}: footer cannot be used: {why}")
        pos = layout.SEGMENT_HEADER
        while pos < segment["length"]:
            yield pos
            try:
                entries, data_pos = layout.chunk(read, pos, segment["length"], owner)
                pos = layout.chunk_end(data_pos + sum(e.length for e in entries))
            except Refused:
                pos = layout.chunk_behind(read, pos, segment["length"], owner)


def check_batch(data, entry):
    """A stored batch against its table entry."""
    layout.check_sum(data, entry.sum, "batch")
    batch = layout.batch(data)
    need((batch.base_offset, batch.last_delta) == (entry.base_offset, entry.last_delta), "batch: offsets")
