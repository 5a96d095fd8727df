# SPDX-License-Identifier: Apache-2.0
"""Consumer groups as a person meets them: consume -g, and evlog groups.

Goal: every event is read at least once, whatever happens to members and server; offsets are shown and set as they are;
what would hurt a running group is refused. Method: the programs themselves, members killed and stopped, values that are
numbers, so that a gap shows.
"""
import os
import signal
import subprocess
import threading

import pytest

from cli_kit import evlog
from evlogd import BIN, Broker, start_or_skip, wait_for

ARGS = ["--group-initial-rebalance-delay-ms=0", "--group-min-session-timeout-ms=100ms"]


# What is tested is the client: one backend of the server is enough.
@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    instance = start_or_skip(Broker(tmp_path_factory.mktemp("data"), args=ARGS))
    yield instance
    assert instance.stop() == 0, "".join(instance.log[-50:])


@pytest.fixture
def fresh_broker(tmp_path):
    instance = start_or_skip(Broker(tmp_path / "data", args=ARGS))
    yield instance
    if instance.process is not None:
        instance.stop()


class Member:
    """evlog consume -g --follow in the background; what it printed is in lines."""

    def __init__(self, bootstrap, topic, group, *args):
        self.lines = []
        self.errors = []
        self.process = subprocess.Popen([str(BIN / "evlog"), "consume", topic, "-g", group, "--follow", "-v", "-b",
                                         bootstrap, "-X", "heartbeat.interval.ms=200", *args],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for pipe, into in ((self.process.stdout, self.lines), (self.process.stderr, self.errors)):
            threading.Thread(target=self._collect, args=(pipe, into), daemon=True).start()

    @staticmethod
    def _collect(pipe, into):
        for line in pipe:
            into.append(line.rstrip("\n"))

    def held(self):
        """Partitions by what it was told."""
        held = set()
        for line in list(self.errors):
            words = line.split()
            if words[0] == "assigned":
                held.add(words[1])
            elif words[0] in ("revoked", "lost"):
                held.discard(words[1])
        return held

    def stop(self, sig=signal.SIGINT):
        self.process.send_signal(sig)
        code = self.process.wait(timeout=60)
        self.process.stdout.close()
        self.process.stderr.close()
        return code


@pytest.fixture
def member():
    members = []

    def start(*args):
        members.append(Member(*args))
        return members[-1]

    yield start
    for instance in members:
        if instance.process.poll() is None:
            instance.process.kill()
            instance.process.wait()


def publish(bootstrap, topic, numbers):
    lines = "".join(f"{n}:{n}\n" for n in numbers)
    evlog("produce", topic, "-K:", "-q", bootstrap=bootstrap, stdin=lines, expect=0)


def consume(bootstrap, topic, group, *args):
    out = evlog("consume", topic, "-g", group, *args, bootstrap=bootstrap, expect=0).out
    return sorted(int(line) for line in out.splitlines())


def make(bootstrap, topic, partitions=3):
    evlog("topics", "create", topic, "-p", partitions, "-q", bootstrap=bootstrap, expect=0)


# --- refusals


def test_what_is_not_there_is_told(broker, topic):
    for verb in ("describe", "lag"):
        result = evlog("groups", verb, "nobody", bootstrap=broker.bootstrap, expect=5)
        assert "EVL-1057" in result.err and "groups ls" in result.err
    evlog("groups", "rm", "nobody", "--confirm=nobody", bootstrap=broker.bootstrap, expect=5)
    evlog("groups", "seek", "nobody", "--to", "end", bootstrap=broker.bootstrap, expect=5)
    evlog("groups", "seek", "nobody", "--to", "end", "-t", "no-such-topic", bootstrap=broker.bootstrap, expect=5)
    evlog("consume", "no-such-topic", "-g", "nobody", bootstrap=broker.bootstrap, expect=5)


def test_a_group_with_members_is_not_moved_and_not_removed(broker, topic, member):
    make(broker.bootstrap, topic)
    publish(broker.bootstrap, topic, range(30))
    group = topic + "-g"
    reader = member(broker.bootstrap, topic, group)
    wait_for(lambda: len(reader.lines) == 30, "30 events")
    before = evlog("groups", "lag", group, "--trend", "0", "--json", bootstrap=broker.bootstrap, expect=0)
    for args in (("seek", group, "--to", "start"), ("rm", group, f"--confirm={group}")):
        result = evlog("groups", *args, bootstrap=broker.bootstrap, expect=6)
        assert "EVL-2016" in result.err and "stop the members" in result.err
    assert reader.stop() == 130
    after = evlog("groups", "lag", group, "--trend", "0", "--json", bootstrap=broker.bootstrap, expect=0)
    assert [line["topic"] for line in before.lines()] == [line["topic"] for line in after.lines()]
    assert sum(line["lag"] for line in after.lines()) == 0


def test_removing_wants_the_name_once_more(broker, topic):
    make(broker.bootstrap, topic)
    publish(broker.bootstrap, topic, range(3))
    assert consume(broker.bootstrap, topic, topic) == [0, 1, 2]
    for args in ((), ("--confirm=other",), ("--no-input",)):
        result = evlog("groups", "rm", topic, *args, bootstrap=broker.bootstrap, expect=2)
        assert "EVL-2006" in result.err
    evlog("groups", "rm", topic, f"--confirm={topic}", bootstrap=broker.bootstrap, expect=0)
    evlog("groups", "describe", topic, bootstrap=broker.bootstrap, expect=5)


# --- reading


def test_a_group_goes_on_where_it_stopped(broker, topic):
    make(broker.bootstrap, topic)
    publish(broker.bootstrap, topic, range(1000))
    assert consume(broker.bootstrap, topic, topic) == list(range(1000))
    assert consume(broker.bootstrap, topic, topic) == []
    publish(broker.bootstrap, topic, range(1000, 1010))
    assert consume(broker.bootstrap, topic, topic) == list(range(1000, 1010))
    assert len(consume(broker.bootstrap, topic, topic + "-other", "-n", "7")) == 7
    assert len(consume(broker.bootstrap, topic, topic + "-other")) == 1003


def test_several_topics_and_a_prefix(broker, topic):
    make(broker.bootstrap, topic + ".a", 1)
    make(broker.bootstrap, topic + ".b", 2)
    publish(broker.bootstrap, topic + ".a", range(10))
    publish(broker.bootstrap, topic + ".b", range(10, 20))
    assert consume(broker.bootstrap, topic + ".*", topic + "-prefix") == list(range(20))
    evlog("consume", topic + ".a", topic + ".b", "-g", topic + "-both", bootstrap=broker.bootstrap, expect=0)


def test_members_share_and_take_over(broker, topic, member):
    make(broker.bootstrap, topic, 4)
    first = member(broker.bootstrap, topic, topic)
    wait_for(lambda: len(first.held()) == 4, "the first member to hold all")
    second = member(broker.bootstrap, topic, topic)
    wait_for(lambda: len(first.held()) == 2 and len(second.held()) == 2, "two partitions each")
    assert not first.held() & second.held()
    info = evlog("groups", "describe", topic, "--json", bootstrap=broker.bootstrap, expect=0).lines()[0]
    assert info["state"] == "Stable" and info["strategy"] == "cooperative-sticky"
    assert sorted(len(m["partitions"]) for m in info["members"]) == [2, 2]
    publish(broker.bootstrap, topic, range(500))
    wait_for(lambda: len(first.lines) + len(second.lines) == 500, "500 events")
    assert sorted(map(int, first.lines + second.lines)) == list(range(500))
    assert second.stop() == 130
    wait_for(lambda: len(first.held()) == 4, "the first member to take over")
    publish(broker.bootstrap, topic, range(500, 600))
    wait_for(lambda: len(first.lines) + len(second.lines) == 600, "100 more events")
    assert first.stop() == 130
    assert sorted(map(int, first.lines + second.lines)) == list(range(600))


def test_a_killed_member_loses_nothing(broker, topic, member):
    make(broker.bootstrap, topic, 4)
    session = ("-X", "session.timeout.ms=2000")
    victim = member(broker.bootstrap, topic, topic, *session)
    other = member(broker.bootstrap, topic, topic, *session)
    wait_for(lambda: len(victim.held()) == 2 and len(other.held()) == 2, "two partitions each")
    publish(broker.bootstrap, topic, range(200))
    wait_for(lambda: victim.lines and other.lines, "both to read")
    victim.stop(signal.SIGKILL)
    publish(broker.bootstrap, topic, range(200, 400))
    wait_for(lambda: set(map(int, victim.lines + other.lines)) == set(range(400)), "every event")
    assert other.stop() == 130


def test_members_go_on_through_a_restart_of_the_server(fresh_broker, member):
    port = fresh_broker.port
    make(fresh_broker.bootstrap, "t", 3)
    reader = member(fresh_broker.bootstrap, "t", "g", "-X", "reconnect.backoff.max.ms=100")
    publish(fresh_broker.bootstrap, "t", range(100))
    wait_for(lambda: len(reader.lines) == 100, "100 events")
    fresh_broker.kill()
    fresh_broker.listen = f"127.0.0.1:{port}"
    fresh_broker.start()
    publish(fresh_broker.bootstrap, "t", range(100, 200))
    wait_for(lambda: set(map(int, reader.lines)) == set(range(200)), "all events behind the restart")
    assert reader.stop() == 130
    assert consume(fresh_broker.bootstrap, "t", "g") == []


def test_two_programs_with_one_instance_id(broker, topic, member):
    make(broker.bootstrap, topic, 2)
    first = member(broker.bootstrap, topic, topic, "-X", "group.instance.id=one")
    wait_for(lambda: len(first.held()) == 2, "the first to hold all")
    second = member(broker.bootstrap, topic, topic, "-X", "group.instance.id=one")
    wait_for(lambda: first.process.poll() is not None, "the first to end")
    assert first.process.returncode == 1
    wait_for(lambda: any("group.instance.id=one" in line for line in first.errors), "the reason")
    wait_for(lambda: len(second.held()) == 2, "the second to hold all")
    assert second.stop() == 130


def test_the_first_of_several_servers_may_be_dead(broker, topic):
    make(broker.bootstrap, topic)
    publish(broker.bootstrap, topic, range(5))
    assert consume(f"127.0.0.1:1,{broker.bootstrap}", topic, topic) == list(range(5))


# --- offsets


def test_lag_counts_events_and_time(broker, topic):
    make(broker.bootstrap, topic, 2)
    publish(broker.bootstrap, topic, range(20))
    consume(broker.bootstrap, topic, topic)
    publish(broker.bootstrap, topic, range(20, 50))
    lines = evlog("groups", "lag", topic, "--trend", "100ms", "--json", bootstrap=broker.bootstrap, expect=0).lines()
    assert sum(line["lag"] for line in lines) == 30
    for line in lines:
        assert line["end"] - line["committed"] == line["lag"]
        assert line["trend"] == "steady" and line["member"] is None
        assert 0 <= line["lag_seconds"] < 600
    consume(broker.bootstrap, topic, topic)
    lines = evlog("groups", "lag", topic, "--trend", "0", "--json", bootstrap=broker.bootstrap, expect=0).lines()
    assert all(line["lag"] == 0 and line["lag_seconds"] == 0 and "trend" not in line for line in lines)
    plain = evlog("groups", "lag", topic, "--plain", "-q", bootstrap=broker.bootstrap, expect=0)
    assert len(plain.out.splitlines()) == 2 and plain.out.count("\t") == 14 and plain.err == ""


def test_seek_shows_and_then_does(broker, topic):
    make(broker.bootstrap, topic, 1)
    publish(broker.bootstrap, topic, range(100))
    consume(broker.bootstrap, topic, topic)
    for args, to in ((("--to", "start"), 0), (("--to", "10"), 10), (("--to", "-5"), 95), (("--to", "+7"), 7),
                     (("--to", "@0"), 0), (("--to", "end"), 100), (("--shift", "-30"), 70), (("--to", "1000"), 100)):
        line, = evlog("groups", "seek", topic, *args, "--dry-run", "--json", bootstrap=broker.bootstrap,
                      expect=0).lines()
        assert (line["from"], line["to"], line["done"]) == (100, to, False)
    assert consume(broker.bootstrap, topic, topic) == []
    evlog("groups", "seek", topic, "--to", "-5", bootstrap=broker.bootstrap, expect=0)
    assert consume(broker.bootstrap, topic, topic) == list(range(95, 100))
    # A group that is not there yet begins where it is told.
    evlog("groups", "seek", topic + "-new", "--to", "90", "-t", topic, bootstrap=broker.bootstrap, expect=0)
    assert consume(broker.bootstrap, topic, topic + "-new") == list(range(90, 100))


def test_groups_are_listed(broker, topic):
    make(broker.bootstrap, topic, 1)
    publish(broker.bootstrap, topic, range(1))
    consume(broker.bootstrap, topic, topic)
    names = [line["group"] for line in evlog("groups", "ls", "--json", bootstrap=broker.bootstrap, expect=0).lines()]
    assert topic in names and names == sorted(names)
    row, = [line for line in evlog("groups", "ls", "--plain", bootstrap=broker.bootstrap, expect=0).out.splitlines()
            if line.startswith(topic + "\t")]
    assert row.split("\t")[1] == "Empty"


def test_a_closed_pipe_commits_nothing_that_was_not_written(broker, topic):
    make(broker.bootstrap, topic, 1)
    publish(broker.bootstrap, topic, range(50))
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run([str(BIN / "evlog"), "consume", topic, "-g", topic, "-b", broker.bootstrap], stdout=write_end,
                          stderr=subprocess.PIPE, timeout=60)
    os.close(write_end)
    assert done.returncode == 1 and b"EVL-2011" in done.stderr
    assert consume(broker.bootstrap, topic, topic) == list(range(50))
