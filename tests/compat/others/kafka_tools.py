# SPDX-License-Identifier: Apache-2.0
"""Kafka's command-line tools, from the jars of the Apache Kafka that they are compared on."""
import re
import subprocess

TOOL_SECONDS = 120
JVM = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dlog4j2.level=ERROR"]  # a tool runs for a second
TOOLS = {
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-console-share-consumer": "org.apache.kafka.tools.consumer.ConsoleShareConsumer",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-features": "org.apache.kafka.tools.FeatureCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-share-groups": "org.apache.kafka.tools.consumer.group.ShareGroupCommand",
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
}


class Outcome:
    """What a tool did: exit code and text, with what is a broker's own replaced by a word."""

    def __init__(self, code, text, broker):
        self.code = code
        for own, word in ((broker.bootstrap, "ADDRESS"), (str(broker.data), "DIRECTORY")):
            text = text.replace(own, word)
        self.text = re.sub(r"^\S+ (\S+ ERROR)", r"\1", re.sub(r"TopicId: \S+", "TopicId: ID", text), flags=re.M)

    def find(self, pattern):
        return re.findall(pattern, self.text, re.M)

    def __repr__(self):
        return f"exit {self.code}\n{self.text}"


def run_tool(jars, broker, tool, *args):
    command = ["java", *JVM, "-Xmx128m", "-cp", jars, TOOLS[tool], "--bootstrap-server", broker.bootstrap, *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TOOL_SECONDS, check=False)
    return Outcome(done.returncode, done.stdout + done.stderr, broker)
