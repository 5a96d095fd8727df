# SPDX-License-Identifier: Apache-2.0
"""The words of which the scripts of cases_*.py are made. Each makes a step, which is data and nothing else.

A script is a list of steps. Words for it:

    connection  a name; a connection is opened when its name is first used. "admin" is the one that looks on
    group       "g", "h" ...: names of the script's own, which no other script has
    $name       what the answer to an earlier step with save="name" gave as member id
    topic       "t" has three partitions, "u" one; "own" and the like are made by a step; other names do not exist

A request without a version is sent in the version that the case is run for when it is of the case's own kind, else in
the newest.
"""
from collections import namedtuple

from kafka_layouts import NULL  # noqa: F401  a null also where the layout has none

Case = namedtuple("Case", "name subject versions steps alone", defaults=(False,))
# kind: what the engine does; conn, api, version, fields: the request; how: a dict of the kind's own
Step = namedtuple("Step", "kind conn api version fields how")

KEYS = {"OffsetCommit": 8, "OffsetFetch": 9, "FindCoordinator": 10, "JoinGroup": 11, "Heartbeat": 12, "LeaveGroup": 13,
        "SyncGroup": 14, "DescribeGroups": 15, "ListGroups": 16, "DeleteGroups": 42, "OffsetDelete": 47}
# What evlogd lists, and Kafka too: version 3 of DeleteGroups is newer than Kafka 4.3.
RANGES = {"OffsetCommit": (2, 10), "OffsetFetch": (1, 10), "FindCoordinator": (0, 6), "JoinGroup": (0, 9),
          "Heartbeat": (0, 4), "LeaveGroup": (0, 5), "SyncGroup": (0, 5), "DescribeGroups": (0, 6),
          "ListGroups": (0, 5), "DeleteGroups": (0, 2), "OffsetDelete": (0, 0)}

SESSION_MS, REBALANCE_MS = 30000, 60000


def case(name, subject, *steps, low=0, high=99, alone=False):
    """A case is run in every version of its subject from low to high."""
    first, last = RANGES[subject]
    return Case(name, subject, range(max(low, first), min(high, last) + 1), list(flat(steps)), alone)


def flat(steps):
    for item in steps:
        if isinstance(item, Step):
            yield item
        else:
            yield from flat(item)


def request(conn, api, fields, version=None, **how):
    return Step("ask", conn, api, version, fields, how)


def send(step):
    """The same request, whose answer a later recv() reads."""
    return step._replace(kind="send")


def recv(conn, **how):
    """within=(low, high): the answer comes that many ms after its request. patience: seconds to wait for it, when none
    is what is expected."""
    return Step("recv", conn, None, None, None, how)


def quiet(step):
    """A request whose answer is not kept, only whether it holds an error."""
    return step._replace(how={**step.how, "quiet": True})


def until(step, **how):
    """Ask again until the answer contains where=text, lacks=text, or has members=count; nothing else of it is kept."""
    return step._replace(kind="until", how={**step.how, **how})


def drop(conn):
    return Step("drop", conn, None, None, None, {})


def pause(ms):
    """For what nothing tells of: a reservation that lapses."""
    return Step("pause", None, None, None, None, {"ms": ms})


def crowd(count, **options):
    """That many members join at once, each on a connection of its own, and sync; saved as crowd0, crowd1 ..."""
    return Step("crowd", None, None, None, None, {"count": count, **options})


def make_topic(name, partitions=1):
    return Step("make_topic", "admin", None, None, {"name": name, "partitions": partitions}, {})


def delete_topic(name):
    return Step("delete_topic", "admin", None, None, {"name": name}, {})


# --- requests ---------------------------------------------------------------------------------------------------------

def join(conn, member="", *, instance=None, protocols=("range",), kind="consumer", session=SESSION_MS,
         rebalance=REBALANCE_MS, group="g", version=None, **how):
    """protocols: names, whose metadata is the name in upper case; or {name: metadata}."""
    offered = protocols if isinstance(protocols, dict) else {name: name.upper() for name in protocols}
    return request(conn, "JoinGroup", {
        "GroupId": group, "SessionTimeoutMs": session, "RebalanceTimeoutMs": rebalance, "MemberId": member,
        "GroupInstanceId": instance, "ProtocolType": kind,
        "Protocols": [{"Name": name, "Metadata": data} for name, data in offered.items()]}, version, **how)


def sync(conn, member, generation=1, assignments=(), *, instance=None, kind="consumer", protocol="range", group="g",
         version=None, **how):
    """assignments: pairs of member and bytes."""
    return request(conn, "SyncGroup", {
        "GroupId": group, "GenerationId": generation, "MemberId": member, "GroupInstanceId": instance,
        "ProtocolType": kind, "ProtocolName": protocol,
        "Assignments": [{"MemberId": name, "Assignment": data} for name, data in assignments]}, version, **how)


def heartbeat(conn, member, generation=1, *, instance=None, group="g", version=None, **how):
    return request(conn, "Heartbeat", {"GroupId": group, "GenerationId": generation, "MemberId": member,
                                       "GroupInstanceId": instance}, version, **how)


