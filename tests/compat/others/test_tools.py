# SPDX-License-Identifier: Apache-2.0
"""Kafka's own command-line tools do with evlogd what they do with Apache Kafka.

Each tool runs against both at the same time; exit code and the lines that mean something must be the same. Where they
are not, the test says what each does, and docs/protocol.md says why.
"""
import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from apache_kafka import ApacheKafka, fetch_or_skip
from clients import Confluent
from kafka_tools import run_tool

SAME_EVERYWHERE = r"(?s)\A.*\Z"


@pytest.fixture(scope="module")
def jars():
    return f"{fetch_or_skip()}/*"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    node = ApacheKafka(tmp_path_factory.mktemp("kafka")).start()
    yield node
    node.stop()


class Both:
    """evlogd and Kafka."""

    def __init__(self, jars, brokers):
        self.jars, self.brokers = jars, brokers

    def tool(self, *command):
        """(evlogd's outcome, Kafka's)"""
        with ThreadPoolExecutor(2) as pool:
            return tuple(pool.map(lambda broker: run_tool(self.jars, broker, *command), self.brokers))

    def same(self, pattern, *command, code=0):
        """The exit code, and what the pattern finds in the output, something or nothing; returns it."""
        ours, theirs = self.tool(*command)
        assert (ours.code, theirs.code) == (code, code), (ours, theirs)
        assert ours.find(pattern) == theirs.find(pattern), (ours, theirs)
        return ours.find(pattern)

    def write(self, topic, count, partition=0):
        for broker in self.brokers:
            Confluent(broker).write(topic, [(b"k", b"%d" % i, []) for i in range(count)], partition=partition,
                                    timestamps=[1700000000000 + i for i in range(count)])


@pytest.fixture(scope="module")
def both(jars, broker, kafka):
    return Both(jars, (broker, kafka))


@pytest.fixture
def made(both, topic):
    """A topic of three partitions on both."""
    assert both.same(r"Created topic .*", "kafka-topics", "--create", "--topic", topic, "--partitions", "3",
                     "--replication-factor", "1", "--config", "retention.ms=3600000")
    return topic


@pytest.fixture
def json_file(tmp_path):
    def write(content):
        (tmp_path / "file.json").write_text(json.dumps({"version": 1, **content}))
        return str(tmp_path / "file.json")
    return write


# --- kafka-topics ----------------------------------------------------------------------------------------------------

def test_topics_are_described_grown_and_deleted(both, made):
    partition = r"^\tTopic: .*$"
    assert len(both.same(partition, "kafka-topics", "--describe", "--topic", made)) == 3
    assert both.same(r"PartitionCount: \d+\tReplicationFactor: \d+\tConfigs:.*(retention.ms=\d+)", "kafka-topics",
                     "--describe", "--topic", made) == ["retention.ms=3600000"]
    assert both.same(f"^{made}$", "kafka-topics", "--list") == [made]
    both.same(SAME_EVERYWHERE, "kafka-topics", "--alter", "--topic", made, "--partitions", "5")
    assert len(both.same(partition, "kafka-topics", "--describe", "--topic", made)) == 5
    for state in ("under-replicated", "unavailable", "under-min-isr", "at-min-isr"):
        both.same(f"^.*{made}.*$", "kafka-topics", "--describe", "--topic", made, f"--{state}-partitions")
    both.same(SAME_EVERYWHERE, "kafka-topics", "--delete", "--topic", made)
    assert both.same(f"^{made}$", "kafka-topics", "--list") == []


def test_topics_are_placed_by_hand(both, topic):
    both.same(r"Created topic .*", "kafka-topics", "--create", "--topic", topic, "--replica-assignment", "1,1")
    assert len(both.same(r"^\tTopic: .*$", "kafka-topics", "--describe", "--topic", topic)) == 2
    both.same(SAME_EVERYWHERE, "kafka-topics", "--create", "--topic", topic, "--if-not-exists")
    assert both.same(r"errors\.\w+Exception", "kafka-topics", "--create", "--topic", topic + "2",
                     "--replica-assignment", "1,7", code=1)


