# SPDX-License-Identifier: Apache-2.0
"""The systems that are compared, and how each one's load generator is called."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "peers"))

import brokers  # noqa: E402

RABBIT = Path("/usr/lib/rabbitmq/bin")
RUN_LIMIT_S = 120
GROUP_MEMORY = "group.memory.max=512MiB"


class Evlog(brokers.Evlog):
    label = "evlog"

    def settings(self) -> str:
        return ("defaults: a shard for each processor; an outcome is answered after a flush (--http=off; "
                f"{GROUP_MEMORY}, for a million events that wait); settings of the group as they are by default, "
                "order by key among them, but no jitter, no end of attempts, and an answer may bring all that a worker "
                "may have; libevlog")

    def command(self) -> list[str]:
        return [*super().command(), f"--{GROUP_MEMORY.replace('.', '-')}"]

    def watcher(self) -> list[str]:
        return [str(self.build / "peers/raw_load"), "first-ack", f"--port={self.port}", "--topic=first"]

    def load(self, verb: str, name: str, args: dict) -> list[str]:
        return [str(self.build / "leases/lease_load"), verb, f"--port={self.port}", f"--topic={name}",
                f"--group={name}", *(f"--{key}={value}" for key, value in args.items())]


class Nats(brokers.Nats):
    label = "NATS JetStream"

    def settings(self) -> str:
        return super().settings() + ("; a stream with work-queue retention, a pull consumer with explicit "
                                     "acknowledgements, each answered (double ack). An acknowledgement removes its "
                                     "message, and that is flushed, one by one; the answer does not wait for it, and "
                                     "the server has no setting for that")

    def load(self, verb: str, name: str, args: dict) -> list[str]:
        return peer_load(self, "nats", f"nats://127.0.0.1:{self.port}", verb, args)


class Rabbit(brokers.Broker):
    """RabbitMQ as Debian packs it, by its own scripts, with a port mapper that ends with it."""

    label = "RabbitMQ"

    def __init__(self, build: Path, folder: Path, name: str):
        super().__init__(build, folder, name)
        self.epmd = None

    def settings(self) -> str:
        return ("a quorum queue on one node, persistent messages, publisher confirms: each write is flushed, "
                "acknowledgements too, but AMQP confirms none; a retry is a dead letter in a second quorum "
                "queue that expires back (both at-least-once)")

    def version(self) -> str:
        packed = subprocess.run(["dpkg-query", "-W", "-f=${Version}", "rabbitmq-server"], capture_output=True,
                                text=True, check=True).stdout
        return f"RabbitMQ {packed}"

    def environment(self) -> dict:
        ports = {"RABBITMQ_NODE_PORT": str(self.port), "RABBITMQ_DIST_PORT": str(self.dist),
                 "ERL_EPMD_PORT": str(self.mapper), "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1"}
        files = {"RABBITMQ_MNESIA_BASE": self.data, "RABBITMQ_LOG_BASE": self.folder, "HOME": self.folder,
                 "RABBITMQ_ENABLED_PLUGINS_FILE": self.folder / "plugins", "RABBITMQ_CONFIG_FILE": self.folder / "none",
                 "RABBITMQ_CONF_ENV_FILE": self.folder / "env.conf"}
        return {**os.environ, **ports, **{name: str(path) for name, path in files.items()}, "RABBITMQ_LOGS": "-",
                "RABBITMQ_NODENAME": f"bench{self.port}@localhost", "RABBITMQ_ALLOW_INPUT": "1",
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput"}

    def format(self) -> None:
        self.dist, self.mapper = brokers.free_port(), brokers.free_port()
        (self.folder / "plugins").write_text("[].\n")
        (self.folder / "env.conf").write_text("")

    def command(self) -> list[str]:
        return [str(RABBIT / "rabbitmq-server")]

    def launch(self) -> None:
        with open(self.folder / "log", "a") as log:
            common = {"stdout": log, "stderr": log, "stdin": subprocess.DEVNULL, "env": self.environment(),
                      "preexec_fn": brokers.die_with_parent}
            self.epmd = subprocess.Popen(["epmd", "-address", "127.0.0.1", "-port", str(self.mapper)], **common)
            self.process = subprocess.Popen(self.command(), **common)

    def stop(self) -> None:
        super().stop()
        if self.epmd is not None:
            self.epmd.kill()
            self.epmd.wait()
            self.epmd = None

    def watcher(self) -> list[str]:
        return [str(self.build / "leases/peer_load"), "-peer=first-ack", f"-url={self.url()}"]

    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def load(self, verb: str, name: str, args: dict) -> list[str]:
        return peer_load(self, "rabbit", self.url(), verb, args)


def peer_load(broker, peer: str, url: str, verb: str, args: dict) -> list[str]:
    return [str(broker.build / "leases/peer_load"), f"-peer={peer}", f"-url={url}",
            *(f"-{key}={value}" for key, value in args.items()), verb]


def call(command: list[str]) -> dict:
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_LIMIT_S, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join([Path(command[0]).name, *command[1:]])}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def all_systems(build: Path, folder: Path) -> dict:
    """Those whose programs are there."""
    found = {"evlog": Evlog(build, folder, "evlog")}
    if (build / "leases/peer_load").exists() and (build / "peers/nats/nats-server").exists():
        found["nats"] = Nats(build, folder, "nats", True)
    if (build / "leases/peer_load").exists() and (RABBIT / "rabbitmq-server").exists() and shutil.which("epmd"):
        found["rabbit"] = Rabbit(build, folder, "rabbit")
    return found
