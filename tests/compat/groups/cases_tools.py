# SPDX-License-Identifier: Apache-2.0
"""What tools ask: DescribeGroups, ListGroups, DeleteGroups, OffsetDelete, FindCoordinator."""
from steps import (NULL, alone, case, commit, delete_groups, delete_offsets, describe, enter, fetch, find, heartbeat,
                   join, joined_two, leave, list_groups, preparing_two, quiet, recv, send, subscription, two,
                   until_members, until_state)

EMPTY = [alone(), quiet(leave("a", "$m1", version=5)), until_state("Empty")]
COMMITTED = quiet(commit("a", topics={"t": {0: 1, 1: 2}, "u": {0: 3}}))
AGAIN = [two(), send(join("a", "$m1", version=9)), until_state("PreparingRebalance")]
TO_T = {"range": subscription("t")}
ANSWERS = [recv("a", quiet=True), recv("b", quiet=True)]
# One group of each state and of each way to come to it.
OF_ALL_STATES = [alone(), quiet(commit("z", group="simple")), alone("b", "m2", group="empty"),
                 quiet(leave("b", "$m2", group="empty")), until_state("Empty", group="empty"),
                 enter("c", "m3", group="completing"), recv("c", quiet=True),
                 alone("d", "m4", group="connect", kind="connect")]

