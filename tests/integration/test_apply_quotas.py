# SPDX-License-Identifier: Apache-2.0
"""Limits in the file of evlog apply.

Goal: limits become what the file declares, twice changes nothing, and what may not be is told with its place before
anything has changed. Method: files and a broker with users, seen through evlog quota.
"""
import pytest

from cli_kit import evlog
from test_access_cli import Secured

FILE = """\
[quota user billing]
producer_byte_rate = 10MiB
consumer_byte_rate = 50MiB

[quota user CN=app,OU=Order Dept client-id nightly]
producer_byte_rate = 4096

[quota user billing default-client-id]
request_percentage = 12.5

[quota default-user]
request_percentage = 50

[quota default-user client-id nightly]
producer_byte_rate = 1MiB

[quota client-id nightly]
producer_byte_rate = 2MiB

[quota default-client-id]
consumer_byte_rate = 3MiB

[quota ip 0:0:0:0:0:0:0:7]
connection_creation_rate = 20

[quota default-ip]
connection_creation_rate = 100
"""

WANTED = [
    "change quota user billing: producer_byte_rate none -> 10485760, consumer_byte_rate none -> 52428800",
    "change quota user CN=app,OU=Order Dept client-id nightly: producer_byte_rate none -> 4096",
    "change quota user billing default-client-id: request_percentage none -> 12.5",
    "change quota default-user: request_percentage none -> 50",
    "change quota default-user client-id nightly: producer_byte_rate none -> 1048576",
    "change quota client-id nightly: producer_byte_rate none -> 2097152",
    "change quota default-client-id: consumer_byte_rate none -> 3145728",
    "change quota ip ::7: connection_creation_rate none -> 20",
    "change quota default-ip: connection_creation_rate none -> 100",
]


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    instance = Secured(tmp_path_factory.mktemp("quotas"))
    yield instance
    assert instance.broker.stop() == 0, "".join(instance.broker.log[-50:])


def write(folder, text=FILE):
    path = folder / "limits.conf"
    path.write_text(text, encoding="utf-8")
    return path


def limits(secured):
    return [{name: value for name, value in line.items() if name != "v"}
            for line in secured.run("quota", "ls", "--json", expect=0).lines()]


def test_limits_become_what_the_file_declares_and_twice_changes_nothing(secured, tmp_path):
    path = write(tmp_path)
    assert secured.run("apply", path, "--dry-run", expect=6).out.splitlines() == WANTED
    assert limits(secured) == []
    assert secured.run("apply", path, expect=0).out.splitlines() == WANTED
    made = limits(secured)
    assert len(made) == 10
    assert {"user": "CN=app,OU=Order Dept", "client_id": "nightly", "key": "producer_byte_rate", "value": 4096} in made
    assert {"ip": "::7", "key": "connection_creation_rate", "value": 20} in made
    assert {"user": None, "client_id": "nightly", "key": "producer_byte_rate", "value": 1048576} in made
    again = secured.run("apply", path, expect=0)
    assert again.out == "" and "nothing to do" in again.err
    secured.run("quota", "set", "--user", "billing", "producer_byte_rate=7", expect=0)
    secured.run("quota", "set", "--user", "eve", "producer_byte_rate=7", expect=0)
    secured.run("quota", "set", "--ip", "::7", "connection_creation_rate=7", expect=0)
    changed = secured.run("apply", path, expect=0).out.splitlines()
    assert changed == ["change quota user billing: producer_byte_rate 7 -> 10485760",
                       "change quota ip ::7: connection_creation_rate 7 -> 20"]
    assert len(limits(secured)) == 11


def test_limits_go_with_prune_alone(secured, tmp_path):
    secured.run("apply", write(tmp_path), "-q", expect=0)
    secured.run("quota", "set", "--user", "eve", "producer_byte_rate=7", expect=0)
    path = write(tmp_path, "[quota user billing]\nproducer_byte_rate = 10485760\n[quota default-ip]\n"
                           "connection_creation_rate = 100\n")
    assert secured.run("apply", path, expect=0).out == ""
    told = secured.run("apply", path, "--prune", "quotas", "--dry-run", expect=6).out.splitlines()
    assert "remove quota user eve: producer_byte_rate" in told and len(told) == 9
    assert "remove quota user billing: consumer_byte_rate" in told
    assert "remove quota ip ::7: connection_creation_rate" in told
    assert "EVL-2006" in secured.run("apply", path, "--prune", "quotas", expect=2).err
    secured.run("apply", path, "--prune", "quotas", f"--confirm={path}", expect=0)
    assert limits(secured) == [{"user": "billing", "key": "producer_byte_rate", "value": 10485760},
                               {"ip": None, "key": "connection_creation_rate", "value": 100}]
    secured.run("quota", "rm", "--default-ip", expect=0)
    secured.run("quota", "rm", "--user", "billing", expect=0)