def test_topics_are_refused(both, made):
    name = r"errors\.\w+Exception|Topic '\S+' does not exist as expected"
    assert both.same(name, "kafka-topics", "--create", "--topic", made, code=1)
    assert both.same(r"Unknown topic config name: no\.such", "kafka-topics", "--create", "--topic", made + "2",
                     "--config", "no.such=1", code=1)
    assert both.same(r"Invalid value soon", "kafka-topics", "--create", "--topic", made + "2", "--config",
                     "retention.ms=soon", code=1)
    assert both.same(name, "kafka-topics", "--create", "--topic", "no/slash", code=1)
    assert both.same(name, "kafka-topics", "--alter", "--topic", made, "--partitions", "2", code=1)
    assert both.same(name, "kafka-topics", "--describe", "--topic", made + "3", code=1)
    assert both.same(name, "kafka-topics", "--delete", "--topic", made + "3", code=1)


def test_more_replicas_than_nodes_are_taken_as_one(both, topic):
    """Kafka has too few nodes for them; evlogd is the one node there will be."""
    ours, theirs = both.tool("kafka-topics", "--create", "--topic", topic, "--replication-factor", "3")
    assert (ours.code, theirs.code) == (0, 1)
    assert "ReplicationFactor: 1\t" in both.tool("kafka-topics", "--describe", "--topic", topic)[0].text


def test_any_codec_is_taken_for_a_topic(both, topic):
    for number, codec in enumerate(("producer", "uncompressed", "gzip", "snappy", "lz4", "zstd")):
        both.same(r"Created topic .*", "kafka-topics", "--create", "--topic", f"{topic}-{number}", "--config",
                  f"compression.type={codec}")


# --- kafka-configs ---------------------------------------------------------------------------------------------------

def configs(*args):
    return ("kafka-configs", *args)


def test_settings_of_topics(both, made):
    of = ("--entity-type", "topics", "--entity-name", made)
    shown = r"^  ([\w.]+)=(\S*) sensitive=(\w+)"
    assert both.same(shown, *configs("--describe", *of)) == [("retention.ms", "3600000", "false")]
    both.same(SAME_EVERYWHERE, *configs("--alter", *of, "--add-config", "retention.ms=5000,segment.bytes=2097152"))
    assert both.same(shown, *configs("--describe", *of)) == [("retention.ms", "5000", "false"),
                                                             ("segment.bytes", "2097152", "false")]
    both.same(SAME_EVERYWHERE, *configs("--alter", *of, "--delete-config", "retention.ms"))
    assert both.same(shown, *configs("--describe", *of)) == [("segment.bytes", "2097152", "false")]
    for bad in ("retention.ms=soon", "no.such=1", "message.timestamp.type=never"):
        assert both.same(r"errors\.InvalidConfigurationException",
                         *configs("--alter", *of, "--add-config", bad), code=1)
    ours, theirs = both.tool(*configs("--describe", "--all", *of))
    names = [set(re.findall(r"^  ([\w.]+)=", outcome.text, re.M)) for outcome in (ours, theirs)]
    extra = names[0] - names[1]
    assert "evlog.durability" in extra and all(name.startswith("evlog.") for name in extra), extra
    assert names[1] - names[0] <= {
        "compression.gzip.level", "compression.lz4.level", "compression.zstd.level",    # nothing is compressed anew
        "leader.replication.throttled.replicas", "follower.replication.throttled.replicas",    # nor replicated
        "remote.storage.enable",    # the archive is for all topics
        "remote.log.copy.disable", "remote.log.delete.on.disable", "remote.copy.lag.ms", "remote.copy.lag.bytes",
        "max.decompressed.message.bytes",    # what a batch may become when it is opened is a constant
        "errors.deadletterqueue.group.enable", "internal.segment.bytes"}
    synonyms = r"^  ((?:flush|index|max|message|min|segment)\.[\w.]+)=.*DEFAULT_CONFIG:([\w.]+)="
    ours, theirs = (dict(outcome.find(synonyms)) for outcome in (ours, theirs))
    theirs.pop("max.decompressed.message.bytes", None)    # not in every release
    assert len(theirs) > 8 and {name: ours[name] for name in theirs} == theirs


