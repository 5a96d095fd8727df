# SPDX-License-Identifier: Apache-2.0
"""Which rights each command of evlog needs: the table of docs/security.md, row by row.

Goal: the rights of a row are enough, each of them is necessary, and a denial ends with exit code 4, says which right is
missing and how it is given, and has changed nothing. Method: an ordinary user on a broker with everything in it that
commands are about; each command is run without one of its rights after the other, and then with all.
"""
import os
import re
import signal
import subprocess

import pytest

from cli_kit import evlog
from evlogd import BIN, ROOT, Broker, start_or_skip
from kafka_layouts import ask
from kafka_wire import Connection
from test_access_cli import settings

PASSWORD = "Zitrone=7 im Glas"
USER = "User:worker"
OPERATIONS = {"read": 3, "write": 4, "create": 5, "delete": 6, "alter": 7, "describe": 8, "describe-configs": 10,
              "alter-configs": 11}
RESOURCES = {"topic": 2, "group": 3, "cluster": 4}
RIGHT = re.compile(r"`([a-z-]+ (?:topic [^ `]+|group [^ `]+|cluster))`")
INCLUDED = {"describe": ("read", "write", "delete", "alter"), "describe-configs": ("alter-configs",)}
METADATA, LIST_OFFSETS, DESCRIBE_ACLS, CREATE_ACLS, DELETE_ACLS, DESCRIBE_CONFIGS = 3, 2, 29, 30, 31, 32
SAGA_STUCK = ('{"status":"running","event":{"hash":"00ff","type":"OrderPlaced","id":"i1","topic":"t","partition":0,'
              '"offset":0,"time_ms":5,"key":"o","data":"{}"},"reason":"x","correlation":"c"}')
PROJECTION = "-- name: p\n-- topics: t\n-- setup\nCREATE TABLE r (k TEXT);\n-- on *\nINSERT INTO r VALUES (:key);\n"
APPLIED = ("[topic t]\nretention.ms = 7d\n[group g]\nlease.ms = 41s\n[quota user x]\nrequest_percentage = 70\n"
           "[acl User:x]\nallow = describe topic z\n")