def leave(conn, *members, group="g", version=None, **how):
    """Each member an id, or a pair of id and instance id; below version 3 the first one."""
    pairs = [(name, None) if isinstance(name, str) else name for name in members]
    return request(conn, "LeaveGroup", {
        "GroupId": group, "MemberId": pairs[0][0] if pairs else "",
        "Members": [{"MemberId": name, "GroupInstanceId": instance} for name, instance in pairs]}, version, **how)


def commit(conn, member="", generation=-1, topics=None, *, instance=None, group="g", metadata="m", epoch=-1,
           version=None, **how):
    """topics: {name: {partition: offset}}, or pairs instead of dicts where something is named twice."""
    topics = {"t": {0: 5}} if topics is None else topics
    return request(conn, "OffsetCommit", {
        "GroupId": group, "GenerationIdOrMemberEpoch": generation, "MemberId": member, "GroupInstanceId": instance,
        "RetentionTimeMs": -1,
        "Topics": [{"Name": name, "TopicId": "$id:" + name, "Partitions": [
            {"PartitionIndex": index, "CommittedOffset": offset, "CommittedLeaderEpoch": epoch,
             "CommittedMetadata": metadata} for index, offset in pairs(parts)]} for name, parts in pairs(topics)],
    }, version, **how)


def pairs(items):
    return items.items() if isinstance(items, dict) else items


def fetch(conn, topics=None, *, groups=("g",), member=None, epoch=-1, stable=False, version=None, **how):
    """topics: {name: [partition]}, None for all. Below version 8 the first group."""
    def asked():
        return None if topics is None else [{"Name": name, "TopicId": "$id:" + name, "PartitionIndexes": list(parts)}
                                            for name, parts in topics.items()]
    return request(conn, "OffsetFetch", {
        "GroupId": groups[0] if groups else "", "Topics": asked(), "RequireStable": stable,
        "Groups": [{"GroupId": name, "MemberId": member, "MemberEpoch": epoch, "Topics": asked()} for name in groups],
    }, version, **how)


def describe(*groups, authorized=False, version=None, **how):
    groups = groups or ("g",)
    return request("admin", "DescribeGroups", {"Groups": list(groups),
                                               "IncludeAuthorizedOperations": authorized}, version, **how)


def list_groups(states=(), types=(), version=None, **how):
    return request("admin", "ListGroups", {"StatesFilter": list(states), "TypesFilter": list(types)}, version, **how)


def delete_groups(*groups, version=None, **how):
    groups = groups or ("g",)
    return request("admin", "DeleteGroups", {"GroupsNames": list(groups)}, version, **how)


def delete_offsets(topics, group="g", version=None, **how):
    return request("admin", "OffsetDelete", {"GroupId": group, "Topics": [
        {"Name": name, "Partitions": [{"PartitionIndex": index} for index in parts]}
        for name, parts in topics.items()]},
        version, **how)


def find(*keys, kind=0, version=None, **how):
    return request("admin", "FindCoordinator", {"Key": keys[0] if keys else "", "KeyType": kind,
                                                "CoordinatorKeys": list(keys)}, version, **how)


# --- what many scripts begin with -------------------------------------------------------------------------------------

def until_state(state, group="g", **how):
    return until(describe(group), where=f'"GroupState": "{state}"', **how)


def until_members(count, group="g", **how):
    return until(describe(group), members=count, **how)


def enter(conn, name, **options):
    """A member that comes in without waiting for the others: the step in which it is given its id, and the one in
    which it joins, whose answer is still to come."""
    return [quiet(join(conn, save=name, version=9, **options)), send(join(conn, "$" + name, version=9, **options))]


def alone(conn="a", name="m1", **options):
    """A Stable group of one member in generation 1, whose assignment is "A1"."""
    group = {"group": options["group"]} if "group" in options else {}
    named = {"instance": options["instance"]} if options.get("instance") else {}
    first = [join(conn, save=name, version=9, **options)] if named else \
        [join(conn, save=name, version=9, **options), join(conn, "$" + name, version=9, **options)]
    protocol = next(iter(options.get("protocols", ("range",))))
    kind = {"kind": options["kind"]} if "kind" in options else {}
    return [quiet(step) for step in first] + [quiet(sync(conn, "$" + name, 1, [("$" + name, "A1")], version=5,
                                                         protocol=protocol, **group, **named, **kind))]


def preparing_two(**options):
    """The two members "m1" (leader, connection "a") and "m2" ("b") have joined; the answers are still to come."""
    return [*enter("a", "m1", **options), until_members(1), *enter("b", "m2", **options), until_members(2)]


def joined_two(**options):
    """The same, answered: CompletingRebalance in generation 1."""
    return [*preparing_two(**options), recv("a", quiet=True), recv("b", quiet=True)]


def two(**options):
    """The same, Stable; the assignments are "A1" and "A2"."""
    return [*joined_two(**options),
            quiet(sync("a", "$m1", 1, [("$m1", "A1"), ("$m2", "A2")], version=5)),
            quiet(sync("b", "$m2", 1, version=5))]


def subscription(*topics, version=0):
    """A consumer's metadata; the engine sends text as it is in Latin 1."""
    out = version.to_bytes(2, "big") + len(topics).to_bytes(4, "big")
    for name in topics:
        out += len(name).to_bytes(2, "big") + name.encode()
    out += b"\xff\xff\xff\xff" + (b"\0\0\0\0" if version >= 1 else b"")
    return out.decode("latin-1")
