# SPDX-License-Identifier: Apache-2.0
"""Says what is wrong with a history of producers and consumers, if anything.

A history is a list of events in the order in which they ended, each a dict (a line of JSON in recorded/). Times are
nanoseconds of one monotonic clock. Every value is written by one send only.

    {"process": "p1", "send": {"partition": 0, "value": 7, "outcome": "ok", "offset": 3, "once": true}}
        outcome  ok: acknowledged with this offset; fail: refused for certain; unknown: no answer
        once     the client may not store it twice (idempotent, or never repeated)
    {"process": "c1", "began": 5, "assign": {"group": "g", "generation": 2, "starts": {"0": 3}}}
        c1 reads these partitions from now on, from these offsets, and no others. group null: outside of groups;
        generation null when the client does not tell
    {"process": "c1", "poll": [[0, 3, 7], ...]}       partition, offset and value, as they were given out
    {"process": "c1", "ended": 9, "commit": {"group": "g", "partition": 0, "offset": 4, "outcome": "ok"}}
    {"process": "end", "log": {"0": [[3, 7], ...]}}   what a reader found in the whole partition when all was over
    {"process": "end", "caught_up": "g"}              the group has read to the end, by its own commits

The anomalies are those of the Kafka workload of Jepsen (aphyr/jepsen, workload "queue") that need no transactions, and
two of groups. Each is a class; a history without any is good.
"""
from bisect import bisect_left
from collections import defaultdict

ANOMALIES = {
    "inconsistent-offset": "two values were seen at one offset",
    "duplicate": "a value that may be stored once has two offsets",
    "made-up": "a value was read that nobody has sent",
    "aborted-read": "a value was read whose send was refused",
    "lost-write": "an acknowledged value is not in the log though the log goes on behind its offset",
    "unseen": "an acknowledged value lies behind the end of the log",
    "nonmonotonic-send": "a producer's later send has a lower offset than an earlier one",
    "nonmonotonic-poll": "a consumer was given an offset again, or an earlier one, without a new assignment",
    "skipped-poll": "a consumer was led past a record without a new assignment",
    "unassigned-poll": "a consumer was given a record of a partition that it does not read",
    "commit-went-back": "a member was started below an offset whose commit had been acknowledged before",
    "two-owners": "two members of one generation read the same partition",
    "skipped-by-group": "a group has read to the end, but none of its members was given this record",
}


class Log:
    """What is known of each partition, from all who have seen a part of it."""

    def __init__(self, history, found):
        self.values = defaultdict(dict)    # partition -> offset -> value
        self.final = {}                    # partition -> offset -> value, of the reader at the end
        self.sends = {}                    # value -> send
        for event in history:
            if "send" in event:
                self.sends[event["send"]["value"]] = event["send"]
        for event in history:
            for partition, offset, value in seen_by(event):
                known = self.values[partition].setdefault(offset, value)
                if known != value:
                    found("inconsistent-offset", f"partition {partition} offset {offset}: {known} and {value}")
            for partition, records in event.get("log", {}).items():
                self.final[int(partition)] = dict(map(tuple, records))
        self.offsets = {partition: sorted(values) for partition, values in self.values.items()}


def seen_by(event):
    """(partition, offset, value) of all that an event shows of the log."""
    send = event.get("send")
    if send and send["outcome"] == "ok":
        yield send["partition"], send["offset"], send["value"]
    for partition, offset, value in event.get("poll", ()):
        yield partition, offset, value
    for partition, records in event.get("log", {}).items():
        for offset, value in records:
            yield int(partition), offset, value


def check_reads(history, log, found):
    places = defaultdict(set)    # value -> {(partition, offset)} where it was read
    for event in history:
        if "send" not in event:
            for partition, offset, value in seen_by(event):
                places[value].add((partition, offset))
    for value, where in sorted(places.items()):
        send = log.sends.get(value)
        if send is None:
            found("made-up", f"{value} at {sorted(where)}")
        elif send["outcome"] == "fail":
            found("aborted-read", f"{value} at {sorted(where)}")
        elif send["once"] and len(where) > 1:
            found("duplicate", f"{value} at {sorted(where)}")