CASES = [
    # --- DescribeGroups
    case("describe/no group", "DescribeGroups", describe("nothing")),
    case("describe/empty and null group ids", "DescribeGroups", quiet(delete_groups("")), describe(""),
         describe(NULL), alone=True),
    case("describe/no groups asked", "DescribeGroups", describe()._replace(fields={"Groups": []})),
    case("describe/preparing", "DescribeGroups", preparing_two(), describe(), ANSWERS),
    case("describe/completing", "DescribeGroups", joined_two(), describe()),
    case("describe/stable", "DescribeGroups", two(), describe()),
    case("describe/stable with a static member", "DescribeGroups", alone(instance="i1"), describe()),
    case("describe/preparing again", "DescribeGroups", AGAIN, describe()),
    case("describe/empty", "DescribeGroups", EMPTY, describe()),
    case("describe/only commits", "DescribeGroups", COMMITTED, describe()),
    case("describe/a reserved id", "DescribeGroups", quiet(join("a", save="m1", version=9)), describe()),
    case("describe/many, one of them twice", "DescribeGroups", two(), describe("g", "nothing", "g")),
    case("describe/with operations", "DescribeGroups", two(), describe(authorized=True), describe("nothing",
         authorized=True),
         low=3),
    case("describe/deleted", "DescribeGroups", EMPTY, delete_groups(), describe()),

    # --- ListGroups
    case("list/of all states", "ListGroups", OF_ALL_STATES, list_groups()),
    case("list/by state", "ListGroups", OF_ALL_STATES, *[list_groups([state]) for state in (
        "Stable", "Empty", "CompletingRebalance", "PreparingRebalance", "Dead", "stable", "nonsense", "")], low=4),
    case("list/by several states", "ListGroups", OF_ALL_STATES, list_groups(["Stable", "Empty", "nonsense"]), low=4),
    case("list/by type", "ListGroups", OF_ALL_STATES, *[list_groups((), [kind]) for kind in (
        "classic", "Classic", "consumer", "share", "nonsense", "")], list_groups((), ["classic", "consumer"]), low=5),
    case("list/by state and type", "ListGroups", OF_ALL_STATES, list_groups(["Stable"], ["classic"]),
         list_groups(["Stable"], ["consumer"]), low=5),
    case("list/while preparing", "ListGroups", AGAIN, list_groups()),
    case("list/a reserved id", "ListGroups", quiet(join("a", save="m1", version=9)), list_groups()),
    case("list/not what was deleted", "ListGroups", EMPTY, list_groups(), delete_groups(), list_groups()),

    # --- DeleteGroups
    case("delete/no group", "DeleteGroups", delete_groups("nothing")),
    case("delete/empty and null group ids", "DeleteGroups", delete_groups(""), delete_groups(NULL), alone=True),
    case("delete/no groups asked", "DeleteGroups", delete_groups()._replace(fields={"GroupsNames": []})),
    case("delete/stable", "DeleteGroups", two(), delete_groups(), heartbeat("a", "$m1")),
    case("delete/completing", "DeleteGroups", joined_two(), delete_groups()),
    case("delete/preparing", "DeleteGroups", AGAIN, delete_groups()),
    case("delete/empty", "DeleteGroups", EMPTY, delete_groups(), describe(), delete_groups(), heartbeat("a", "$m1")),
    case("delete/only commits", "DeleteGroups", COMMITTED, delete_groups(), describe(), fetch("a")),
    case("delete/a reserved id", "DeleteGroups", quiet(join("a", save="m1", version=9)), delete_groups(), describe(),
         join("a", "$m1", version=9)),
    case("delete/many, one of them twice", "DeleteGroups", COMMITTED, alone("b", "m2", group="h"),
         delete_groups("g", "h", "nothing", "g"), describe("g", "h")),
    case("delete/a static member that is away", "DeleteGroups", alone(instance="i1"), delete_groups()),
    case("delete/and begun again", "DeleteGroups", EMPTY, COMMITTED, delete_groups(), alone("b", "m2"), fetch("b"),
         describe()),

    # --- OffsetDelete
    case("offset delete/no group", "OffsetDelete", delete_offsets({"t": [0]})),
    case("offset delete/empty and null group ids", "OffsetDelete", delete_offsets({"t": [0]}, group=""),
         delete_offsets({"t": [0]}, group=NULL)),
    case("offset delete/some of an empty group", "OffsetDelete", COMMITTED, delete_offsets({"t": [0], "u": [0]}),
         fetch("a")),
    case("offset delete/all of a group of commits only", "OffsetDelete", COMMITTED, delete_offsets({"t": [0, 1],
         "u": [0]}),
         fetch("a"), describe()),
    case("offset delete/what was not committed", "OffsetDelete", COMMITTED, delete_offsets({"t": [2]}), fetch("a")),
    case("offset delete/unknown topic and partition", "OffsetDelete", COMMITTED,
         delete_offsets({"nothing": [0], "t": [0, 9, -1]}), fetch("a")),
    case("offset delete/nothing", "OffsetDelete", COMMITTED, delete_offsets({}), delete_offsets({"t": []}), fetch("a")),
    case("offset delete/a topic that is subscribed to", "OffsetDelete", COMMITTED, alone(protocols=TO_T),
         delete_offsets({"t": [0], "u": [0]}), fetch("a")),
    case("offset delete/a topic of one of two protocols", "OffsetDelete", COMMITTED,
         alone(protocols={"range": subscription("t"), "other": subscription("u")}),
         delete_offsets({"t": [0], "u": [0]}), fetch("a")),
    case("offset delete/a topic that a follower subscribes to", "OffsetDelete", COMMITTED,
         [*enter("a", "m1", protocols=TO_T), until_members(1), *enter("b", "m2", protocols={"range": subscription("u",
         version=1)}),
          until_members(2), ANSWERS], delete_offsets({"t": [0], "u": [0]}), fetch("a")),
    case("offset delete/while preparing", "OffsetDelete", COMMITTED, enter("a", "m1", protocols=TO_T), until_members(1),
         delete_offsets({"t": [0], "u": [0]}), recv("a", quiet=True)),
    case("offset delete/a subscription that cannot be read", "OffsetDelete", COMMITTED,
         alone(protocols={"range": "garbage"}),
         delete_offsets({"t": [0], "u": [0]}), fetch("a")),
    case("offset delete/an empty subscription", "OffsetDelete", COMMITTED, alone(protocols={"range": ""}),
         delete_offsets({"t": [0], "u": [0]}), fetch("a")),
    case("offset delete/a group of another kind with members", "OffsetDelete", COMMITTED, alone(kind="connect"),
         delete_offsets({"t": [0]}), fetch("a")),
    case("offset delete/when the subscriber has left", "OffsetDelete", COMMITTED, alone(protocols=TO_T),
         quiet(leave("a", "$m1")), delete_offsets({"t": [0], "u": [0]}), fetch("a")),

    # --- FindCoordinator
    case("find/a group", "FindCoordinator", find("g")),
    case("find/an empty key", "FindCoordinator", find("")),
    case("find/a null key", "FindCoordinator", find(NULL)),
    case("find/many", "FindCoordinator", find("g", "h", "g"), low=4),
    case("find/nothing", "FindCoordinator", find(), low=4),
    case("find/a transactional id", "FindCoordinator", find("g", kind=1), low=1),
    case("find/an unknown kind", "FindCoordinator", find("g", kind=7), find("g", kind=-1), low=1),
    case("find/a share partition that is none", "FindCoordinator", find("g", kind=2), low=1),
]
