# SPDX-License-Identifier: Apache-2.0
"""Runs a script of steps.py against a broker and writes down what it answered, in words that are the same in each run.

Each answer becomes a line: connection, request, and the fields as JSON. Member ids, group ids, topic ids, addresses and
texts for people are replaced by names; what is random in them is checked for its shape. Lists are sorted where the
protocol promises no order. Fields that are absent in the version are absent in the line; a throttle time of 0 is left
out.
"""
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

from evlogd import wait_for
from kafka_layouts import MESSAGES, ask, decode, encode
from steps import KEYS, NULL, RANGES, join, sync

ANSWER_SECONDS = 12
UNTIL_SECONDS = 20
READY_SECONDS = 30
POLL_SECONDS = 0.02
RUNS_AT_ONCE = 40
NOT_OF_TOPICS = re.compile("[^a-z0-9.]")
LONG_TEXT = 200
NOT_READY = {14, 15, 16}
TOPICS = {"t": 3, "u": 1}
CLIENT = "script"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
UNKNOWN_ID = b"no topic has it!"
PRINTABLE = re.compile(r"[ -~]*")
TEXTS = ("ErrorMessage",)


class Run:
    """One case in one version on one broker."""

    def __init__(self, broker, case, version, nonce):
        self.broker, self.case, self.version = broker, case, version
        self.prefix = f"{case.name}.{version}.{nonce}."
        self.conns, self.pending = {}, {}
        self.saved, self.topic_ids, self.lines = {}, {}, []

    def lines_of_all(self):
        try:
            for step in self.case.steps:
                getattr(self, "do_" + step.kind)(step)
        finally:
            for conn in self.conns.values():
                conn.close()
        return self.lines

    # --- steps

    def do_ask(self, step):
        self.do_send(step)
        self.finish(step)

    def do_send(self, step):
        version = self.version_of(step)
        message = MESSAGES[KEYS[step.api], "request"]
        flexible = message.flexible(version)
        body = encode(message.fields, self.filled(step.fields), version, flexible)
        correlation = self.conn(step.conn).send(KEYS[step.api], version, body, flexible, CLIENT)
        self.pending.setdefault(step.conn, []).append((step, version, correlation, time.monotonic()))

    def do_recv(self, step):
        self.finish(step)

    def do_until(self, step):
        deadline = time.monotonic() + UNTIL_SECONDS
        began = time.monotonic()
        while True:
            self.do_send(step)
            answer, _ = self.answer(step.conn)
            text = self.shown(answer)
            groups = (answer.get("Groups") or [{}]) if isinstance(answer, dict) else [{}]
            if "where" in step.how:
                met, wanted = step.how["where"] in text, step.how["where"]
            elif "lacks" in step.how:
                met, wanted = step.how["lacks"] not in text, f"without {step.how['lacks']}"
            else:
                met = len(groups[0].get("Members", ())) == step.how["members"]
                wanted = f"{step.how['members']} members"
            if met:
                self.lines.append(f"until {step.api} {wanted}{self.timing(step, began)}")
                return
            if time.monotonic() > deadline:
                self.lines.append(f"until {step.api}: never; at last {text}")
                return
            time.sleep(POLL_SECONDS)

    def do_drop(self, step):
        self.conns.pop(step.conn).close()
        self.pending.pop(step.conn, None)
        self.lines.append(f"{step.conn} is gone")

    def do_pause(self, step):
        time.sleep(step.how["ms"] / 1000)

    def do_crowd(self, step):
        names = [f"crowd{number}" for number in range(step.how["count"])]
        for again in ("", "again"):
            for name in names:
                self.do_send(join(name, "$" + name if again else "", version=9))
            answers = {name: self.answer(name)[0] for name in names}
            for name in names:
                self.saved.setdefault(name, answers[name]["MemberId"])
            leaders = {answer["Leader"] for answer in answers.values()} - {""}
            self.lines.append(f"{len(names)} join {again}: errors {counted(answers, 'ErrorCode')}, generations "
                              f"{counted(answers, 'GenerationId')}, leaders {len(leaders)}, lists of members "
                              f"{sorted({len(answer['Members']) for answer in answers.values()})}")
        leader = next(name for name in names if answers[name]["Members"])
        for name in names:
            self.do_send(sync(name, "$" + name, 1,
                              [("$" + other, other) for other in names] if name == leader else (), version=5))
        answers = {name: self.answer(name)[0] for name in names}
        right = sum(answer["Assignment"] == name.encode() for name, answer in answers.items())
        self.lines.append(f"{len(names)} sync: errors {counted(answers, 'ErrorCode')}, "
                          f"{right} have their own assignment")

    def do_make_topic(self, step):
        error, _ = self.conn("admin").create_topic(self.topic(step.fields["name"]), step.fields["partitions"])
        self.topic_ids.pop(step.fields["name"], None)
        name = self.topic(step.fields["name"])
        wait_for(lambda: self.conn("admin").metadata([name])[name][0] == 0, f"topic {name}")
        self.lines.append(f"topic {step.fields['name']} made: {error}")

    def do_delete_topic(self, step):
        self.lines.append(f"topic {step.fields['name']} deleted: "
                          f"{self.conn('admin').delete_topic(self.topic(step.fields['name']))}")

    # --- asking

    def conn(self, name):
        if name not in self.conns:
            self.conns[name] = self.broker.connect(ANSWER_SECONDS)
        return self.conns[name]

    def version_of(self, step):
        if step.version is not None:
            return step.version
        return self.version if step.api == self.case.subject else RANGES[step.api][1]

    def answer(self, name, patience=ANSWER_SECONDS):
        """(fields or a word, request step) of the oldest open question."""
        step, version, correlation, _ = self.pending[name].pop(0)
        response = MESSAGES[KEYS[step.api], "response"]
        flexible = response.flexible(version)
        self.conn(name).socket.settimeout(patience)
        try:
            reader = self.conn(name).receive(correlation, flexible)
        except (EOFError, ConnectionError):
            self.conns.pop(name).close()
            return "the connection is closed", step
        except TimeoutError:
            self.conns.pop(name).close()
            return "no answer", step
        fields = decode(response.fields, reader, version, flexible)
        reader.end()
        return fields, step

    def finish(self, step):
        _, version, _, began = self.pending[step.conn][0]
        fields, asked = self.answer(step.conn, step.how.get("patience", ANSWER_SECONDS))
        how = {**asked.how, **step.how}
        if "save" in how and isinstance(fields, dict):
            self.save(how["save"], fields["MemberId"])
        if how.get("quiet") and isinstance(fields, dict):
            text = self.errors(fields)
        else:
            text = self.shown(fields)
        own = asked.api == self.case.subject and asked.version is None
        name = asked.api if own else f"{asked.api}/{version}"
        self.lines.append(f"{step.conn} {name} {text}{self.timing(step, began)}")

    @staticmethod
    def timing(step, began):
        if "within" not in step.how:
            return ""
        low, high = step.how["within"]
        took = (time.monotonic() - began) * 1000
        return " too early" if took < low else " too late" if took > high else " in time"

    def save(self, name, value):
        if value in self.saved.values():
            return
        self.saved[name] = value

    # --- names and what they stand for

    def filled(self, value):
        """A request's fields with the names of the script replaced by what they stand for."""
        if isinstance(value, dict):
            return {key: self.filled_field(key, item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        return value

    def filled_field(self, key, value):
        if key in ("GroupId", "Groups", "GroupsNames", "Key", "CoordinatorKeys") and value and value is not NULL:
            if isinstance(value, str):
                return self.group(value)
            if not isinstance(value[0], dict):
                return [self.group(name) for name in value]
        if key == "TopicId":
            return self.topic_id(value.removeprefix("$id:"))
        if key in ("Metadata", "Assignment") and isinstance(value, str):
            return value.encode("latin-1")
        if key == "Name" and value in self.own_topics():
            return self.topic(value)
        if key == "MemberId" and value and value is not NULL and value.startswith("$"):
            return self.saved.get(value[1:], value)
        return self.filled(value)

    def own_topics(self):
        return {step.fields["name"] for step in self.case.steps if step.kind == "make_topic"}

    def group(self, name):
        """An empty name stays empty, a long one as long as it is."""
        return (self.prefix + name)[:max(len(name), len(self.prefix) + 20)] if name and name is not NULL else name

    def topic(self, name):
        return NOT_OF_TOPICS.sub("-", self.prefix) + name

    def topic_id(self, name):
        if name not in self.topic_ids:
            real = self.topic(name) if name in self.own_topics() else name
            known = name in TOPICS or name in self.own_topics()
            unknown = UNKNOWN_ID if name else bytes(16)
            self.topic_ids[name] = self.conn("admin").topic_id(real) if known else unknown
        return self.topic_ids[name]

    # --- writing down

    def errors(self, fields):
        found = sorted(set(errors_in(fields)) - {0})
        return f"errors {found}" if found else "ok"

    def shown(self, fields):
        if not isinstance(fields, dict):
            return fields
        return json.dumps(self.named(fields), ensure_ascii=True)

    def named(self, value, key=""):
        if isinstance(value, dict):
            return {name: self.named(item, name) for name, item in value.items()
                    if not (name == "ThrottleTimeMs" and item == 0)}
        if isinstance(value, list):
            return sorted((self.named(item, key) for item in self.only_own(key, value)), key=json.dumps)
        if key in TEXTS and value:
            return "some text"
        if key == "Host":
            return "this host" if value == "127.0.0.1" else value
        if key == "Port":
            return "this port" if value == self.broker.port else value
        if key == "TopicId":
            return next((f"id of {name}" for name, known in self.topic_ids.items() if known == value), value.hex())
        if isinstance(value, bytes):
            text = value.decode("latin-1")
            return text if PRINTABLE.fullmatch(text) else "hex " + value.hex()
        return self.named_text(key, value) if isinstance(value, str) else value

    def only_own(self, key, value):
        """ListGroups answers with the groups of every script."""
        if key != "Groups":
            return value
        return [item for item in value if item["GroupId"].startswith(self.prefix) or "GroupState" in item
                and item["GroupId"] == "" and "Members" in item or "Topics" in item]

    def named_text(self, key, value):
        for name, known in self.saved.items():
            if value == known and value:
                return "$" + name if key != "MemberId" else f"${name} {UUID.sub('uuid', value)}"
        if len(value) > LONG_TEXT:
            return f"{len(value)} letters"
        return UUID.sub("uuid", value.removeprefix(self.prefix).removeprefix(self.topic("")))


def counted(answers, field):
    values = [answer[field] for answer in answers.values()]
    return {value: values.count(value) for value in sorted(set(values))}


def errors_in(value):
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "ErrorCode":
                yield item
            yield from errors_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from errors_in(item)


def prepare(broker):
    """Topics are there, and whoever coordinates groups is ready, for each of its partitions."""
    probes = [f"probe{number}" for number in range(100)]

    def ready(conn):
        found = [ask(conn, KEYS["FindCoordinator"], 4, {"CoordinatorKeys": probes, "KeyType": kind}) for kind in (0, 1)]
        answer = ask(conn, KEYS["DescribeGroups"], 5, {"Groups": probes})
        return not set(errors_in([answer, *found])) & NOT_READY

    with broker.connect() as conn:
        for name, partitions in TOPICS.items():
            conn.create_topic(name, partitions)
        wait_for(lambda: ready(conn), "a coordinator", READY_SECONDS)


def run_one(broker, case, version, nonce):
    """Lines; a run that broke has its exception as the last one."""
    run = Run(broker, case, version, nonce)
    try:
        return run.lines_of_all()
    except Exception as error:   # whatever a wrong answer makes of the decoder is a finding of this run only
        return run.lines + [f"broken: {type(error).__name__}: {error}"]


def run_all(broker, cases, nonce="x"):
    """{(case name, version): [line]}. Most runs wait for times, so many go on at once; those of cases with alone=True
    one after the other."""
    prepare(broker)

    def one(job):
        return run_one(broker, *job, nonce)

    jobs = [(case, version) for case in cases for version in case.versions]
    together = [job for job in jobs if not job[0].alone]
    with ThreadPoolExecutor(RUNS_AT_ONCE) as pool:
        out = {(case.name, version): lines for (case, version), lines in zip(together, pool.map(one, together))}
    for job in jobs:
        if job[0].alone:
            out[job[0].name, job[1]] = one(job)
    return out