def test_who_may_not_see_limits_changes_none_and_who_needs_none_is_not_asked_for_the_right(secured, tmp_path):
    secured.make("carol")
    secured.run("acl", "allow", "User:carol", "create,describe,describe-configs", "topic", "shop", expect=0)
    path = write(tmp_path, "[topic shop]\n[quota user carol]\nproducer_byte_rate = 1MiB\n")
    secured.run("apply", path, user="carol", expect=4)
    assert secured.run("topics", "ls", "--json", expect=0).out == "" and limits(secured) == []
    secured.run("acl", "allow", "User:carol", "describe-configs", "cluster", expect=0)
    secured.run("apply", path, "--dry-run", user="carol", expect=6)
    secured.run("apply", write(tmp_path, "[topic shop]\n"), user="carol", expect=0)


@pytest.mark.parametrize("text, place, said", [
    ("[quota]", "1:2", "the name of the quota is missing"),
    ("[quotas user a]", "1:2", "did you mean quota?"),
    ("[quota billing]", "1:8", "a limit is for user NAME"),
    ("[quota user]", "1:8", "a limit is for user NAME"),
    ("[quota user a client-id]\nproducer_byte_rate=0", "2:20", "above 0"),
    ("[quota default-user b]", "1:8", "a limit is for user NAME"),
    ("[quota default-user client-id]", "1:8", "a limit is for user NAME"),
    ("[quota ip]", "1:8", "a limit is for user NAME"),
    ("[quota ip db.example]", "1:8", "is no address"),
    ("[quota user a]", "1:8", "user a has no limits"),
    ("[quota ip ::1]\nconnection_creation_rate = 1\n[quota ip 0::1]", "3:8", "has a section already, in line 1"),
    ("[quota user a]\nproducer_byte_rat = 1", "2:1", "did you mean producer_byte_rate?"),
    ("[quota user a]\ncontroller_mutation_rate = 1", "2:1", "there is no limit"),
    ("[quota user a]\nproducer_byte_rate = much", "2:22", "is not a size"),
    ("[quota user a]\nproducer_byte_rate =", "2:21", "is not a size"),
    ("[quota user a]\nrequest_percentage = -1", "2:22", "above 0"),
    ("[quota user a]\nrequest_percentage = inf", "2:22", "above 0"),
    ("[quota user a]\nrequest_percentage = 5%", "2:22", "above 0"),
    ("[quota user a]\nconnection_creation_rate = 1", "2:1", "is a limit of addresses"),
    ("[quota default-ip]\nproducer_byte_rate = 1", "2:1", "connection_creation_rate alone"),
    ("[quota user a]\nproducer_byte_rate = 1\nproducer_byte_rate = 2", "3:1", "set already, in line 2"),
])
def test_mistakes_are_told_with_their_place_without_a_broker(tmp_path, text, place, said):
    done = evlog("apply", write(tmp_path, text), bootstrap="127.0.0.1:1", expect=2)
    assert f"limits.conf:{place}: " in done.err and said in done.err


@pytest.mark.parametrize("words, said", [
    (("--user", "a", "producer_byte_rat=1"), "did you mean producer_byte_rate?"),
    (("--user", "a", "connection_creation_rate=1"), "is a limit of addresses"),
    (("--ip", "::1", "producer_byte_rate=1"), "connection_creation_rate alone"),
    (("--ip", "db.example", "connection_creation_rate=1"), "is no address"),
])
def test_mistakes_on_the_command_line_are_told_before_anything_is_sent(words, said):
    assert said in evlog("quota", "set", *words, bootstrap="127.0.0.1:1", expect=2).err


def test_an_address_is_removed_however_it_is_written(secured):
    secured.run("quota", "set", "--ip", "0:0:0:0:0:0:0:9", "connection_creation_rate=3", expect=0)
    assert {"ip": "::9", "key": "connection_creation_rate", "value": 3} in limits(secured)
    secured.run("quota", "rm", "--ip", "0::9", expect=0)
    assert limits(secured) == []
