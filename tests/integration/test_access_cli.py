# SPDX-License-Identifier: Apache-2.0
"""Users and rules as an operator keeps them: evlog user and evlog acl.

Goal: what the commands say is what the broker then does; a password is in no word, no message and no log; refusals have
exit code and remedy. Method: a broker with SASL and the authorizer, asked as the users that the commands made.
"""
import base64
import hashlib
import hmac
import itertools
import json
import os
import pty
import select
import socket
import struct
import time

import confluent_kafka
import pytest

from cli_kit import evlog
from evlogd import BIN, Broker, start_or_skip

PASSWORD = "Zitrone=7 im Glas"


def settings(user, password, mechanism="SCRAM-SHA-256"):
    return {"EVLOG_SECURITY_PROTOCOL": "sasl_plaintext", "EVLOG_SASL_MECHANISM": mechanism,
            "EVLOG_SASL_USERNAME": user, "EVLOG_SASL_PASSWORD": password}


class Secured:
    """A broker with the authorizer on, and the password of its super user."""

    def __init__(self, folder):
        self.folder = folder
        self.broker = start_or_skip(Broker(folder / "data", shards=2,
                                           listeners="PLAINTEXT://127.0.0.1:0,SASL_PLAINTEXT://127.0.0.1:0"))
        made = evlog("user", "create", "admin", "--generate",
                     bootstrap=f"127.0.0.1:{self.broker.ports['PLAINTEXT']}", expect=0)
        self.secret = made.out.strip()
        assert len(self.secret) == 32 and self.secret not in made.err
        self.restart("--authorizer=on", "--super-users=User:admin")

    def restart(self, *args):
        assert self.broker.stop() == 0
        self.broker.args = list(args)
        self.broker.start()

    def run(self, *args, user="admin", password=None, mechanism="SCRAM-SHA-256", **options):
        secret = self.secret if user == "admin" and password is None else password or PASSWORD
        return evlog(*args, bootstrap=f"127.0.0.1:{self.broker.ports['SASL_PLAINTEXT']}",
                     env=settings(user, secret, mechanism), **options)

    def make(self, user, *args, password=PASSWORD):
        return self.run("user", "create", user, "--password-file", "-", *args, stdin=password + "\n", expect=0)


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    instance = Secured(tmp_path_factory.mktemp("access"))
    yield instance
    assert instance.broker.stop() == 0, "".join(instance.broker.log[-50:])
    log = "".join(instance.broker.log)
    assert PASSWORD not in log and instance.secret not in log


@pytest.fixture
def name(request):
    return "".join(c if c.isalnum() else "-" for c in request.node.name)[:60]


# --- users


def test_a_user_that_was_made_can_prove_itself_by_both_mechanisms(secured, name):
    secured.make(name)
    for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
        secured.run("topics", "ls", user=name, mechanism=mechanism, expect=0)
    listed = secured.run("user", "ls", name, "--json", expect=0).lines()
    assert listed == [{"user": name, "mechanisms": [{"mechanism": "SCRAM-SHA-256", "iterations": 8192},
                                                    {"mechanism": "SCRAM-SHA-512", "iterations": 8192}]}]
    assert name in secured.run("user", "ls", expect=0).out


def test_another_password_leaves_no_mechanism_with_the_old_one(secured, name):
    secured.make(name)
    secured.run("user", "passwd", name, "--password-file", "-", "--mechanism", "scram-sha-512", "--iterations", "10000",
                stdin="another one", expect=0)
    secured.run("topics", "ls", user=name, password="another one", mechanism="SCRAM-SHA-512", expect=0)
    for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
        secured.run("topics", "ls", user=name, mechanism=mechanism, expect=4)
    assert secured.run("user", "ls", name, "--json", expect=0).lines()[0]["mechanisms"] == [
        {"mechanism": "SCRAM-SHA-512", "iterations": 10000}]
    made = secured.run("user", "passwd", name, "--generate", "--json", expect=0).lines()[0]
    assert made["user"] == name
    secured.run("topics", "ls", user=name, password=made["password"], mechanism="SCRAM-SHA-512", expect=0)


