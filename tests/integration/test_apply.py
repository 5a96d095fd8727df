# SPDX-License-Identifier: Apache-2.0
"""evlog apply: a broker becomes what a file declares.

Goal: the difference is told and made, twice changes nothing, nothing goes without --prune, and a mistake is told with
its place before anything has changed. Method: files and a broker with users, seen through the other commands.
"""
import pytest

from cli_kit import evlog
from evlogd import Broker, start_or_skip
from test_access_cli import Secured

FILE = """\
# what orders need
[topic orders]
partitions = 3
retention.ms = 604800000   # a week

[topic letters]

[group billing]
start = earliest
lease.ms = 45000

[user billing]
password.file = billing.password
mechanisms = SCRAM-SHA-256

[acl User:billing]
allow = read,describe topic orders letters-*
allow = read group billing
deny = all topic letters from 10.0.0.7
allow = idempotent-write cluster from 10.0.0.7
"""

RULES = [
    "add rule: allow User:billing read topic orders", "add rule: allow User:billing describe topic orders",
    "add rule: allow User:billing read topic letters-*", "add rule: allow User:billing describe topic letters-*",
    "add rule: allow User:billing read group billing", "add rule: deny User:billing all topic letters from 10.0.0.7",
    "add rule: allow User:billing idempotent-write cluster from 10.0.0.7",
]


@pytest.fixture
def secured(tmp_path):
    instance = Secured(tmp_path)
    yield instance
    assert instance.broker.stop() == 0, "".join(instance.broker.log[-50:])


def write(folder, text=FILE, password="Zitrone=7"):
    path = folder / "access.conf"
    path.write_text(text, encoding="utf-8")
    secret = folder / "billing.password"
    secret.write_text(password + "\n", encoding="ascii")
    secret.chmod(0o600)
    return path


def test_the_difference_is_told_and_made_and_twice_is_none(secured, tmp_path):
    path = write(tmp_path)
    wanted = ["create topic orders: partitions 3, retention.ms 604800000", "create topic letters",
              "change group billing: start latest -> earliest (was the default), "
              "lease.ms 30000 -> 45000 (was the default)", "create user billing", *RULES]
    dry = secured.run("apply", path, "--dry-run", expect=6)
    assert dry.out.splitlines() == wanted and f"{len(wanted)} changes would be made" in dry.err
    assert secured.run("topics", "ls", "--json", expect=0).out == ""
    done = secured.run("apply", path, expect=0)
    assert done.out.splitlines() == wanted
    again = secured.run("apply", path, expect=0)
    assert again.out == "" and "nothing to do" in again.err
    assert secured.run("apply", path, "--dry-run", expect=0).out == ""
    secured.run("consume", "orders", user="billing", password="Zitrone=7", expect=0)
    described = secured.run("topics", "describe", "orders", "--json", expect=0).lines()[0]
    assert len(described["partitions"]) == 3 and described["settings"]["retention.ms"] == "604800000"


def test_durations_and_sizes_are_written_as_in_the_configuration(tmp_path):
    broker = start_or_skip(Broker(tmp_path / "data"))
    at = {"bootstrap": broker.bootstrap}
    path = write(tmp_path, "[topic orders]\nretention.ms = 7d\nsegment.bytes = 64MiB\nlocal.retention.ms = -2\n"
                           "[group billing]\nlease.ms = 45s\nbatch.bytes = 1MiB\n")
    done = evlog("apply", path, expect=0, **at)
    assert "retention.ms 604800000" in done.out and "segment.bytes 67108864" in done.out, done.out
    assert "lease.ms 30000 -> 45000" in done.out
    assert evlog("apply", path, expect=0, **at).out == ""
    evlog("topics", "create", "plain", "--set", "retention.ms=1h", "-c", "segment.bytes=1MiB", expect=0, **at)
    evlog("topics", "alter", "orders", "--set", "retention.ms=-1", expect=0, **at)
    evlog("groups", "set", "billing", "lease.ms=1m", "batch.bytes=", expect=0, **at)
    evlog("groups", "create", "other", "--set", "lease.ms=2m", expect=0, **at)
    settings = {line["name"]: line["settings"] for line in
                evlog("topics", "describe", "plain", "orders", "--json", expect=0, **at).lines()}
    assert settings["plain"] == {"retention.ms": "3600000", "segment.bytes": "1048576"}
    assert settings["orders"]["retention.ms"] == "-1"
    path = write(tmp_path, "[group billing]\nlease.ms = 1m\n[group other]\nlease.ms = 120s\n")
    assert evlog("apply", path, "--dry-run", expect=0, **at).out == ""
    path = write(tmp_path, "[topic orders]\nretention.ms = 7 days\n")
    assert "30s, 10m or 7d" in evlog("apply", path, expect=2, **at).err
    evlog("topics", "create", "x", "--set", "retention.ms=soon", expect=1, **at)
    assert broker.stop() == 0


