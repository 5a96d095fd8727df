# SPDX-License-Identifier: Apache-2.0
"""Where evlogd answers about groups otherwise than Apache Kafka on purpose. This is the only place that may say so: the
tests take these and no others, docs/generated/group-differences.md shows them, and one that makes no difference any
more fails."""
from collections import namedtuple

# title, reason: sentences for the page. cases: patterns of names. changes: what Kafka's line has and evlogd's has
# there, as re.sub takes them, one after the other; a third item names the versions.
Difference = namedtuple("Difference", "title reason cases changes")

NO_ANSWER = r'^(.*) no answer$'
REPLACED = r'\1 {"ErrorCode": 27, '

DIFFERENCES = [
    Difference(
        "FindCoordinator has no text where there is no error.",
        "Kafka writes the name of error 0 up to version 3 and an empty text from 4 on. Null is what the field is for.",
        ["find/*"],
        [(r'"ErrorCode": 0, "ErrorMessage": "some text"', '"ErrorCode": 0, "ErrorMessage": null'),
         (r'"ErrorCode": 0, "ErrorMessage": ""', '"ErrorCode": 0, "ErrorMessage": null')]),
    Difference(
        "FindCoordinator names this node for every key of a share partition.",
        "Kafka takes a key apart and refuses what is no group, topic id and partition; but there is one node to name.",
        ["find/a share partition that is none"],
        [(r'"ErrorCode": 42, "ErrorMessage": "some text", "NodeId": -1, "Host": "", "Port": -1',
          '"ErrorCode": 0, "ErrorMessage": null, "NodeId": 1, "Host": "this host", "Port": "this port"'),
         (r'"NodeId": -1, "Host": "", "Port": -1, "ErrorCode": 42, "ErrorMessage": (""|"some text")',
          '"NodeId": 1, "Host": "this host", "Port": "this port", "ErrorCode": 0, "ErrorMessage": null')]),
    Difference(
        "A JoinGroup or SyncGroup that the same member repeats on another connection ends the first one with "
        "REBALANCE_IN_PROGRESS.",
        "Kafka answers only the later one, and leaves the earlier connection waiting for ever.",
        ["join/again while preparing", "sync/follower twice"],
        [(r'^(a JoinGroup/9) no answer$',
          REPLACED + '"GenerationId": -1, "ProtocolType": null, "ProtocolName": null, "Leader": "", '
          '"SkipAssignment": false, "MemberId": "$m1 script-uuid", "Members": []}'),
         (NO_ANSWER, REPLACED + '"Assignment": ""}', range(5)),
         (NO_ANSWER, REPLACED + '"ProtocolType": null, "ProtocolName": null, "Assignment": ""}', range(5, 9))]),
    Difference(
        "A SyncGroup of a Stable group is a sign of life.",
        "In Kafka only heartbeats, commits and joins are. A member that is heard of is there.",
        ["heartbeat/a sync keeps a member"],
        [(r'^(a SyncGroup/5) errors \[25\]$', r'\1 ok'),
         (r'^(a Heartbeat) {"ErrorCode": 25}$', r'\1 {"ErrorCode": 0}')]),
    Difference(
        "A group that has neither members nor offsets any more is gone at once.",
        "Kafka keeps it as Empty until its next cleanup, ten minutes later at most.",
        ["leave/a reserved id"],
        [(r'"ErrorCode": 0, "ErrorMessage": null, "GroupId": "g", "GroupState": "Empty"',
          '"ErrorCode": 69, "ErrorMessage": "some text", "GroupId": "g", "GroupState": "Dead"')]),
    Difference(
        "A JoinGroup whose connection ends while it waits does not count.",
        "Kafka answers it into the void, and lets whoever does come lead or follow a member that is not there.",
        ["join/a member may go away while it waits", "join/a client that comes and goes after joining"],
        [(r'^(b JoinGroup/9 .*"Leader": )"\$m1"(.*"Members": )\[\]}$',
          r'\1"$m2"\2[{"MemberId": "$m2 script-uuid", "GroupInstanceId": null, "Metadata": "RANGE"}]}'),
         (r'"GroupState": "PreparingRebalance"(.*"\$m2 )', r'"GroupState": "CompletingRebalance"\1'),
         (r'"GenerationId": 3,', '"GenerationId": 2,')]),
    Difference(
        "A JoinGroup whose metadata names more topics than it holds is answered.",
        "What is in it is the members' affair. Kafka 4.3 trips over it and does not answer; 4.4 does.",
        ["offset delete/a subscription that cannot be read"],
        [(r'^(a JoinGroup/9) no answer$', r'\1 ok'),
         (r'^(a SyncGroup/5) errors \[27\]$', r'\1 ok')]),
]