def test_a_user_that_is_removed_is_gone_and_its_rules_are_named(secured, name):
    secured.make(name)
    secured.run("acl", "allow", f"User:{name}", "read", "topic", name, expect=0)
    for args in ((), ("--confirm=other",), ("--no-input",)):
        assert "EVL-2006" in secured.run("user", "rm", name, *args, expect=2).err
    secured.run("topics", "ls", user=name, expect=0)
    done = secured.run("user", "rm", name, f"--confirm={name}", expect=0)
    assert f"1 rules that name it stay: 'evlog acl rm User:{name}'" in done.err
    secured.run("topics", "ls", user=name, expect=4)
    for args in (("user", "ls", name), ("user", "rm", name, f"--confirm={name}"),
                 ("user", "passwd", name, "--generate")):
        assert "EVL-1027" in secured.run(*args, expect=5).err


def test_a_user_that_is_removed_loses_its_connections(secured, name):
    secured.make(name)
    secured.run("topics", "create", name, expect=0)
    secured.run("acl", "allow", f"User:{name}", "write,describe", "topic", name, expect=0)
    producer = confluent_kafka.Producer({
        "bootstrap.servers": f"127.0.0.1:{secured.broker.ports['SASL_PLAINTEXT']}", "log_level": 0,
        "security.protocol": "sasl_plaintext", "sasl.mechanism": "SCRAM-SHA-256", "sasl.username": name,
        "sasl.password": PASSWORD, "message.timeout.ms": 5000, "topic.metadata.refresh.interval.ms": -1})
    outcomes = []
    producer.produce(name, b"before", on_delivery=lambda error, _: outcomes.append(error))
    assert producer.flush(60) == 0 and outcomes == [None]
    secured.run("user", "rm", name, f"--confirm={name}", expect=0)
    producer.produce(name, b"after", on_delivery=lambda error, _: outcomes.append(error))
    assert producer.flush(60) == 0 and outcomes[1] is not None
    assert secured.broker.said("closing the connection: its user was removed")


class Proved:
    """A connection of its own, whose SCRAM exchange has ended well, and which asks for nothing."""

    def __init__(self, broker, user, password, mechanism="SCRAM-SHA-256"):
        self.link = socket.create_connection(("127.0.0.1", broker.ports["SASL_PLAINTEXT"]), 20)
        self.link.settimeout(20)
        hashed = hashlib.sha256 if mechanism == "SCRAM-SHA-256" else hashlib.sha512
        def text(value):
            return struct.pack(">h", len(value)) + value
        assert self.ask(17, 1, text(mechanism.encode()))[:2] == b"\0\0"
        bare = f"n={user},r=abcdefghijklmnop"
        server_first = self.exchange(f"n,,{bare}")
        said = dict(part.split("=", 1) for part in server_first.split(","))
        salted = hashlib.pbkdf2_hmac(hashed().name, password.encode(), base64.b64decode(said["s"]), int(said["i"]))
        client_key = hmac.digest(salted, b"Client Key", hashed)
        without_proof = f"c=biws,r={said['r']}"
        signed = hmac.digest(hashed(client_key).digest(), f"{bare},{server_first},{without_proof}".encode(), hashed)
        proof = bytes(a ^ b for a, b in zip(client_key, signed))
        assert self.exchange(f"{without_proof},p={base64.b64encode(proof).decode()}").startswith("v=")

    def ask(self, key, version, body):
        frame = struct.pack(">hhih", key, version, 7, -1) + body
        self.link.sendall(struct.pack(">i", len(frame)) + frame)
        size, = struct.unpack(">i", self.take(4))
        return self.take(size)[4:]

    def take(self, count):
        data = b""
        while len(data) < count:
            more = self.link.recv(count - len(data))
            if not more:
                raise ConnectionError("closed")
            data += more
        return data

    def exchange(self, message):
        answer = self.ask(36, 0, struct.pack(">i", len(message)) + message.encode())
        code, text_len = struct.unpack_from(">hh", answer)
        assert code == 0, answer
        at = 4 + max(text_len, 0)
        size, = struct.unpack_from(">i", answer, at)
        return answer[at + 4:at + 4 + size].decode()

    def serves(self):
        """Metadata of no topic."""
        return len(self.ask(3, 1, struct.pack(">i", 0))) > 0

    def is_closed(self):
        try:
            return self.link.recv(1) == b""
        except ConnectionResetError:
            return True