def test_what_has_changed_is_changed_back(secured, tmp_path):
    path = write(tmp_path)
    secured.run("apply", path, "-q", expect=0)
    secured.run("topics", "alter", "orders", "-c", "retention.ms=5000000", expect=0)
    secured.run("acl", "rm", "User:billing", "read", "group", "--confirm=User:billing", expect=0)
    secured.run("user", "passwd", "billing", "--generate", "--iterations", "4096", expect=0)
    path = write(tmp_path, FILE.replace("partitions = 3", "partitions = 4"))
    done = secured.run("apply", path, "--json", expect=0)
    assert [line["text"] for line in done.lines()] == [
        "change topic orders: partitions 3 -> 4", "change topic orders: retention.ms 5000000 -> 604800000",
        "change user billing: mechanisms or iterations, and the password",
        "add rule: allow User:billing read group billing"]
    secured.run("consume", "orders", user="billing", password="Zitrone=7", expect=0)
    write(tmp_path, FILE.replace("partitions = 3", "partitions = 4"), "another one")
    assert secured.run("apply", path, expect=0).out == ""
    assert secured.run("apply", path, "--passwords", expect=0).out == "change user billing: the password\n"
    secured.run("consume", "orders", user="billing", password="another one", expect=0)


def test_nothing_goes_without_prune_and_its_confirmation(secured, tmp_path):
    path = write(tmp_path)
    secured.run("apply", path, "-q", expect=0)
    secured.run("topics", "create", "other", expect=0)
    secured.run("produce", "other", stdin="x\n", expect=0)
    secured.run("topics", "alter", "orders", "-c", "segment.ms=5000000", expect=0)
    secured.make("eve")
    secured.run("acl", "allow", "User:eve", "read", "topic", "*", expect=0)
    assert secured.run("apply", path, expect=0).out == ""
    words = [word for kind in ("settings", "acls", "users", "topics") for word in ("--prune", kind)]
    wanted = ["reset topic orders: segment.ms 5000000 -> the default", "remove rule: allow User:eve read topic *",
              "remove user eve", "remove topic other and its events"]
    assert secured.run("apply", path, *words, "--dry-run", expect=6).out.splitlines() == wanted
    for confirm in ((), ("--confirm=other",)):
        assert "EVL-2006" in secured.run("apply", path, *words, *confirm, expect=2).err
    assert secured.run("consume", "other", expect=0).out == "x\n"
    assert secured.run("apply", path, "--prune", "acls", f"--confirm={path}", expect=0).out.splitlines() == wanted[1:2]
    secured.run("apply", path, *words, f"--confirm={path}", expect=0)
    assert [line["name"] for line in secured.run("topics", "ls", "--json", expect=0).lines()] == ["letters", "orders"]
    assert [line["user"] for line in secured.run("user", "ls", "--json", expect=0).lines()] == ["admin", "billing"]
    assert secured.run("apply", path, *words, expect=0).out == ""