# Words of a row of the table: what is run, and what its names stand for. {dir} is a folder of the test's own. A command
# that does one thing after the other may have done the first of them: partial.
HERE = {"TOPIC": "t", "GROUP": "g"}
STREAM = {"TOPIC": "s"}
BENCH = {"TOPIC": "b"}
COMMANDS = {
    "topics ls": (["topics", "ls"], {}), "groups ls": (["groups", "ls"], {}), "dlq ls": (["dlq", "ls"], {}),
    "dlq tasks": (["dlq", "tasks"], {}), "top": (["top", "--once", "-i", "100ms"], {}),
    "produce TOPIC": (["produce", "t", "x"], HERE),
    "append TOPIC KEY": (["append", "s", "k", "--type", "A", "--data", "{}"], STREAM),
    "bench produce TOPIC": (["bench", "produce", "b", "--count", "1"], BENCH),
    "bench latency TOPIC": (["bench", "latency", "b", "--count", "1"], BENCH),
    "bench append TOPIC": (["bench", "append", "s", "--count", "1"], STREAM),
    "produce TOPIC --create": (["produce", "made", "x", "--create"], {"TOPIC": "made"}, "partial"),
    "consume TOPIC": (["consume", "t"], HERE), "tail TOPIC": (["tail", "t"], HERE, "endless"),
    "read TOPIC KEY": (["read", "s", "k"], STREAM), "subscribe TOPIC": (["subscribe", "s"], STREAM, "endless"),
    "streams ls TOPIC": (["streams", "ls", "s"], STREAM), "streams top TOPIC": (["streams", "top", "s"], STREAM),
    "topics export TOPIC FILE": (["topics", "export", "t", "{dir}/export"], HERE),
    "trace ID -t TOPIC": (["trace", "t/0/0", "-t", "t"], HERE),
    "replay TOPIC": (["replay", "t", "--until", "now"], HERE),
    "table TOPIC": (["table", "c"], {"TOPIC": "c"}), "diff TOPIC TIME TIME": (["diff", "t", "@1", "now"], HERE),
    "blame TOPIC KEY": (["blame", "t", "a"], HERE),
    "bisect TOPIC": (["bisect", "t", "--good", "@1", "--bad", "now", "--", "sh", "-c", "! grep -q a"], HERE),
    "bench consume TOPIC": (["bench", "consume", "b"], BENCH), "bench replay TOPIC": (["bench", "replay", "b"], BENCH),
    "consume TOPIC -g GROUP": (["consume", "t", "-g", "cg"], {"TOPIC": "t", "GROUP": "cg"}),
    "work TOPIC -g GROUP": (["work", "w", "-g", "w1", "--until-caught-up", "--", "true"],
                            {"TOPIC": "w", "GROUP": "w1"}),
    "work TOPIC -g GROUP --set NAME=VALUE":
        (["work", "w", "-g", "w2", "--set", "start=earliest", "--until-caught-up", "--", "true"],
         {"TOPIC": "w", "GROUP": "w2"}, "partial"),
    "work TOPIC -g GROUP --emit TARGET":
        (["work", "w", "-g", "w3", "--until-caught-up", "--emit", "out", "--", "cat"],
         {"TOPIC": "w", "GROUP": "w3", "TARGET": "out"}, "partial"),
    "bench e2e TOPIC": (["bench", "e2e", "b", "--count", "1"], BENCH, "partial"),
    "streams delete TOPIC KEY": (["streams", "delete", "s", "gone", "--confirm=gone"], STREAM),
    "topics rm TOPIC": (["topics", "rm", "rm", "--confirm=rm"], {"TOPIC": "rm"}),
    "snapshot get TOPIC KEY": (["snapshot", "get", "s", "k"], STREAM),
    "snapshot put TOPIC KEY": (["snapshot", "put", "s", "k", "--data", "{}"], STREAM),
    "snapshot rm TOPIC KEY": (["snapshot", "rm", "s", "k"], STREAM),
    "saga ls NAME": (["saga", "ls", "pay"], {"NAME": "pay"}),
    "saga show NAME ID": (["saga", "show", "pay", "o"], {"NAME": "pay"}),
    "saga retry NAME ID": (["saga", "retry", "pay", "o"], {"NAME": "pay"}),
    "saga cancel NAME ID": (["saga", "cancel", "pay", "o"], {"NAME": "pay"}),
    "topics create TOPIC": (["topics", "create", "created"], {"TOPIC": "created"}),
    "topics describe TOPIC": (["topics", "describe", "t"], HERE),
    "topics alter TOPIC --set NAME=VALUE": (["topics", "alter", "t", "--set", "retention.ms=8d"], HERE),
    "topics alter TOPIC -p N": (["topics", "alter", "c", "-p", "2"], {"TOPIC": "c"}),
    "topics copy SOURCE TARGET": (["topics", "copy", "t", "copy"], {"SOURCE": "t", "TARGET": "copy"}),
    "topics import FILE TOPIC": (["topics", "import", "{dir}/import", "imported"], {"TOPIC": "imported"}),
    "replay TOPIC --to topic:TARGET": (["replay", "w", "--to", "topic:again"], {"TOPIC": "w", "TARGET": "again"},
                                       "partial"),
    "project run FILE.sql": (["project", "run", "{dir}/p.sql", "--db", "sqlite:{dir}/p.db", "--until-caught-up"], HERE),
    "project rebuild FILE.sql": (["project", "rebuild", "{dir}/p.sql", "--db", "sqlite:{dir}/p.db"], HERE),
    "project verify FILE.sql": (["project", "verify", "{dir}/p.sql", "--db", "sqlite:{dir}/p.db"], HERE),
    "groups describe GROUP": (["groups", "describe", "cg"], {"GROUP": "cg"}),
    "groups lag GROUP": (["groups", "lag", "cg", "--trend", "0"], {"GROUP": "cg"}),
    "groups seek GROUP -t TOPIC": (["groups", "seek", "cg", "-t", "t", "--to", "start"], {"GROUP": "cg", "TOPIC": "t"}),
    "groups release GROUP -t TOPIC": (["groups", "release", "halts", "-t", "w"], {"GROUP": "halts", "TOPIC": "w"}),
    "groups rm GROUP": (["groups", "rm", "rm", "--confirm=rm"], {"GROUP": "rm"}),
    "groups create GROUP": (["groups", "create", "new"], {"GROUP": "new"}),
    "groups set GROUP NAME=VALUE": (["groups", "set", "g", "lease.ms=42s"], HERE),
    "groups why GROUP KEY -t TOPIC": (["groups", "why", "g1", "a", "-t", "w"], {"GROUP": "g1", "TOPIC": "w"}),
    "dlq inspect LETTERS": (["dlq", "inspect", "w.g1.dlq"], {"LETTERS": "w.g1.dlq"}),
    "dlq stats LETTERS": (["dlq", "stats", "w.g1.dlq"], {"LETTERS": "w.g1.dlq"}),
    "dlq redrive LETTERS": (["dlq", "redrive", "w.g1.dlq", "-g", "g1"], {"LETTERS": "w.g1.dlq", "GROUP": "g1"}),
    "dlq drop LETTERS": (["dlq", "drop", "w.g2.dlq", "-g", "g2", "--confirm=w.g2.dlq"],
                         {"LETTERS": "w.g2.dlq", "GROUP": "g2"}),
    "dlq redrive LETTERS --to TARGET": (["dlq", "redrive", "w.g3.dlq", "-g", "g3", "--to", "out"],
                                        {"LETTERS": "w.g3.dlq", "GROUP": "g3", "TARGET": "out"}),
    "dlq cancel ID": (["dlq", "cancel", "1"], {"GROUP": "g4"}, "ended"),
    "dlq release TOPIC KEY -g GROUP": (["dlq", "release", "w", "a", "-g", "parks"],
                                       {"TOPIC": "w", "GROUP": "parks", "LETTERS": "w.parks.dlq"}),
    "quota ls": (["quota", "ls"], {}), "quota set": (["quota", "set", "--user", "x", "request_percentage=50"], {}),
    "quota rm": (["quota", "rm", "--user", "x"], {}), "config get": (["config", "get"], {}),
    "config set NAME=VALUE": (["config", "set", "max.connections=9000"], {}),
    "archive status": (["archive", "status"], {}), "archive now": (["archive", "now"], {}),
    "user ls": (["user", "ls"], {}), "user create NAME": (["user", "create", "x", "--generate"], {}),
    "user passwd NAME": (["user", "passwd", "x", "--generate"], {}),
    "user rm NAME": (["user", "rm", "x", "--confirm=x"], {}),
    "acl ls": (["acl", "ls"], {}), "acl allow": (["acl", "allow", "User:x", "read", "topic", "x"], {}),
    "acl deny": (["acl", "deny", "User:x", "read", "topic", "y"], {}),
    "acl rm": (["acl", "rm", "User:x", "--confirm=User:x"], {}),
    "acl explain": (["acl", "explain", "User:x", "read", "topic", "t", "--plain"], {}, "answers 4"),
    "redact TOPIC": (["redact", "w", "-p", "0", "--offsets", "0-0", "--reason", "x", "--confirm=w"], {}),
    "erase SUBJECT": (["erase", "Ada", "--now", "--confirm=Ada", "--keys", "{dir}/keys", "--master", "{dir}/master"],
                      {}),
    "erase SUBJECT --report": (["erase", "Eve", "--report", "--keys", "{dir}/keys", "--master", "{dir}/master"], {}),
    "audit tail": (["audit", "tail"], {}),
    "apply FILE": (["apply", "{dir}/applied.conf", "--dry-run"], HERE, "differs"),
}