@pytest.mark.parametrize("mechanism", ("SCRAM-SHA-256", "SCRAM-SHA-512"))
def test_a_user_that_is_there_again_at_once_is_another_one(secured, mechanism):
    """One of them on each shard, and idle; a password alone leaves them be."""
    name = f"again-{mechanism}"
    secured.make(name)
    idle = [Proved(secured.broker, name, PASSWORD, mechanism) for _ in range(8)]
    secured.run("user", "passwd", name, "--password-file", "-", stdin="another one", expect=0)
    assert all(connection.serves() for connection in idle)
    other = Proved(secured.broker, "admin", secured.secret)
    secured.run("user", "rm", name, f"--confirm={name}", expect=0)
    secured.make(name)
    assert all(connection.is_closed() for connection in idle)
    assert other.serves()
    again = Proved(secured.broker, name, PASSWORD, mechanism)
    assert again.serves()
    for connection in (*idle, other, again):
        connection.link.close()


@pytest.mark.parametrize("password, said", [
    ("", "holds no password"), ("\n", "holds no password"), ("two\nlines", "printable ASCII"),
    ("Glück", "printable ASCII"), ("x" * 1025, "holds no password"), ("a\tb", "printable ASCII"),
], ids=["nothing", "empty line", "two lines", "not ascii", "too long", "control"])
def test_passwords_that_cannot_be_are_refused_before_anything_changes(secured, name, password, said):
    done = secured.run("user", "create", name, "--password-file", "-", stdin=password)
    assert done.code in (1, 2) and said in done.err
    assert not password.strip() or password not in done.err
    secured.run("user", "ls", name, expect=5)


def test_mistakes_of_user_are_told_with_a_remedy(secured, name, tmp_path):
    secured.make(name)
    done = secured.run("user", "create", name, "--generate", expect=6)
    assert "EVL-2101" in done.err and "user passwd" in done.err and done.out == ""
    done = secured.run("user", "create", name + "2", "--mechanism", "SCRAM-SHA-265", "--generate", expect=2)
    assert "did you mean SCRAM-SHA-256?" in done.err
    secured.run("user", "create", name + "2", "--iterations", "100", "--generate", expect=2)
    secured.run("user", "create", name + "2", "--password-file", "-", "--generate", expect=2)
    done = secured.run("user", "create", name + "2", expect=2)
    assert "EVL-2100" in done.err and "--password-file" in done.err
    secured.run("user", "create", name + "2", "--password-file", tmp_path / "none", expect=1)
    file = tmp_path / "password"
    file.write_text(PASSWORD, encoding="ascii")
    file.chmod(0o644)
    assert "everybody may read" in secured.run("user", "create", name + "2", "--password-file", file, expect=2).err
    file.chmod(0o640)
    secured.run("user", "create", name + "2", "--password-file", file, expect=0)
    secured.run("topics", "ls", user=name + "2", expect=0)
    for refused in ("*", "ANONYMOUS"):
        assert secured.run("user", "create", refused, "--generate", expect=1).out == ""


def test_a_password_is_asked_for_twice_without_an_echo(secured, name):
    def ask(*answers):
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(BIN / "evlog", ["evlog", "user", "create", name, "-b",
                                      f"127.0.0.1:{secured.broker.ports['SASL_PLAINTEXT']}"],
                      {**os.environ, **settings("admin", secured.secret)})
        seen = b""
        waiting = list(answers)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    seen += os.read(terminal, 4096)
                except OSError:
                    break
            if waiting and seen.rstrip(b" ").endswith(waiting[0][0]):
                os.write(terminal, waiting.pop(0)[1] + b"\n")
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen

    first = b"Password of " + name.encode() + b":"
    code, seen = ask((first, b"one password"), (b"Once more:", b"another"))
    assert code == 2 and b"the two passwords differ" in seen and b"one password" not in seen
    secured.run("user", "ls", name, expect=5)
    code, seen = ask((first, PASSWORD.encode()), (b"Once more:", PASSWORD.encode()))
    assert code == 0 and PASSWORD.encode() not in seen
    secured.run("topics", "ls", user=name, expect=0)


# --- rules