def check_writes(log, found):
    if not log.final:
        return
    for value, send in log.sends.items():
        if send["outcome"] != "ok":
            continue
        final = log.final.get(send["partition"], {})
        if final.get(send["offset"]) == value:
            continue
        beyond = send["offset"] > max(final, default=-1)
        found("unseen" if beyond else "lost-write", f"{value} at partition {send['partition']} offset {send['offset']}")


def check_sends(history, found):
    last = {}
    for event in history:
        send = event.get("send")
        if not send or send["outcome"] != "ok":
            continue
        key = event["process"], send["partition"]
        if send["offset"] <= last.get(key, -1):
            found("nonmonotonic-send", f"{event['process']}: {send['value']} at {send['offset']} behind {last[key]}")
        last[key] = max(last.get(key, -1), send["offset"])


def check_polls(history, log, found):
    """Each consumer gets every record from where it was started, in order, until it is assigned anew."""
    position = {}    # (process, partition) -> next offset, when it reads the partition
    for event in history:
        process = event["process"]
        if "assign" in event:
            for key in [key for key in position if key[0] == process]:
                del position[key]
            for partition, start in event["assign"]["starts"].items():
                position[process, int(partition)] = start
        for partition, offset, value in event.get("poll", ()):
            where = f"{process}: {value} at partition {partition} offset {offset}"
            expected = position.get((process, partition))
            if expected is None:
                found("unassigned-poll", where)
                continue
            if offset < expected:
                found("nonmonotonic-poll", f"{where}, expected {expected}")
            elif bisect_left(log.offsets[partition], expected) != bisect_left(log.offsets[partition], offset):
                found("skipped-poll", f"{where}, expected {expected}")
            position[process, partition] = offset + 1


def check_groups(history, log, found):
    commits = defaultdict(list)    # (group, partition) -> [(ended, offset)]
    owners = {}                    # (group, generation, partition) -> process
    given = defaultdict(set)       # group -> {(partition, offset)}
    group_of = {}
    for event in history:
        process = event["process"]
        commit, assign = event.get("commit"), event.get("assign")
        if commit and commit["outcome"] == "ok":
            commits[commit["group"], commit["partition"]].append((event["ended"], commit["offset"]))
        if assign:
            group_of[process] = assign["group"]
        if assign and assign["group"] is not None:
            check_assign(event, commits, owners, found)
        if group_of.get(process) is not None:
            given[group_of[process]].update((partition, offset) for partition, offset, _ in event.get("poll", ()))
        for partition, values in log.final.items() if "caught_up" in event else ():
            for offset in sorted(set(values) - {o for p, o in given[event["caught_up"]] if p == partition}):
                found("skipped-by-group", f"{event['caught_up']}: partition {partition} offset {offset}")


def check_assign(event, commits, owners, found):
    process, assign = event["process"], event["assign"]
    for partition, start in assign["starts"].items():
        partition = int(partition)
        before = [offset for ended, offset in commits[assign["group"], partition] if ended < event["began"]]
        if start < max(before, default=-1):
            found("commit-went-back", f"{process}: partition {partition} from {start}, committed {max(before)}")
        if assign["generation"] is not None:
            owner = owners.setdefault((assign["group"], assign["generation"], partition), process)
            if owner != process:
                found("two-owners", f"partition {partition} in generation {assign['generation']}: {owner}, {process}")


def check(history):
    """{anomaly: [what was seen]}, empty for a good history."""
    anomalies = defaultdict(list)

    def found(anomaly, text):
        assert anomaly in ANOMALIES
        anomalies[anomaly].append(text)
    log = Log(history, found)
    check_reads(history, log, found)
    check_writes(log, found)
    check_sends(history, found)
    check_polls(history, log, found)
    check_groups(history, log, found)
    return dict(anomalies)