def test_settings_of_brokers(both):
    one = ("--entity-type", "brokers", "--entity-name", "1")
    both.same(SAME_EVERYWHERE, *configs("--describe", *one))
    for outcome in both.tool(*configs("--describe", "--all", *one)):
        assert outcome.code == 0
        found = dict(outcome.find(r"^  ([\w.]+)=(\S*) sensitive"))
        assert found["num.partitions"] == "1" and found["auto.create.topics.enable"] == "true"
        assert found["message.max.bytes"] == "1048588" and found["socket.request.max.bytes"] == "104857600"
        assert found["connections.max.idle.ms"] == "600000" and "log.retention.ms" in found
    both.same(r"Default configs for brokers in the cluster are", *configs("--describe", "--entity-type", "brokers",
                                                                          "--entity-default"))
    ours, theirs = both.tool(*configs("--alter", *one, "--add-config", "num.partitions=3"))
    assert (ours.code, theirs.code) == (0, 1)
    assert "InvalidRequestException: Cannot update these configs dynamically" in theirs.text
    assert "  num.partitions=3 " in both.tool(*configs("--describe", *one))[0].text
    assert both.tool(*configs("--alter", *one, "--delete-config", "num.partitions"))[0].code == 0
    ours, _ = both.tool(*configs("--alter", *one, "--add-config", "shards=3"))
    assert ours.code == 1 and "Set shards in [server] of evlogd's configuration" in ours.text
    loggers = both.tool(*configs("--describe", "--entity-type", "broker-loggers", "--entity-name", "1"))
    assert [outcome.code for outcome in loggers] == [0, 0]
    assert "  root=INFO " in loggers[0].text and "  storage=INFO " in loggers[0].text
    of = ("--entity-type", "broker-loggers", "--entity-name", "1")
    ours, _ = both.tool(*configs("--alter", *of, "--add-config", "storage=DEBUG"))
    assert ours.code == 0, ours.text
    assert "  storage=DEBUG " in both.tool(*configs("--describe", *of))[0].text
    ours, _ = both.tool(*configs("--alter", *of, "--delete-config", "storage"))
    assert ours.code == 0, ours.text
    assert "  storage=INFO " in both.tool(*configs("--describe", *of))[0].text


# Whom quotas are for, in the words of kafka-configs, and limits that they may have.
RATES = {"producer_byte_rate": "1000", "consumer_byte_rate": "2000", "request_percentage": "12.5"}
QUOTAS = {
    "user": (["--entity-type", "users", "--entity-name", "alice"], RATES),
    "default user": (["--entity-type", "users", "--entity-default"], RATES),
    "client": (["--entity-type", "clients", "--entity-name", "app"], RATES),
    "both": (["--entity-type", "users", "--entity-name", "alice", "--entity-type", "clients", "--entity-name", "app"],
             RATES),
    "ip": (["--entity-type", "ips", "--entity-name", "10.0.0.1"], {"connection_creation_rate": "7"}),
    "default ip": (["--entity-type", "ips", "--entity-default"], {"connection_creation_rate": "9"}),
}


@pytest.mark.parametrize("whom", QUOTAS)
def test_quotas(both, whom):
    of, limits = QUOTAS[whom]

    def described():
        """What both say of it, in the order of names."""
        ours, theirs = both.tool(*configs("--describe", *of))
        assert (ours.code, theirs.code) == (0, 0), (ours, theirs)
        found = [sorted(outcome.find(r"(\w+_(?:rate|percentage))=([\d.]+)")) for outcome in (ours, theirs)]
        assert found[0] == found[1], (ours, theirs)
        return {name: float(value) for name, value in found[0]}

    added = ",".join(f"{name}={value}" for name, value in limits.items())
    assert described() == {}
    both.same(r"Completed updating .*", *configs("--alter", *of, "--add-config", added))
    assert described() == {name: float(value) for name, value in limits.items()}
    both.same(r"errors\.\w+Exception", *configs("--alter", *of, "--add-config", "no_such_rate=1"), code=1)
    both.same(r"Completed updating .*", *configs("--alter", *of, "--delete-config", ",".join(limits)))
    assert described() == {}


def test_client_metrics(both):
    of = ("--entity-type", "client-metrics")
    both.same(SAME_EVERYWHERE, *configs("--describe", *of))
    both.same(SAME_EVERYWHERE, *configs("--describe", *of, "--entity-name", "none"))
    ours, theirs = both.tool(*configs("--alter", *of, "--entity-name", "mine", "--add-config", "interval.ms=5000"))
    assert (ours.code, theirs.code) == (1, 0) and "does not collect metrics of clients" in ours.text


# --- the others ------------------------------------------------------------------------------------------------------

def test_offsets(both, made):
    both.write(made, 10)
    both.write(made, 3, partition=2)
    line = r"^\S+:\d+:-?\d*$"
    for time in ("latest", "earliest", "max-timestamp", "1700000000004", "-1", "-2"):
        assert both.same(line, "kafka-get-offsets", "--topic", made, "--time", time)
    assert both.same(line, "kafka-get-offsets", "--topic-partitions", made + ":2") == [made + ":2:3"]
    both.same(SAME_EVERYWHERE, "kafka-get-offsets", "--topic", made + "-no", code=1)