def test_rules_that_were_added_give_exactly_their_rights(secured, name):
    secured.make(name)
    secured.run("topics", "create", f"{name}-orders", f"{name}-other", expect=0)
    secured.run("produce", f"{name}-orders", stdin="x\n", user=name, expect=4)
    done = secured.run("acl", "allow", f"User:{name}", "write,describe", "topic", f"{name}-ord*", expect=0)
    assert done.out == f"added: allow User:{name} write topic {name}-ord*\n" \
                       f"added: allow User:{name} describe topic {name}-ord*\n"
    secured.run("produce", f"{name}-orders", stdin="x\n", user=name, expect=0)
    secured.run("produce", f"{name}-other", stdin="x\n", user=name, expect=4)
    done = secured.run("acl", "allow", f"User:{name}", "write", "topic", f"{name}-ord*", f"{name}-other", expect=0)
    assert done.out == f"is there: allow User:{name} write topic {name}-ord*\n" \
                       f"added: allow User:{name} write topic {name}-other\n"
    secured.run("produce", f"{name}-other", stdin="x\n", user=name, expect=0)
    secured.run("acl", "deny", f"User:{name}", "all", "topic", f"{name}-other", expect=0)
    secured.run("produce", f"{name}-other", stdin="x\n", user=name, expect=4)
    secured.run("acl", "deny", f"User:{name}", "write", "topic", f"{name}-orders", "--host", "10.0.0.1", expect=0)
    secured.run("produce", f"{name}-orders", stdin="x\n", user=name, expect=0)


def rules(secured, *words):
    return {(r["permission"], r["operation"], r["resource"], r["pattern"], r["name"], r["host"])
            for r in secured.run("acl", "ls", *words, "--json", expect=0).lines()}


def test_rules_are_listed_by_what_the_words_say(secured, name):
    user = f"User:{name}"
    secured.run("acl", "allow", user, "read", "group", "*", expect=0)
    secured.run("acl", "allow", user, "idempotent-write", "cluster", expect=0)
    secured.run("acl", "allow", user, "write", "transactional-id", f"{name}*", expect=0)
    secured.run("acl", "deny", user, "describe_configs,AlterConfigs", "topic", name, "--host", "::1", expect=0)
    secured.run("acl", "allow", user, "read", "group", "a*", "--literal", expect=0)
    group = ("Allow", "Read", "Group", "Literal", "*", "*")
    cluster = ("Allow", "IdempotentWrite", "Cluster", "Literal", "kafka-cluster", "*")
    transactional = ("Allow", "Write", "TransactionalId", "Prefixed", name, "*")
    topic = {("Deny", operation, "Topic", "Literal", name, "::1") for operation in ("DescribeConfigs", "AlterConfigs")}
    starred = ("Allow", "Read", "Group", "Literal", "a*", "*")
    assert rules(secured, user) == {group, cluster, transactional, starred} | topic
    assert rules(secured, user, "any", "topic") == topic
    assert rules(secured, user, "read") == {group, starred}
    assert rules(secured, user, "any", "cluster") == {cluster}
    assert rules(secured, user, "any", "group", "*") == {group}
    assert rules(secured, user, "any", "group", "a*") == set()
    assert rules(secured, user, "any", "group", "b", "--matching") == {group}
    assert rules(secured, user, "any", "group", "a*", "--literal") == {starred}
    assert rules(secured, user, "--deny") == topic and rules(secured, user, "--host", "::1") == topic
    assert rules(secured, "any", "any", "transactional-id", f"{name}-7", "--matching") == {transactional}
    shown = secured.run("acl", "ls", user, expect=0).out
    assert f"{name}*" in shown and "idempotent-write" in shown and "a* (literal)" in shown


def test_an_address_is_one_however_it_is_written(secured, name):
    user = f"User:{name}"
    secured.make(name)
    secured.run("acl", "allow", user, "read,describe", "topic", name, expect=0)
    secured.run("produce", name, "x", "--create", expect=0)
    added = secured.run("acl", "deny", user, "read", "topic", name, "--host", "::ffff:127.0.0.1", expect=0)
    assert added.out == f"added: deny {user} read topic {name} from 127.0.0.1\n"
    secured.run("consume", name, user=name, expect=4)
    asked = secured.run("acl", "explain", user, "read", "topic", name, "--host", "::ffff:7f00:1", expect=4)
    assert f"because a rule denies it: deny {user} read topic {name} from 127.0.0.1" in asked.out
    assert "is no address" in secured.run("acl", "explain", user, "read", "topic", name, "--host", "me", expect=2).err
    again = secured.run("acl", "deny", user, "read", "topic", name, "--host", "127.0.0.1", expect=0)
    assert again.out.startswith("is there: ")
    secured.run("acl", "rm", user, "read", "topic", name, "--host", "::ffff:127.0.0.1", f"--confirm={user}", expect=0)
    secured.run("consume", name, user=name, expect=0)


def test_a_dry_run_changes_nothing_and_says_what_it_would(secured, name):
    user = f"User:{name}"
    done = secured.run("acl", "allow", user, "read", "topic", name, "--dry-run", expect=0)
    assert done.out == f"would add: allow {user} read topic {name}\n" and not rules(secured, user)
    secured.run("acl", "allow", user, "read", "topic", name, "-q", expect=0)
    done = secured.run("acl", "rm", user, "--dry-run", expect=0)
    assert done.out == f"would remove: allow {user} read topic {name}\n" and len(rules(secured, user)) == 1


