#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A second reader of evlog's data directory, written from docs/format.md and sharing no code with evlogd.

usage: read_evlog.py [--records] [--topic NAME] DIR    what the directory holds, as evlogd would recover it
       read_evlog.py --verify DIR                      every sum in it, also where recovery does not look
       read_evlog.py FILE...                           the structures of single files

Output is JSON lines. The directory must not be in use. Exit: 0, 1 when something damaged was passed over, 2 refused.
"""
import argparse
import hashlib
import json
import os
import sys

import layout
from layout import BLOCK, Refused, incarnation, need
from recovery import Directory, check_batch, file_bytes, groups_of_slot, names_in

INT64_MIN = -(1 << 63)


def show(**fields):
    print(json.dumps(fields, ensure_ascii=True))


def text(name, data):
    """A field of bytes: as text when it is UTF-8, else in hexadecimal under another name."""
    if data is None:
        return {name: None}
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {f"{name}_hex": data.hex()}


def record_fields(record):
    headers = [{**text("key", key), **text("value", value)} for key, value in record["headers"]]
    return {"offset": record["offset"], "timestamp": record["timestamp"], **text("key", record["key"]),
            **text("value", record["value"]), "headers": headers}


def batch_fields(data, with_records):
    header = layout.batch(data)
    fields = {"base_offset": header.base_offset, "last_offset": header.base_offset + header.last_delta,
              "records": header.count, "length": header.length, "codec": layout.CODECS.get(header.attributes & 7),
              "max_timestamp": header.max_timestamp}
    if header.producer_id >= 0:
        fields.update(producer_id=header.producer_id, producer_epoch=header.producer_epoch,
                      first_sequence=header.first_sequence)
    need(layout.batch_crc_fits(data), f"batch {header.base_offset}: its CRC does not fit")
    if with_records:
        found = layout.records(data, header)
        fields["content"] = None if found is None else [record_fields(r) for r in found]
    return fields


# --- a directory ----------------------------------------------------------------------------------------------------

def show_shard(shard):
    journal, chain = shard.journal, shard.chain
    last = journal.accepted[-1].header if journal.accepted else None
    show(shard=shard.number, checkpoint=chain[-1].sequence if chain else None,
         base=chain[0].sequence if chain else None, cut=journal.cut, accepted_through=journal.end,
         durable_end=journal.durable, void_groups=journal.void,
         incarnation=incarnation(last.incarnation) if last else None)


def show_partition(directory, name, partition, with_records):
    """One line for the partition and one for each batch; returns how many ranges were damaged."""
    damage = []

    def damaged(first, end, why):
        damage.append(first)
        show(topic=name, partition=partition.number, damaged=[first, end - 1], why=why)
    show(topic=name, topic_id=partition.topic_id.hex(), partition=partition.number, shard=partition.shard,
         log_start=partition.log_start, next_offset=partition.next_offset, segment_end=partition.segment_end,
         clean_end=partition.clean_end, **({"archived": True} if partition.archived else {}),
         epochs=partition.epochs, segments=[s["segment"] for s in partition.segments])
    for producer in sorted(partition.producers.values(), key=lambda p: p["id"]):
        show(topic=name, partition=partition.number, producer=producer)
    for entry, data, source in directory.batches(partition, damaged):
        header = layout.batch(data)
        if header.base_offset + header.last_delta < partition.log_start:
            continue
        show(topic=name, partition=partition.number, **batch_fields(data, with_records),
             leader_epoch=entry.leader_epoch, append_time_ns=entry.append_time_ns, salt=entry.salt.hex(), source=source)
    return len(damage)


def show_directory(path, args):
    directory = Directory(path).open()
    show(node=directory.node)
    for shard in directory.shards:
        show_shard(shard)
    for topic_id, topic in sorted(directory.topics.items()):
        show(catalogue=topic["name"], topic_id=topic_id.hex(), internal=topic["internal"], owners=topic["owners"],
             settings=topic["settings"])
    for topic_id in sorted(directory.tombstones):
        show(catalogue=None, topic_id=topic_id.hex(), deleted=True)
    damage = 0
    for (topic_id, _), partition in sorted(directory.partitions.items()):
        name = directory.topics[topic_id]["name"] if topic_id in directory.topics else "__evlog_meta"
        if args.topic in (None, name):
            damage += show_partition(directory, name, partition, args.records)
    for note in directory.notes:
        show(note=note)
    return 1 if damage or directory.notes else 0


# --- single files ---------------------------------------------------------------------------------------------------

def show_frame(frame, with_records):
    fields = {"frame": layout.FRAME_NAMES[frame.kind], "topic_id": frame.topic_id.hex(), "partition": frame.partition,
              "leader_epoch": frame.leader_epoch, "base_offset": frame.base_offset,
              "append_time_ns": frame.append_time_ns, "salt": frame.salt.hex()}
    if frame.payload:
        fields["batch"] = batch_fields(frame.payload, with_records)
    show(**fields)


def show_slot(data, args):
    claims = [data[pos:pos + 24] for pos in range(0, len(data), BLOCK) if data[pos:pos + 8] == b"EVLOGGRP"]
    shard, slot = (int.from_bytes(claims[0][at:at + 4], "little") for at in (12, 16))
    for found in groups_of_slot(data, shard, slot):
        header = found.header
        show(group=header.sequence, shard=header.shard, slot=header.slot, pos=header.pos, length=header.length,
             frames=header.frame_count, incarnation=incarnation(header.incarnation),
             durable_through=header.durable_through, append_time_ns=header.append_time_ns,
             previous_sum=f"{header.previous_sum:016x}", parent_incarnation=incarnation(header.parent_incarnation),
             parent_sequence=header.parent_sequence, boot=header.boot, sum=f"{header.sum:016x}")
        for frame in layout.frames(data, header.pos, header):
            show_frame(frame, args.records)


def show_mark(data):
    for pos in (0, BLOCK):
        block = data[pos:pos + BLOCK]
        shard = int.from_bytes(block[12:16], "little")
        found = layout.mark(block, shard)
        show(mark=found and {"shard": shard, "incarnation": incarnation(found[0]), "sequence": found[1]})


def segment_parts(data):
    """(header, chunks as (position, entries, position of the data), end of the last chunk) of a segment's bytes."""
    header = layout.segment_header(data)
    owner = (bytes.fromhex(header["topic_id"]), header["partition"], header["segment"])
    pos, chunks = layout.SEGMENT_HEADER, []
    while data[pos:pos + 8] == b"EVLOGCHK":
        try:
            entries, at = layout.chunk(lambda p, n: data[p:p + n], pos, len(data), owner)
        except Refused:
            break    # behind the length that counts anything may lie
        chunks.append((pos, entries, at))
        pos = layout.chunk_end(at + sum(e.length for e in entries))
    return header, chunks, pos