def test_records_are_deleted(both, made, json_file):
    both.write(made, 10)

    def delete(offset, partition=0):
        name = json_file({"partitions": [{"topic": made, "partition": partition, "offset": offset}]})
        return both.same(r"low_watermark: \d+|errors\.\w+Exception", "kafka-delete-records", "--offset-json-file", name)

    assert delete(4) == ["low_watermark: 4"]
    assert delete(2) == ["low_watermark: 4"]
    assert delete(11) == ["errors.OffsetOutOfRangeException"]
    assert delete(-1) == ["low_watermark: 10"]
    line = r"^\S+:\d+:\d+$"
    assert both.same(line, "kafka-get-offsets", "--topic", made, "--time", "earliest")[0] == made + ":0:10"


def test_log_dirs(both, made):
    both.write(made, 500)
    ours, theirs = both.tool("kafka-log-dirs", "--describe", "--topic-list", made)
    found = [json.loads(outcome.find(r"^\{.*\}$")[0]) for outcome in (ours, theirs)]
    for answer in found:
        broker, = answer["brokers"]
        directory, = broker["logDirs"]
        assert (broker["broker"], directory["logDir"], directory["error"]) == (1, "DIRECTORY", None)
        sizes = {p["partition"]: p.pop("size") for p in directory["partitions"]}
        assert sizes[made + "-0"] > 500 and sizes[made + "-1"] == sizes[made + "-2"] == 0
        directory["partitions"].sort(key=lambda p: p["partition"])
    assert found[0] == found[1]
    both.same(SAME_EVERYWHERE, "kafka-log-dirs", "--describe", "--broker-list", "1,2", code=1)


def test_elections(both, made):
    kinds = r"Valid replica already elected.*|errors\.\w+Exception"
    for kind in ("preferred", "unclean"):
        both.same(SAME_EVERYWHERE, "kafka-leader-election", "--election-type", kind, "--all-topic-partitions")
        assert both.same(kinds, "kafka-leader-election", "--election-type", kind, "--topic", made, "--partition", "1")
        assert both.same(kinds, "kafka-leader-election", "--election-type", kind, "--topic", made + "-no",
                         "--partition", "0", code=1)


def test_reassignments(both, made, json_file):
    both.same(SAME_EVERYWHERE, "kafka-reassign-partitions", "--list")
    stay = json_file({"partitions": [{"topic": made, "partition": 0, "replicas": [1]}]})
    for step in ("--execute", "--verify", "--cancel"):
        both.same(SAME_EVERYWHERE, "kafka-reassign-partitions", "--reassignment-json-file", stay, step)
    go = json_file({"partitions": [{"topic": made, "partition": 0, "replicas": [1, 2]}]})
    both.same(r"Unknown broker id 2", "kafka-reassign-partitions", "--reassignment-json-file", go, "--execute", code=1)
    topics = json_file({"topics": [{"topic": made}]})
    assert both.same(r'"replicas":\[\d\]', "kafka-reassign-partitions", "--topics-to-move-json-file", topics,
                     "--broker-list", "1", "--generate")


def test_quorum(both):
    fields = r"^(?:LeaderId|MaxFollowerLag|MaxFollowerLagTimeMs|CurrentObservers): .*$|\"id\": 1"
    assert len(both.same(fields, "kafka-metadata-quorum", "describe", "--status")) == 5
    assert both.same(r"^(1) +\t(\S+)\t\d+ +\t(\d+) +\t\d+ +\t\d+ +\t(Leader)", "kafka-metadata-quorum", "describe",
                     "--replication")


def test_features(both):
    """evlogd has none, so there is nothing to show."""
    ours, theirs = both.tool("kafka-features", "describe")
    assert (ours.code, theirs.code) == (0, 0)
    assert ours.text.strip() == "" and "Feature: group.version" in theirs.text
    assert both.same(r"Could not upgrade group.version to 9|1 out of 1 operation.* failed", "kafka-features",
                     "upgrade", "--feature", "group.version=9", code=1)


def test_api_versions(both):
    """What evlogd lists a client of this release uses in the version that it uses with Kafka."""
    usable = r"^\t(\w+\(\d+\)): .*\[usable: (\d+)\]"
    ours, theirs = (dict(outcome.find(usable)) for outcome in both.tool("kafka-broker-api-versions"))
    assert len(ours) > 20
    assert {name: theirs[name] for name in ours} == ours
