# SPDX-License-Identifier: Apache-2.0
"""Rights on topics that a request reaches by a detour: of what is emitted, of copies of a redrive, of dead letters.

Goal: no detour leads to a topic that the caller may not write to, and a refusal changes nothing. Method: workers with
all rights but that one, and then with it.
"""
import pytest

from test_access_cli import secured  # noqa: F401


@pytest.fixture
def name(request, secured):
    """A user, its group and its topics, all of one name; it may work on NAME and read all that begins so."""
    given = "".join(c if c.isalnum() else "-" for c in request.node.name)[5:50]
    user = f"User:{given}"
    secured.make(given)
    secured.run("topics", "create", given, f"{given}.out", expect=0)
    secured.run("acl", "allow", user, "read", "topic", f"{given}*", "-q", expect=0)
    secured.run("acl", "allow", user, "read,describe-configs,alter-configs", "group", given, "-q", expect=0)
    secured.run("groups", "create", given, "--start", "earliest", "--set", "retry.backoff.ms=20", expect=0)
    return given


def events(secured, topic):
    return secured.run("consume", topic, expect=0).out.split()


def work(secured, name, *args, expect=None):
    return secured.run("work", name, "-g", name, "--until-caught-up", *args, user=name, expect=expect)


def test_what_a_handler_emits_needs_the_right_to_write(secured, name):
    secured.run("produce", name, stdin="one\n", expect=0)
    secured.run("groups", "set", name, "retry.max.attempts=1", expect=0)
    secured.run("acl", "allow", f"User:{name}", "write", "topic", f"{name}.other", expect=0)
    done = work(secured, name, "--emit", f"{name}.out", "--", "cat", expect=4)
    assert "0 done, 1 failed, 0 refused, 0 events emitted; 1 not emitted: " in done.err, done.err
    assert f"no right to write to {name}.out" in done.err.splitlines()[-1], done.err
    letter = secured.run("dlq", "inspect", f"{name}.{name}.dlq", "--json", expect=0)
    assert f"no right to write to {name}.out" in letter.out
    assert events(secured, f"{name}.out") == []
    secured.run("acl", "allow", f"User:{name}", "write", "topic", f"{name}.out", expect=0)
    secured.run("produce", name, stdin="two\n", expect=0)
    done = work(secured, name, "--emit", f"{name}.out", "--", "cat", expect=0)
    assert "1 events emitted" in done.err and "not emitted" not in done.err, done.err
    assert events(secured, f"{name}.out")[-1] == "two"


def test_copies_of_a_redrive_need_the_right_to_write(secured, name):
    letters = f"{name}.{name}.dlq"
    secured.run("produce", name, stdin="one\n", expect=0)
    work(secured, name, "--", "sh", "-c", "exit 65")
    assert len(events(secured, letters)) > 0
    copy = ("dlq", "redrive", letters, "-g", name, "--to", f"{name}.out")
    assert "EVL-110" in secured.run(*copy, user=name, expect=4).err
    assert events(secured, f"{name}.out") == []
    assert secured.run("dlq", "tasks", "--json", expect=0).out == ""
    secured.run("acl", "allow", f"User:{name}", "write", "topic", f"{name}.out", expect=0)
    secured.run(*copy, user=name, expect=0)
    assert events(secured, f"{name}.out") == ["one"]


def test_who_names_a_topic_of_dead_letters_needs_the_right_to_write(secured, name):
    def chosen():
        done = secured.run("apply", "-", "--dry-run", stdin=f"[group {name}]\ndlq.topic = {name}.out\n")
        return done.code == 0

    change = ("groups", "set", name, f"dlq.topic={name}.out")
    assert "EVL-110" in secured.run(*change, user=name, expect=4).err
    assert not chosen()
    secured.run("acl", "allow", f"User:{name}", "write", "topic", f"{name}.out", expect=0)
    secured.run(*change, user=name, expect=0)
    assert chosen()
