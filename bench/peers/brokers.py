# SPDX-License-Identifier: Apache-2.0
"""The brokers that are compared: each a process of its own on a loopback port, its data below one folder."""
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE_S = 60
PR_SET_PDEATHSIG = 1

# What Kafka's own start script passes, with the heap it takes.
JVM = ["-Xms1g", "-Xmx1g", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
       "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true"]
KAFKA_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
default.replication.factor=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.segment.delete.delay.ms=0
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Broker:
    """One broker; subclasses say how it is made ready and started."""

    def __init__(self, build: Path, folder: Path, name: str):
        self.build, self.name = build, name
        self.folder = folder / name
        self.data = self.folder / "data"
        self.port = free_port()
        self.process = None

    def settings(self) -> str:
        raise NotImplementedError

    def version(self) -> str:
        raise NotImplementedError

    def format(self) -> None:
        """On an empty data directory, before the first start."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def watcher(self) -> list[str]:
        """Waits for the first acknowledgement."""
        return [str(self.build / "peers/raw_load"), "first-ack", f"--port={self.port}", "--topic=first"]

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.data.mkdir(parents=True)
        self.format()

    def launch(self) -> None:
        """Start the process and do not wait for it."""
        with open(self.folder / "log", "a") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            preexec_fn=die_with_parent)

    def start(self, fresh: bool) -> float:
        """Seconds from the start of the process to the first acknowledged event."""
        if fresh:
            self.clear()
        with subprocess.Popen(self.watcher(), stdout=subprocess.PIPE, text=True) as watcher:
            time.sleep(0.1)  # it is there before the broker
            at_ns = time.time_ns()
            self.launch()
            try:
                text, _ = watcher.communicate(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                watcher.kill()
                text = ""
        if not text or self.process.poll() is not None:
            raise SystemExit(f"{self.name} did not start:\n{(self.folder / 'log').read_text()[-2000:]}")
        return (json.loads(text)["acked_at_ns"] - at_ns) / 1e9

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def cpu_s(self) -> float:
        """Processor time of all its threads; what kernel threads do for it is not in it."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident_mib(self) -> float:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0


class Evlog(Broker):
    def settings(self) -> str:
        return ("defaults: a shard for each processor, every acknowledgement after a flush (--http=off; "
                "group.initial.rebalance.delay.ms=0, as Kafka's)")

    def version(self) -> str:
        command = [str(self.build / "bin/evlogd"), "--version"]
        version = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        commit = subprocess.run(["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"],
                                capture_output=True, text=True, check=False).stdout.strip()
        return f"{version} ({commit or 'unknown commit'})"

    def command(self) -> list[str]:
        return [str(self.build / "bin/evlogd"), f"--data={self.data}", f"--listen=127.0.0.1:{self.port}", "--http=off",
                "--log-level=warn", "--group-initial-rebalance-delay-ms=0ms"]


class Kafka(Broker):
    def __init__(self, build: Path, folder: Path, name: str, flush: bool, properties: str = ""):
        """properties: further lines of its configuration, of which the last for a key counts."""
        super().__init__(build, folder, name)
        self.flush, self.controller, self.properties = flush, free_port(), properties
        self.jars = str((build / "peers/kafka").resolve()) + "/*"

    def settings(self) -> str:
        extra = "log.flush.interval.messages=1" if self.flush else "defaults: it never flushes before it acknowledges"
        return f"KRaft, one node, replication factors 1, {' '.join(JVM[:4])}; {extra}"

    def version(self) -> str:
        jar = next((self.build / "peers/kafka").glob("kafka_2.13-*.jar"))
        java = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr.splitlines()[0]
        return f"Apache Kafka {jar.stem.split('-')[1]}, {java}"

    def format(self) -> None:
        text = KAFKA_PROPERTIES.format(port=self.port, controller=self.controller, data=self.data)
        text += ("log.flush.interval.messages=1\n" if self.flush else "") + self.properties
        (self.folder / "server.properties").write_text(text)
        subprocess.run(["java", "-cp", self.jars, "kafka.tools.StorageTool", "format", "-t", "4L6g3nShT-eMCtK--X86sw",
                        "-c", str(self.folder / "server.properties")], check=True, capture_output=True)

    def command(self) -> list[str]:
        return ["java", *JVM, "-cp", self.jars, "kafka.Kafka", str(self.folder / "server.properties")]


class Nats(Broker):
    def __init__(self, build: Path, folder: Path, name: str, flush: bool):
        super().__init__(build, folder, name)
        self.flush = flush

    def settings(self) -> str:
        return "JetStream, file storage, one replica; " + (
            "sync_interval: always" if self.flush else "default sync_interval: a flush every two minutes")

    def version(self) -> str:
        command = [str(self.build / "peers/nats/nats-server"), "--version"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def format(self) -> None:
        sync = "sync_interval: always" if self.flush else ""
        (self.folder / "server.conf").write_text(
            f'listen: "127.0.0.1:{self.port}"\njetstream {{ store_dir: "{self.data}", {sync} }}\n')

    def command(self) -> list[str]:
        return [str(self.build / "peers/nats/nats-server"), "-c", str(self.folder / "server.conf")]

    def watcher(self) -> list[str]:
        return [str(self.build / "peers/nats/nats_load"), "-first-ack", f"-url=nats://127.0.0.1:{self.port}"]


def all_brokers(build: Path, folder: Path) -> dict[str, Broker]:
    """Those whose programs are there."""
    found = {"evlog": Evlog(build, folder, "evlog")}
    if (build / "peers/kafka/fetched").exists() and shutil.which("java"):
        found["kafka-flush"] = Kafka(build, folder, "kafka-flush", True)
        found["kafka"] = Kafka(build, folder, "kafka", False)
    if (build / "peers/nats/nats_load").exists():
        found["nats-flush"] = Nats(build, folder, "nats-flush", True)
        found["nats"] = Nats(build, folder, "nats", False)
    return found
