# SPDX-License-Identifier: Apache-2.0
"""Groups in other languages and Kafka's own tools, on evlogd and on a real Apache Kafka: what does not work there
either is the client's fault, or the test's."""
import csv
import json
import re
import subprocess

import pytest

from apache_kafka import fetch_or_skip
from evlogd import wait_for
from members import (ALL, PYTHON_FAMILIES, Crew, Family, Outcomes, Writer, committed, committed_count,
                     gets_in_when_there_is_memory, matrix, pair_name)
from programs import BROKERS, MEMBERS, run

TOOL_SECONDS = 90
# Where the tools are: kafka-consumer-groups.sh and the others are scripts around these.
TOOLS = "org.apache.kafka.tools."
GROUPS = TOOLS + "consumer.group.ConsumerGroupCommand"
@pytest.fixture(params=BROKERS)
def broker(brokers, request):
    return brokers[request.param]


PAIRS = matrix([Family(name, [], abilities) for name, abilities in MEMBERS.items()])


@pytest.mark.parametrize("pair", PAIRS, ids=pair_name)
def test_member(broker, pair, topic, family):
    pair[1](family(pair[0].name), broker, topic)


@pytest.mark.parametrize("name", ["python", "aiokafka", *MEMBERS])
def test_a_member_gets_in_when_evlogd_has_memory_for_it(name, topic, tmp_path, family):
    known = {one.name: one for one in PYTHON_FAMILIES}
    gets_in_when_there_is_memory(known.get(name) or family(name), tmp_path / "data", topic)


@pytest.fixture(scope="module")
def outcomes(brokers):
    with Outcomes(brokers["kafka"], matrix(PYTHON_FAMILIES), "python-") as running:
        yield running


@pytest.mark.parametrize("pair", matrix(PYTHON_FAMILIES), ids=pair_name)
def test_the_python_members_on_kafka(outcomes, pair):
    """On evlogd they belong to the short run."""
    outcomes.check(pair)


# --- tools ------------------------------------------------------------------------------------------------------------

def tool_command(name, *args):
    return ["java", "-XX:TieredStopAtLevel=1", "-Xmx256m", "-cp", f"{fetch_or_skip()}/*", name, *args]


def tool(name, *args):
    return run(*tool_command(name, *args), seconds=TOOL_SECONDS)


def table(text):
    """Rows as dicts by the words of the heading."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    heads = next(index for index, words in enumerate(lines) if words[0] == "GROUP")
    return [dict(zip(lines[heads], words)) for words in lines[heads + 1:]]


def test_kafka_consumer_groups(broker, topic):
    def groups(*args):
        return tool(GROUPS, "--bootstrap-server", broker.bootstrap, *args)

    first_ms = 1_700_000_000_000
    writer = Writer(broker, topic)
    writer.write(40, first_ms)
    with Crew(PYTHON_FAMILIES[0], broker, topic, topic) as crew:
        member = crew.start()
        member.wait(lambda: len(crew.values()) == 40, "the events")
        wait_for(lambda: committed_count(broker, topic, topic) == 40, "the commits")
        writer.write(4, first_ms + 40_000)
        member.wait(lambda: len(crew.values()) == 44, "the events")
        assert topic in groups("--list").split()
        wait_for(lambda: committed_count(broker, topic, topic) == 44, "the commits")
        rows = table(groups("--describe", "--group", topic))
        assert {(row["TOPIC"], row["PARTITION"], row["CURRENT-OFFSET"], row["LOG-END-OFFSET"], row["LAG"])
                for row in rows} == {(topic, str(part), "11", "11", "0") for part in ALL}
        assert all(row["HOST"] == "/127.0.0.1" and row["CLIENT-ID"] == "rdkafka" for row in rows)
        state = groups("--describe", "--group", topic, "--state")
        assert "Stable" in state and "range" in state and broker.bootstrap in state
        described = table(groups("--describe", "--group", topic, "--members", "--verbose"))
        assert [row["#PARTITIONS"] for row in described] == ["4"]
        assert "not empty" in refused(broker, "--delete", "--group", topic).lower()
        member.leave()
    writer.write(8, first_ms + 60_000)
    rows = table(groups("--describe", "--group", topic))
    assert [row["LAG"] for row in rows] == ["2"] * 4
    groups("--reset-offsets", "--group", topic, "--topic", topic, "--to-earliest", "--execute")
    assert set(committed(broker, topic, topic).values()) == {0}
    stamp = "2023-11-14T22:14:00.000"    # first_ms + 40 s: of the 40 events each partition has ten
    groups("--reset-offsets", "--group", topic, "--topic", topic, "--to-datetime", stamp, "--execute")
    assert set(committed(broker, topic, topic).values()) == {10}
    groups("--delete-offsets", "--group", topic, "--topic", topic)
    assert set(committed(broker, topic, topic).values()) == {-1}
    groups("--delete", "--group", topic)
    assert topic not in groups("--list").split()


def refused(broker, *args):
    done = subprocess.run(tool_command(GROUPS, "--bootstrap-server", broker.bootstrap, *args), capture_output=True,
                          text=True, timeout=TOOL_SECONDS, check=False)
    return done.stdout + done.stderr


def test_kafka_verifiable_programs(broker, topic):
    """A producer that tells what was acknowledged, and a consumer that tells what it read and committed."""
    Writer(broker, topic)
    count = 2000
    command = tool_command(TOOLS + "VerifiableConsumer", "--bootstrap-server", broker.bootstrap, "--topic", topic,
                           "--group-id", topic, "--max-messages", str(count), "--reset-policy", "earliest")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as consumer:
        try:
            produced = [json.loads(line) for line in tool(
                TOOLS + "VerifiableProducer", "--bootstrap-server", broker.bootstrap, "--topic", topic,
                "--max-messages", str(count), "--throughput", "1000").splitlines()]
            text, _ = consumer.communicate(timeout=TOOL_SECONDS)
        finally:
            consumer.kill()
    sent = [line for line in produced if line["name"] == "producer_send_success"]
    assert len(sent) == count and produced[-1]["acked"] == count
    seen = [json.loads(line) for line in text.splitlines()]
    assert sum(line["count"] for line in seen if line["name"] == "records_consumed") == count
    assert [line["success"] for line in seen if line["name"] == "offsets_committed"], "nothing was committed"
    assert all(line["success"] for line in seen if line["name"] == "offsets_committed")
    assert committed_count(broker, topic, topic) == count


def test_kafka_get_offsets_and_console_consumer(broker, topic):
    """Lag as people compute it by hand, and the console consumer in a group."""
    values = Writer(broker, topic).write(20)
    ends = tool(TOOLS + "GetOffsetShell", "--bootstrap-server", broker.bootstrap, "--topic", topic)
    assert {(int(part), int(end)) for _, part, end in csv.reader(ends.splitlines(), delimiter=":")} == \
        {(part, 5) for part in ALL}
    read = tool(TOOLS + "consumer.ConsoleConsumer", "--bootstrap-server", broker.bootstrap, "--topic", topic, "--group",
                topic, "--from-beginning", "--max-messages", "20", "--timeout-ms", "60000")
    assert sorted(re.findall(r"^v\d+$", read, re.MULTILINE)) == sorted(values)
    assert committed_count(broker, topic, topic) == 20