def test_rules_are_removed_as_shown_and_only_when_confirmed(secured, name):
    user = f"User:{name}"
    secured.run("acl", "allow", user, "read,write", "topic", name, f"{name}*", expect=0)
    done = secured.run("acl", "rm", user, "read", "topic", f"{name}*", expect=2)
    assert "EVL-2006" in done.err and done.out == f"remove: allow {user} read topic {name}*\n"
    assert len(rules(secured, user)) == 4
    secured.run("acl", "rm", user, "read", "topic", f"{name}*", f"--confirm={user}", expect=0)
    assert rules(secured, user) == {("Allow", "Read", "Topic", "Literal", name, "*"),
                                    ("Allow", "Write", "Topic", "Literal", name, "*"),
                                    ("Allow", "Write", "Topic", "Prefixed", name, "*")}
    secured.run("acl", "rm", user, "any", "topic", name, name, f"--confirm={user}", expect=0)
    secured.run("acl", "rm", user, f"--confirm={user}", expect=0)
    assert rules(secured, user) == set()
    done = secured.run("acl", "rm", user, f"--confirm={user}", expect=5)
    assert "EVL-2102" in done.err


@pytest.mark.parametrize("words, said", [
    (("billing", "read", "topic", "x"), "did you mean User:billing?"),
    (("User:", "read", "topic", "x"), "is no principal"),
    (("User:x", "raed", "topic", "x"), "did you mean read?"),
    (("User:x", "read,", "topic", "x"), 'there is no operation ""'),
    (("User:x", "any", "topic", "x"), 'there is no operation "any"'),
    (("User:x", "read", "topics", "x"), "did you mean topic?"),
    (("User:x", "read", "cluster"), "nobody does read to a cluster"),
    (("User:x", "idempotent-write", "topic", "x"), "of a topic there are: all, read, write"),
    (("User:x", "alter", "cluster", "x"), "the cluster has no name"),
    (("User:x", "read", "topic"), "the name of the topic is missing"),
    (("User:x", "read", "topic", "a*b"), "stands at the end of a name"),
    (("User:x", "read", "topic", ""), "1 to 255 bytes"),
    (("User:x", "read", "topic", "x", "--host", "db.example"), "is no address"),
    (("User:x", "read", "topic", "x", "--host", "10.0.0.0/8"), "a rule for each address"),
    (("User:x", "read", "topic", "x", "--host", "10.0.0.07"), "is no address"),
], ids=lambda words: " ".join(words) if isinstance(words, tuple) else None)
def test_mistakes_of_rules_are_told_before_anything_is_sent(secured, words, said):
    done = secured.run("acl", "allow", *words, expect=2)
    assert said in done.err
    assert rules(secured, "User:x") == set()


def test_who_has_no_right_changes_nothing(secured, name):
    secured.make(name)
    before = secured.run("acl", "ls", "--json", expect=0).out, secured.run("user", "ls", "--json", expect=0).out
    secured.run("acl", "allow", f"User:{name}", "all", "cluster", user=name, expect=4)
    secured.run("acl", "rm", "any", "--confirm=any", user=name, expect=4)
    secured.run("user", "create", "another", "--generate", user=name, expect=4)
    secured.run("user", "passwd", "admin", "--generate", user=name, expect=4)
    secured.run("user", "rm", "admin", "--confirm=admin", user=name, expect=4)
    secured.run("acl", "ls", user=name, expect=4)
    secured.run("user", "ls", user=name, expect=4)
    after = secured.run("acl", "ls", "--json", expect=0).out, secured.run("user", "ls", "--json", expect=0).out
    assert before == after


def test_who_may_write_nowhere_is_told_which_right_is_missing(secured, name):
    secured.make(name)
    secured.run("topics", "create", name, expect=0)
    secured.run("acl", "allow", f"User:{name}", "describe", "topic", name, expect=0)
    told = secured.run("produce", name, "x", user=name, expect=4).err
    assert f"it may write to no topic: 'evlog acl allow User:{name} write topic {name}' gives the right" in told