# --- the table ----------------------------------------------------------------------------------------------------


def rows():
    """{command: rights that it needs, as "read topic TOPIC"} of the table."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    section = text.split("### What each command needs\n")[1].split("\n### ")[0]
    found = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            for command in re.findall(r"`([^`]+)`", cells[0]):
                found[command] = RIGHT.findall(cells[1].split(";")[0])
    return found


ROWS = rows()


def test_the_table_has_every_command():
    """Each of evlog help is in a row, or in the sentence behind the table that lists what asks no broker."""
    assert set(ROWS) == set(COMMANDS)
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    rest = text.split("### What each command needs\n")[1].split("\n### ")[0].split("\n\n")[-1]
    named = {" ".join(words[0]) for words in COMMANDS.values()}
    for line in evlog("help", expect=0).out.splitlines():
        match = re.match(r"  ([a-z-]+(?: [a-z-]+)?)  ", line)
        if match and not any(name.startswith(match[1]) for name in named):
            words = {match[1], match[1].split()[0], match[1].split()[-1]}
            assert any(f"`{word}`" in rest for word in words), match[1]


# --- the broker ---------------------------------------------------------------------------------------------------


class Place:
    """A broker with everything that commands are about. On the plain listener everybody may everything."""

    def __init__(self, folder):
        self.folder = folder
        self.broker = start_or_skip(Broker(
            folder / "data", listeners="PLAINTEXT://127.0.0.1:0,SASL_PLAINTEXT://127.0.0.1:0",
            args=["--authorizer=on", "--super-users=User:ANONYMOUS", f"--archive=file://{folder / 'archive'}",
                  "--group-initial-rebalance-delay-ms=0"]))
        self.conn = Connection("127.0.0.1", self.broker.ports["PLAINTEXT"])
        self.fill()

    def su(self, *args, **options):
        return evlog(*args, bootstrap=f"127.0.0.1:{self.broker.ports['PLAINTEXT']}",
                     **{"expect": 0, **options})

    def run(self, argv):
        words = [word.replace("{dir}", str(self.folder)) for word in argv]
        return evlog(*words, bootstrap=f"127.0.0.1:{self.broker.ports['SASL_PLAINTEXT']}",
                     env=settings("worker", PASSWORD))

    def go_on(self, argv, env, listener, **options):
        return subprocess.Popen(
            [BIN / "evlog", *argv], **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options},
            env={**os.environ, **env, "EVLOG_BOOTSTRAP__SERVERS": f"127.0.0.1:{self.broker.ports[listener]}"})

    def fill(self):
        su, folder = self.su, self.folder
        su("user", "create", "worker", "--password-file", "-", "--iterations", "4096", stdin=PASSWORD + "\n")
        su("topics", "create", "t", "w", "c", "b", "rm", "out", "copy", "imported")
        su("topics", "create", "s", "pay.sagas", "--set", "evlog.streams=true")
        su("topics", "alter", "c", "--set", "cleanup.policy=compact")
        for topic in ("t", "w", "c", "b", "copy", "imported"):
            su("produce", topic, "-k", "a", '{"n":1}')
        su("topics", "rm", "copy", "--confirm=copy")
        su("topics", "copy", "t", "copy")
        su("produce", "t", "-k", "a", '{"n":2}')
        for key in ("k", "gone"):
            su("append", "s", key, "--type", "A", "--data", "{}")
        su("snapshot", "put", "s", "k", "--data", "{}")
        su("append", "pay.sagas", "o", "--type", "evlog.saga.stuck", "--data", SAGA_STUCK)
        for group in ("cg", "rm"):
            su("consume", "t", "-g", group)
        su("topics", "export", "imported", folder / "first")
        lines = (folder / "first").read_text().splitlines()
        (folder / "import").write_text("\n".join([*lines, lines[-1].replace('"offset":0', '"offset":1')]) + "\n")
        for group, more in (("g1", ()), ("g2", ()), ("g3", ()), ("g4", ()), ("parks", ("on.exhausted=park",)),
                            ("halts", ("on.exhausted=halt",))):
            su("groups", "create", group, "--start", "earliest", "--set", "retry.max.attempts=1",
               *[word for setting in more for word in ("--set", setting)])
        for group in ("w1", "w3"):
            su("groups", "create", group, "--start", "earliest")
        su("groups", "create", "g")
        for group in ("g1", "g2", "g3", "g4", "parks"):
            su("work", "w", "-g", group, "--until-caught-up", "--", "false")
        halting = self.go_on(["work", "w", "-g", "halts", "--", "false"], {}, "PLAINTEXT", stdout=subprocess.DEVNULL)
        assert "failed" in halting.stderr.readline()
        halting.send_signal(signal.SIGINT)
        halting.communicate(timeout=20)
        su("dlq", "redrive", "w.g4.dlq", "-g", "g4")
        (folder / "p.sql").write_text(PROJECTION, encoding="ascii")
        (folder / "applied.conf").write_text(APPLIED, encoding="ascii")
        (folder / "master").write_text("ab" * 32 + "\n", encoding="ascii")
        (folder / "master").chmod(0o600)
        keys = ("--keys", folder / "keys", "--master", folder / "master")
        su("keys", "init", *keys[1:])
        for subject in ("Ada", "Eve", "Joe"):
            su("produce", "rm", '{"name":"x"}', "--seal", "name", "--subject", subject, *keys)
        su("erase", "Joe", "--now", "--confirm=Joe", *keys)
        su("quota", "set", "--user", "x", "request_percentage=60")
        su("acl", "allow", "User:x", "describe", "topic", "x")

    def grant(self, rights):
        """The rights of the user become these, at once."""
        filters = [{"ResourceTypeFilter": 1, "ResourceNameFilter": None, "PatternTypeFilter": 1,
                    "PrincipalFilter": USER, "HostFilter": None, "Operation": 1, "PermissionType": 1}]
        assert ask(self.conn, DELETE_ACLS, 3, {"Filters": filters})["FilterResults"][0]["ErrorCode"] == 0
        creations = []
        for right in rights:
            operation, resource, *name = right.split()
            creations.append({"ResourceType": RESOURCES[resource], "ResourceName": name[0] if name else "kafka-cluster",
                              "ResourcePatternType": 3, "Principal": USER, "Host": "*",
                              "Operation": OPERATIONS[operation], "PermissionType": 3})
        if creations:
            results = ask(self.conn, CREATE_ACLS, 3, {"Creations": creations})["Results"]
            assert all(result["ErrorCode"] == 0 for result in results), results

    def state(self):
        """What a command might have changed, but for the rights of the user."""
        topics = {name: count for name, (_, count, internal) in self.conn.metadata(None).items() if not internal}
        asked = [{"Name": name, "Partitions": [
            {"PartitionIndex": index, "CurrentLeaderEpoch": -1, "Timestamp": -1} for index in range(count)]}
            for name, count in topics.items()]
        ends = ask(self.conn, LIST_OFFSETS, 5, {"ReplicaId": -1, "IsolationLevel": 0, "Topics": asked})["Topics"]
        resources = [{"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": None}
                     for kind, name in [(2, name) for name in topics] + [(32, "g"), (32, "new"), (4, "1")]]
        configs = [[config for config in result["Configs"] if config["ConfigSource"] in (1, 2, 8)] for result in ask(
            self.conn, DESCRIBE_CONFIGS, 1, {"Resources": resources, "IncludeSynonyms": False})["Results"]]
        rules = ask(self.conn, DESCRIBE_ACLS, 3, {
            "ResourceTypeFilter": 1, "ResourceNameFilter": None, "PatternTypeFilter": 1, "PrincipalFilter": "User:x",
            "HostFilter": None, "Operation": 1, "PermissionType": 1})["Resources"]
        users = ask(self.conn, 50, 0, {"Users": []})["Results"]
        quotas = ask(self.conn, 48, 1, {"Components": [], "Strict": False})["Entries"]
        offsets = ask(self.conn, 9, 5, {"GroupId": "cg", "Topics": None})["Topics"]
        keys = {path: path.read_bytes() for path in (self.folder / "keys").rglob("*") if path.is_file()}
        return topics, ends, configs, rules, users, quotas, offsets, keys


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    made = Place(tmp_path_factory.mktemp("commands"))
    yield made
    made.conn.close()
    assert made.broker.stop() == 0, "".join(made.broker.log[-50:])


# --- each row -----------------------------------------------------------------------------------------------------


def names_right(told, right):
    """Is the right, or one that it includes, among those that the text says how to give?"""
    operation, *resource = right.split()
    for words in re.findall(r"'evlog acl allow " + USER + r" ([^']+)'", told):
        operations, *named = words.split()
        for given in operations.split(","):
            enough = given == operation or operation in INCLUDED.get(given, ())
            if enough and named in (resource, [resource[0], "NAME"]):
                return True
    return False


@pytest.mark.parametrize("command", [name for name in COMMANDS if "endless" not in COMMANDS[name][2:]])
def test_rights_of_a_command_are_enough_and_each_is_needed(place, command):
    argv, names, *flags = COMMANDS[command]
    rights = [re.sub(r"[A-Z]+", lambda word: names.get(word[0], word[0]), right) for right in ROWS[command]]
    before = place.state()
    for missing in rights:
        place.grant([right for right in rights if right != missing])
        done = place.run(argv)
        assert done.code == 4, (missing, done.code, done.out, done.err)
        assert names_right(done.err, missing), (missing, done.err)
        assert "partial" in flags or place.state() == before, missing
    place.grant(rights)
    done = place.run(argv)
    assert done.code == {"answers 4": 4, "differs": 6, "ended": 1}.get("".join(flags), 0), (done.out, done.err)
    assert "no right" not in done.err


@pytest.mark.parametrize("command", [name for name in COMMANDS if "endless" in COMMANDS[name][2:]])
def test_a_command_that_goes_on_is_denied_at_once_or_goes_on(place, command):
    argv, names, _ = COMMANDS[command]
    right, = [re.sub(r"[A-Z]+", lambda word: names[word[0]], right) for right in ROWS[command]]
    place.grant([])
    done = place.run(argv)
    assert done.code == 4 and names_right(done.err, right)
    place.grant([right])
    going = place.go_on(argv, settings("worker", PASSWORD), "SASL_PLAINTEXT")
    assert going.stdout.readline() != ""
    going.send_signal(signal.SIGINT)
    _, told = going.communicate(timeout=20)
    assert "no right" not in told


def test_wrong_passwords_and_servers_that_are_away_have_their_exit_codes(place):
    """Of a command of each kind; all of them connect by the same call."""
    for name in ("produce TOPIC", "groups seek GROUP -t TOPIC", "archive now", "apply FILE", "erase SUBJECT --report"):
        argv = [word.replace("{dir}", str(place.folder)) for word in COMMANDS[name][0]]
        wrong = evlog(*argv, bootstrap=f"127.0.0.1:{place.broker.ports['SASL_PLAINTEXT']}",
                      env=settings("worker", "another"), expect=4)
        assert "EVL-1103" in wrong.err and "sasl.password" in wrong.err and "another" not in wrong.err
        away = evlog(*argv, bootstrap="127.0.0.1:1", expect=3)
        assert "EVL-1036" in away.err and "is the server running?" in away.err