@pytest.mark.parametrize("text, place, said", [
    ("partitions = 3", "1:1", "none has begun"),
    ("[topics orders]", "1:2", "did you mean topic?"),
    ("[topic]", "1:2", "the name of the topic is missing"),
    ("[topic orders", "1:1", "on its own line"),
    ("[topic a]\n[topic b]\n[topic a]", "3:8", "has a section already, in line 1"),
    ("[topic a]\npartitions = many", "2:14", "no whole number"),
    ("[topic a]\npartitions", "2:1", "expected key = value"),
    ("[topic a]\nretention.ms = 1\n retention.ms = 2", "3:2", "set already, in line 2"),
    ("[user a]\npasword.file = x", "2:1", "did you mean password.file?"),
    ("[user a]", "1:7", "has no password.file"),
    ("[user a]\npassword.file = -", "2:17", "the name of a file is missing"),
    ("[user a]\npassword = secret-word", "2:1", 'a user has no "password"'),
    ("[user a]\npassword.file = x\nmechanisms = PLAIN", "3:14", "each once"),
    ("[user a]\npassword.file = x\niterations = 100", "3:14", "4096"),
    ("[acl billing]", "1:6", "did you mean User:billing?"),
    ("[acl User:a]\nalow = read topic t", "2:1", "did you mean allow?"),
    ("[acl User:a]\nallow = read,raed topic t", "2:9", 'no operation "raed"'),
    ("[acl User:a]\nallow = read topc t", "2:14", "did you mean topic?"),
    ("[acl User:a]\nallow = read topic t a*b", "2:22", "at the end of a name"),
    ("[acl User:a]\nallow = read topic", "2:9", "the name of the topic is missing"),
    ("[acl User:a]\nallow = read topic t from", "2:22", "the address behind from is missing"),
    ("[acl User:a]\nallow = alter cluster from", "2:23", "the address behind from is missing"),
    ("[acl User:a]\nallow = read topic t from db.example", "2:27", "is no address"),
    ("[topic a]\nx = \x07", "2:5", "control characters"),
])
def test_mistakes_are_told_with_their_place_without_a_broker(tmp_path, text, place, said):
    path = write(tmp_path, text)
    done = evlog("apply", path, bootstrap="127.0.0.1:1", expect=2)
    assert f"access.conf:{place}: " in done.err and said in done.err and "secret-word" not in done.err


def test_all_mistakes_are_told_at_once_and_a_file_that_is_none(tmp_path):
    path = write(tmp_path, "[topic a]\npartitions = x\n" * 30)
    done = evlog("apply", path, bootstrap="127.0.0.1:1", expect=2)
    assert done.err.count("EVL-2103") == 20 and "mistakes more" in done.err
    evlog("apply", tmp_path / "none", bootstrap="127.0.0.1:1", expect=1)
    binary = tmp_path / "binary"
    binary.write_bytes(b"[topic a]\n\0")
    assert "is no text" in evlog("apply", binary, bootstrap="127.0.0.1:1", expect=2).err


def test_what_only_the_broker_knows_is_told_with_its_place_before_anything_changes(tmp_path):
    broker = start_or_skip(Broker(tmp_path / "data"))
    evlog("topics", "create", "there", "-p", "2", bootstrap=broker.bootstrap, expect=0)
    path = write(tmp_path, "[topic first]\n[topic there]\npartitions = 1\nretenton.ms = 5\n[topic new]\n"
                           "retention.ms = soon\nsegmnt.ms = 5\n[group g]\nlease.ms = 1\n[group h]\n")
    done = evlog("apply", path, bootstrap=broker.bootstrap, expect=2)
    for place, said in (("2:8", "topic there has 2 partitions"), ("4:1", "did you mean 'retention.ms'?"),
                        ("6:1", "retention.ms cannot be 'soon'"), ("7:1", "did you mean 'segment.ms'?"),
                        ("9:1", "lease.ms cannot be '1'"), ("10:8", "group h has no settings")):
        told = [line for line in done.err.splitlines() if f"access.conf:{place}: " in line]
        assert len(told) == 1 and said in told[0], (place, done.err)
    assert [line["name"] for line in evlog("topics", "ls", "--json", bootstrap=broker.bootstrap).lines()] == ["there"]
    path = write(tmp_path, "[topic first]\n[topic a/b]\n[topic .]\n[user u]\npassword.file = absent\n")
    done = evlog("apply", path, bootstrap=broker.bootstrap, expect=2)
    for place, said in (("2:8", "name is not allowed"), ("3:8", "name is not allowed"),
                        ("5:17", "absent: No such file or directory")):
        assert any(f"access.conf:{place}: " in line and said in line for line in done.err.splitlines()), done.err
    assert len(evlog("topics", "ls", "--json", bootstrap=broker.bootstrap).lines()) == 1
    assert broker.stop() == 0


def test_who_lacks_a_right_is_denied(secured, tmp_path):
    path = write(tmp_path)
    secured.make("eve")
    secured.run("apply", path, user="eve", expect=4)
    assert secured.run("topics", "ls", "--json", expect=0).out == ""