def test_all_is_there_after_the_broker_was_killed(secured, name):
    secured.make(name)
    secured.run("topics", "create", name, expect=0)
    secured.run("acl", "allow", f"User:{name}", "write", "topic", name, expect=0)
    secured.broker.kill()
    secured.broker.start()
    secured.run("produce", name, stdin="x\n", user=name, expect=0)
    secured.run("acl", "rm", f"User:{name}", f"--confirm=User:{name}", expect=0)
    secured.broker.kill()
    secured.broker.start()
    secured.run("produce", name, stdin="x\n", user=name, expect=4)


# --- explain


def test_what_explain_says_is_what_the_broker_does(secured, name):
    secured.make(name)
    user = f"User:{name}"
    topics = [f"{name}-a", f"{name}-b"]
    secured.run("topics", "create", *topics, expect=0)
    steps = [
        ("allow", user, "describe", "topic", f"{name}-*"), ("allow", user, "write", "topic", topics[0]),
        ("allow", "User:*", "all", "topic", topics[1]), ("deny", user, "write", "topic", f"{name}*"),
        ("deny", user, "all", "topic", topics[1], "--host", "10.1.2.3"),
        ("deny", user, "all", "topic", topics[1], "--host", "127.0.0.1"),
    ]
    verdicts = []
    for step in itertools.chain([None], steps):
        if step is not None:
            secured.run("acl", *step, expect=0)
        for topic in topics:
            done = secured.run("acl", "explain", user, "write", "topic", topic, "--host", "127.0.0.1", "--json")
            assert done.code in (0, 4), done.err
            assert done.lines()[0]["allowed"] == (done.code == 0)
            really = secured.run("produce", topic, stdin="x\n", user=name)
            assert really.code == done.code, (step, topic, done.out)
            verdicts.append(done.code)
    assert set(verdicts) == {0, 4}
    shown = secured.run("acl", "explain", user, "write", "topic", topics[0], expect=4)
    assert shown.out == (f"denied: {user} write topic {topics[0]}\n"
                         f"  because a rule denies it: deny {user} write topic {name}*\n"
                         f"  does not decide: allow {user} write topic {topics[0]}\n"
                         f"  does not decide: allow {user} describe topic {name}-*\n")
    secured.run("acl", "rm", "User:*", "--confirm=User:*", expect=0)


def test_explain_knows_super_users_and_defaults_and_own_topics(secured):
    assert "super.users names it" in secured.run("acl", "explain", "User:admin", "alter", "cluster", expect=0).out
    done = secured.run("acl", "explain", "User:nobody", "read", "topic", "nothing-is-about-this", "--json", expect=4)
    assert done.lines()[0]["reason"] == "no rule is about it" and done.lines()[0]["rule"] is None
    secured.run("acl", "allow", "User:own", "read", "topic", "*", expect=0)
    done = secured.run("acl", "explain", "User:own", "read", "topic", "__evlog_offsets", expect=4)
    assert done.out.startswith("allowed: User:own read topic __evlog_offsets")
    assert "denied: User:own cluster-action" in done.out
    secured.run("acl", "rm", "User:own", "--confirm=User:own", expect=0)
    secured.run("acl", "explain", "User:x", "all", "cluster", expect=2)
    secured.run("acl", "explain", "User:x", "read", "cluster", expect=2)


def test_without_the_authorizer_everything_is_allowed_and_rules_are_refused(tmp_path):
    broker = start_or_skip(Broker(tmp_path / "data"))
    done = evlog("acl", "explain", "User:x", "read", "topic", "t", bootstrap=broker.bootstrap, expect=0)
    assert "the authorizer is off" in done.out
    done = evlog("acl", "allow", "User:x", "read", "topic", "t", bootstrap=broker.bootstrap, expect=1)
    assert "authorizer=on" in done.err
    assert json.loads(evlog("user", "ls", "--json", bootstrap=broker.bootstrap, expect=0).out or "null") is None
    assert broker.stop() == 0


def test_no_word_of_a_command_can_hold_a_password():
    for verb in ("create", "passwd"):
        done = evlog("user", verb, "x", "--password", "secret", expect=2)
        assert "has no option --password" in done.err and "secret" not in done.err


def test_who_may_publish_nowhere_learns_it_at_once(secured, name):
    secured.make(name)
    secured.run("topics", "create", name, expect=0)
    secured.run("acl", "allow", f"User:{name}", "describe", "topic", name, expect=0)
    began = time.monotonic()
    done = secured.run("produce", name, stdin="x\n", user=name, expect=4)
    assert time.monotonic() - began < 20 and "evlog acl allow" in done.err
