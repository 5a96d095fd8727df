# SPDX-License-Identifier: Apache-2.0
"""One node of Apache Kafka (KRaft), and Kafka's command-line tools, from the same jars."""
import ctypes
import re
import signal
import socket
import subprocess

from evlogd import wait_for

PR_SET_PDEATHSIG = 1
TOOL_SECONDS = 120
JVM = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dlog4j2.level=ERROR"]  # a tool runs for a second
NODE_JVM = ["-Xms256m", "-Xmx512m", "-Dlog4j2.level=ERROR"]
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
group.initial.rebalance.delay.ms=0
"""
TOOLS = {
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-features": "org.apache.kafka.tools.FeatureCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Kafka:
    """A node on a fresh data directory."""

    def __init__(self, jars, folder):
        self.jars, self.data, self.log = jars, folder / "data", folder / "log"
        self.port, self.controller, self.process = free_port(), free_port(), None
        self.settings = folder / "server.properties"
        self.settings.write_text(PROPERTIES.format(port=self.port, controller=self.controller, data=self.data))

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        subprocess.run(["java", *JVM, "-cp", self.jars, "kafka.tools.StorageTool", "format", "-t",
                        "4L6g3nShT-eMCtK--X86sw", "-c", str(self.settings)], check=True, capture_output=True)
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(["java", *NODE_JVM, "-cp", self.jars, "kafka.Kafka", str(self.settings)],
                                            stdout=log, stderr=log, preexec_fn=die_with_parent)
        wait_for(self.listens, "Kafka's port", 90)
        return self

    def listens(self):
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


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