def show_segment(data, args):
    header, chunks, end = segment_parts(data)
    show(**header)
    for pos, entries, at in chunks:
        show(chunk=pos, batches=len(entries), length=sum(e.length for e in entries))
        for entry in entries:
            part = data[at:at + entry.length]
            check_batch(part, entry)
            at += entry.length
            show(**batch_fields(part, args.records), leader_epoch=entry.leader_epoch,
                 append_time_ns=entry.append_time_ns, salt=entry.salt.hex(), cleaned_s=entry.cleaned_s)
    if data[end:end + 8] != b"EVLOGFTR":
        show(end=end, behind=len(data) - end)
        return
    sections = layout.footer(lambda p, n: data[p:p + n], end, len(data))
    show(footer=end, index=layout.chunk_index(sections.get(1, b"")), sha256=sections.get(2, b"").hex(),
         sha256_fits=sections.get(2) in (None, hashlib.sha256(data[:end]).digest()))


def show_checkpoint(data):
    found = layout.checkpoint(data)
    fields = {**found._asdict(), "incarnation": incarnation(found.incarnation), "kind": ("base", "delta")[found.kind]}
    del fields["entries"]
    show(**fields)
    for entry in found.entries:
        segments = [{**s, "generation": incarnation(s["generation"])} for s in entry["segments"]]
        show(**{**entry, "topic_id": entry["topic_id"].hex(), "segments": segments})


def show_file(path, args):
    data = file_bytes(path)
    magic = data[:8]
    if magic == b"EVLOGNOD":
        show(node=layout.node(data))
    elif magic == b"EVLOGMRK" or os.path.basename(path) == "mark":
        show_mark(data)
    elif magic == b"EVLOGSEG":
        show_segment(data, args)
    elif magic == b"EVLOGCKP":
        show_checkpoint(data)
    else:
        need(any(data[pos:pos + 8] == b"EVLOGGRP" for pos in range(0, len(data), BLOCK)), "a file of an unknown kind")
        show_slot(data, args)


# --- every sum ------------------------------------------------------------------------------------------------------

def verify_segments(directory, tell):
    """Footers against chunks and SHA-256, of listed segments; the chunks themselves are read by show_partition()."""
    count = 0
    for partition in directory.partitions.values():
        before = None
        for segment in partition.segments:
            name = f"{partition.folder()}/{segment['segment']:08d}.seg"
            try:
                data = file_bytes(f"{directory.path}/{name}")
                count += 1
                verify_segment(data, segment, before)
            except (Refused, OSError) as why:
                tell(file=name, why=str(why))
            before = segment
    return count


