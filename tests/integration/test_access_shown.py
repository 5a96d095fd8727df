# SPDX-License-Identifier: Apache-2.0
"""What a command does not show for want of a right.

Goal: nothing is left out in silence where the caller knows that it is there: it is said on stderr, how many, and which
right is missing; what is shown stays as clean as ever. Method: callers with all rights but that one, and then with it.
"""
import json

import confluent_kafka
import pytest

from evlogd import wait_for
from test_access_cli import secured  # noqa: F401


@pytest.fixture
def name(request, secured):
    """A user without a right."""
    given = "".join(c if c.isalnum() else "-" for c in request.node.name)[5:50]
    secured.make(given)
    return given


class Member:
    """A member of a group, as the super user, that reads all of some topics."""

    def __init__(self, secured, group, topics):
        self.consumer = confluent_kafka.Consumer({
            "bootstrap.servers": f"127.0.0.1:{secured.broker.ports['SASL_PLAINTEXT']}", "log_level": 0,
            "security.protocol": "sasl_plaintext", "sasl.mechanism": "SCRAM-SHA-256", "sasl.username": "admin",
            "sasl.password": secured.secret, "group.id": group, "auto.offset.reset": "earliest"})
        self.consumer.subscribe(topics)

        def reads():
            self.consumer.poll(0.1)
            return self.consumer.assignment()
        wait_for(reads, "the assignment")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.consumer.close()


def test_lag_tells_what_a_group_reads_and_the_caller_may_not_see(secured, name):
    user, hidden = f"User:{name}", f"{name}-hidden"
    secured.run("topics", "create", name, expect=0)
    secured.run("topics", "create", hidden, "-p", "3", expect=0)
    secured.run("produce", name, "one", expect=0)
    secured.run("acl", "allow", user, "describe", "group", name, expect=0)
    with Member(secured, name, [name, hidden]):
        lag = ("groups", "lag", name, "--trend", "0")
        done = secured.run(*lag, user=name, expect=4)
        assert f"1 partitions of topic {name} that group {name} reads are not shown" in done.err
        assert f"3 partitions of topic {hidden} that group {name} reads are not shown" in done.err
        assert f"'evlog acl allow {user} describe topic {hidden}' gives the right" in done.err
        secured.run("acl", "allow", user, "describe", "topic", name, expect=0)
        done = secured.run(*lag, "--json", user=name, expect=7)
        assert [line["topic"] for line in done.lines()] == [name]
        said = json.loads(done.err.splitlines()[-1])
        assert said["error"] == "EVL-2104" and said["text"].startswith(f"3 partitions of topic {hidden} ")
        top = ("top", "--once", "--interval", "100ms")
        (group,) = [line for line in secured.run(*top, "--json", user=name, expect=0).lines() if "group" in line]
        assert group["hidden_partitions"] == 3
        assert "the lag of 1 groups is not whole" in secured.run(*top, user=name, expect=0).err
        assert secured.run(*lag, name, user=name, expect=7).out.count(name) >= 2, "the second is shown as well"
        secured.run("acl", "allow", user, "describe", "topic", hidden, expect=0)
        done = secured.run(*lag, "--json", user=name, expect=0)
        assert len(done.lines()) == 4 and "not shown" not in done.err


def test_lag_of_offsets_that_nobody_may_see_is_not_told_to_be_none(secured, name):
    """That a group has committed something in a topic is told to nobody who may not describe the topic."""
    secured.run("topics", "create", name, expect=0)
    secured.run("produce", name, "one", expect=0)
    secured.run("consume", name, "-g", name, expect=0)
    secured.run("acl", "allow", f"User:{name}", "describe", "group", name, expect=0)
    done = secured.run("groups", "lag", name, "--trend", "0", user=name, expect=0)
    assert "0 events behind" not in done.err and "no readers in topics that you may describe" in done.err
    assert "0 events behind" in secured.run("groups", "lag", name, "--trend", "0", expect=0).err


def test_lag_needs_no_right_to_read(secured, name):
    """The age of the first event behind takes a look at it: without the right it is not known."""
    secured.run("topics", "create", name, expect=0)
    secured.run("produce", name, "one", expect=0)
    secured.run("consume", name, "-g", name, expect=0)
    secured.run("produce", name, "two", expect=0)
    for kind in ("group", "topic"):
        secured.run("acl", "allow", f"User:{name}", "describe", kind, name, expect=0)
    done = secured.run("groups", "lag", name, "--trend", "0", "--json", user=name, expect=0)
    (line,) = done.lines()
    assert line["lag"] == 1 and line["lag_seconds"] is None
    assert f"age of 1 partitions is not known: 'evlog acl allow User:{name} read topic {name}'" in done.err
    assert secured.run("groups", "lag", name, "--trend", "0", "--json", expect=0).lines()[0]["lag_seconds"] >= 0


def test_what_has_become_of_letters_is_unknown_and_not_open(secured, name):
    user, letters = f"User:{name}", f"{name}.{name}.dlq"
    secured.run("topics", "create", name, expect=0)
    secured.run("groups", "create", name, "--start", "earliest", "--set", "retry.max.attempts=1", expect=0)
    secured.run("produce", name, stdin="one\ntwo\n", expect=0)
    secured.run("work", name, "-g", name, "--until-caught-up", "--", "sh", "-c", "exit 65")
    secured.run("dlq", "drop", letters, "-g", name, f"--confirm={letters}", expect=0)
    wait_for(lambda: secured.run("dlq", "inspect", letters, "--open", "--json", expect=0).out == "", "the drop")
    secured.run("acl", "allow", user, "read", "topic", letters, expect=0)
    said = "what has become of 2 letters is not known: "
    done = secured.run("dlq", "inspect", letters, "--json", user=name, expect=0)
    assert [line["state"] for line in done.lines()] == ["unknown"] * 2
    assert said + f"'evlog acl allow {user} describe group {name}' gives the right" in done.err
    done = secured.run("dlq", "inspect", letters, "--open", "--json", user=name, expect=0)
    assert len(done.lines()) == 2 and said in done.err, "who asks for the open ones gets what may be open"
    done = secured.run("dlq", "stats", letters, "--json", user=name, expect=0)
    (line,) = done.lines()
    assert (line["events"], line["open"], line["unknown"]) == (2, 0, 2) and said in done.err
    done = secured.run("dlq", "ls", "--json", user=name, expect=0)
    (line,) = [line for line in done.lines() if line["topic"] == letters]
    assert "open" not in line and "what is open in 1 of them is not known" in done.err
    secured.run("acl", "allow", user, "describe", "group", name, expect=0)
    done = secured.run("dlq", "inspect", letters, "--json", user=name, expect=0)
    assert [line["state"] for line in done.lines()] == ["dropped"] * 2 and "not known" not in done.err
    (line,) = secured.run("dlq", "stats", letters, "--json", user=name, expect=0).lines()
    assert line["open"] == 0 and "unknown" not in line