def verify_segment(data, segment, before):
    header, chunks, _ = segment_parts(data[:segment["length"]])
    need(header["generation"] == incarnation(segment["generation"]), "segment: generation")
    compacted = segment["flags"] & 4 != 0
    if before and not compacted and not before["flags"] & 4:
        need(header["previous"] == before["segment"], "segment: the one before it")
    entries = [e for _, of_chunk, _ in chunks for e in of_chunk]
    need(entries or compacted, "segment: no batch")
    need(max([e.max_timestamp for e in entries], default=INT64_MIN) == segment["max_timestamp"],
         "segment: greatest event time")
    if entries:
        need([entries[0].append_time_ns, entries[-1].append_time_ns] ==
             [segment["first_append_ns"], segment["last_append_ns"]], "segment: append times")
    need(compacted or all(e.cleaned_s == 0 for e in entries), "segment: a batch that was compacted")
    if not segment["flags"] & 1:
        return
    sections = layout.footer(lambda p, n: data[p:p + n], segment["length"], len(data))
    expected, greatest = [], INT64_MIN
    for number, (pos, of_chunk, _) in enumerate(chunks):
        end = chunks[number + 1][0] if number + 1 < len(chunks) else segment["length"]
        greatest = max([greatest] + [e.max_timestamp for e in of_chunk])
        expected.append({"base_offset": of_chunk[0].base_offset, "pos": pos, "max_timestamp": greatest,
                         "append_time_ns": of_chunk[0].append_time_ns, "length": end - pos})
    need(layout.chunk_index(sections[1]) == expected, "footer: its index is not that of the chunks")
    need(sections.get(2) in (None, hashlib.sha256(data[:segment["length"]]).digest()), "footer: SHA-256")


def verify_checkpoints(path, shards, tell):
    count = 0
    for shard in range(shards):
        folder = f"checkpoint/{shard:04d}"
        for name in names_in(f"{path}/{folder}", "[0-9a-f]{16}"):
            count += 1
            try:
                found = layout.checkpoint(file_bytes(f"{path}/{folder}/{name}"))
                need((found.shard, found.sequence) == (shard, int(name, 16)), "checkpoint: another shard's or name")
            except Refused as why:
                tell(file=f"{folder}/{name}", why=str(why))
    return count


def verify_journal(journal):
    """Sums of groups were read; here that each names the sum of the group before it."""
    sums = {}
    for found in journal.accepted:
        header = found.header
        previous = sums.get(header.incarnation)
        need(previous in (None, header.previous_sum), f"group {header.sequence}: sum of the group before")
        need(header.sequence != header.parent_sequence + 1 or header.previous_sum == 0, f"group {header.sequence}")
        sums[header.incarnation] = header.sum
    return len(journal.accepted)


def verify(path):
    problems = []

    def tell(**fields):
        problems.append(fields)
        show(problem=fields)
    directory = Directory(path).open()
    counts = {"checkpoints": verify_checkpoints(path, directory.node["shards"], tell),
              "segments": verify_segments(directory, tell), "groups": 0, "batches": 0}
    for shard in directory.shards:
        try:
            counts["groups"] += verify_journal(shard.journal)
        except Refused as why:
            tell(shard=shard.number, why=str(why))
    for partition in directory.partitions.values():
        def damaged(first, end, why, of=partition):
            tell(topic_id=of.topic_id.hex(), partition=of.number, damaged=[first, end - 1], why=why)
        for _, data, _ in directory.batches(partition, damaged):
            counts["batches"] += 1
            try:
                batch_fields(data, True)
            except Refused as why:
                tell(topic_id=partition.topic_id.hex(), partition=partition.number, why=str(why))
    for note in directory.notes:
        tell(why=note)
    show(verified=counts, problems=len(problems))
    return 1 if problems else 0


def main():
    parser = argparse.ArgumentParser(description="Read evlog's files without evlogd: docs/format.md.")
    parser.add_argument("--records", action="store_true", help="show the records of each batch")
    parser.add_argument("--topic", help="only this topic")
    parser.add_argument("--verify", action="store_true", help="check every sum of a directory")
    parser.add_argument("paths", nargs="+", metavar="DIR|FILE")
    args = parser.parse_args()
    worst = 0
    for path in args.paths:
        try:
            if os.path.isdir(path):
                worst = max(worst, verify(path) if args.verify else show_directory(path, args))
            else:
                show_file(path, args)
        except Refused as why:
            show(refused=str(why), path=path)
            worst = 2
        except OSError as why:
            show(refused=why.strerror, path=path)
            worst = 2
    return worst


if __name__ == "__main__":
    sys.exit(main())
