# SPDX-License-Identifier: Apache-2.0
"""What is measured: rows, each with the same work for several brokers, and how one measurement of it is taken."""
import json
import os
import resource
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

RUN_LIMIT_S = 120
TITLES = {
    "evlog": "evlog, flush",
    "evlog-memory": "evlog, memory",
    "kafka-flush": "Kafka, flush",
    "kafka": "Kafka, no flush",
    "nats-flush": "NATS, flush",
    "nats": "NATS, no flush",
}
KAFKA_PROTOCOL = ("evlog", "evlog-memory", "kafka-flush", "kafka")


@dataclass
class Sample:
    rate: float  # records/s
    mb: float  # of payload, MB/s
    cpu_gb: float  # broker's processor seconds for a GB of payload
    p50: float  # us; 0 where it was not measured
    p99: float
    p999: float
    others: float  # share of the processors that neither broker nor load used
    missing: int = 0  # records at fixed times that were not acknowledged, or not seen, in time


@dataclass
class Case:
    target: str
    label: str
    args: dict
    samples: list = field(default_factory=list)


@dataclass
class Row:
    title: str
    kind: str  # rate or latency: what the row compares
    load: str  # raw, rdkafka or nats
    value: int
    cases: list
    quick: bool = True  # also measured by --quick


def kafka_row(title: str, kind: str, load: str, value: int, quick: bool = True, targets=KAFKA_PROTOCOL, **args) -> Row:
    cases = [Case(target, TITLES[target], {"load": load, **args}) for target in targets]
    return Row(title, kind, load, value, cases, quick)


def nats_row(title: str, ours: list[tuple[str, dict]], **args) -> Row:
    cases = [Case("evlog", f"evlog, flush: {label}", {"load": "raw", "records": 1, **more}) for label, more in ours]
    cases += [Case(t, TITLES[t], {"load": "nats", **args}) for t in ("nats-flush", "nats")]
    return Row(title, "rate", "nats", 100, cases)


def parts(count: int) -> str:
    return f"{count} partition{'s' if count > 1 else ''}"


def all_rows() -> list[Row]:
    produce = [kafka_row(f"librdkafka: produce {size}, {parts(n)}, idempotent", "rate",
                         "rdkafka", value, quick=n == 1, verb="produce", partitions=n, count=count)
               for value, size, count in ((100, "100 B", 4_000_000), (1024, "1 KiB", 1_000_000)) for n in (1, 8)]
    consume = [kafka_row(f"librdkafka: consume {size} from the start, 1 partition", "rate", "rdkafka", value,
                         targets=("evlog", "kafka"), verb="consume", partitions=1, count=count)
               for value, size, count in ((100, "100 B", 4_000_000), (1024, "1 KiB", 1_000_000))]
    timed = [kafka_row(f"librdkafka: {what} at 5,000/s, 100 B, linger 0", "latency", "rdkafka", 100, verb=verb,
                       partitions=1, rate=5000)
             for verb, what in (("ack", "acknowledgement"), ("e2e", "end to end"))]
    batches = [kafka_row(f"raw: requests of {title}, {parts(n)}, 8 connections, {depth} under way on each", "rate",
                         "raw", value, quick=quick, records=records, partitions=n, conns=8, depth=depth)
               for title, records, value, n, depth, quick in (
                   ("100 x 100 B", 100, 100, 1, 8, False), ("1,000 x 100 B", 1000, 100, 1, 4, True),
                   ("1,000 x 100 B", 1000, 100, 8, 4, False), ("64 x 1 KiB", 64, 1010, 1, 4, False),
                   ("256 x 1 KiB", 256, 1010, 1, 4, False), ("1,000 x 1 KiB", 1000, 1010, 1, 2, False))]
    single = [kafka_row(f"raw: one event of 100 B a request, {parts(n)}, {conns} connection{'s' if conns > 1 else ''}",
                        "rate", "raw", 100, quick=n == 1, records=1, partitions=n, conns=conns, depth=1)
              for n, conns in ((1, 1), (1, 16), (1, 256), (16, 256))]
    single.append(kafka_row("raw: one event of 100 B a request, 5,000/s at fixed times, 16 connections", "latency",
                            "raw", 100, records=1, conns=16, depth=16, rate=5000))
    nats = [
        nats_row("one event of 100 B, 1 synchronous client", [("1 connection", {"conns": 1, "depth": 1})]),
        nats_row("one event of 100 B, 1 client, 500 in flight",
                 [("1 connection, 256 in flight", {"conns": 1, "depth": 256}),
                  ("256 connections", {"conns": 256, "depth": 1})], depth=500),
        nats_row("one event of 100 B, 256 synchronous clients", [("256 connections", {"conns": 256, "depth": 1})],
                 clients=256),
    ]
    groups = [kafka_row("groups: commits, 100 groups of one member, one at a time", "rate", "group", 8,
                        targets=("evlog", "kafka-flush", "kafka"), verb="commit", members=100),
              kafka_row("groups: a rebalance of 100 members", "latency", "group", 8,
                        targets=("evlog", "kafka-flush", "kafka"), verb="rebalance", members=100)]
    return produce + consume + timed + batches + single + nats + groups


def busy_s() -> float:
    """Of all processors, everybody; what the hypervisor gave to others as well."""
    numbers = [int(n) for n in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(numbers) - numbers[3] - numbers[4]) / os.sysconf("SC_CLK_TCK")


def children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def client_version(build: Path) -> str:
    return subprocess.run([str(build / "peers/rdkafka_load"), "version"], capture_output=True, text=True,
                          check=True).stdout.strip()


class Loads:
    """Runs the load generators. seconds: of each measurement; share: of the events of a row that is counted."""

    settle_s = 0.3

    def __init__(self, build: Path, brokers: dict, seconds: float, share: float):
        self.build, self.brokers, self.seconds, self.share = build, brokers, seconds, share
        self.count = 0

    def broker(self, target: str):
        return self.brokers.get("evlog" if target == "evlog-memory" else target)

    def run(self, broker, command: list[str]) -> tuple[dict, float, float]:
        """What it printed, the broker's processor time meanwhile, and the share of the processors others had."""
        at, busy, own, used = time.monotonic(), busy_s(), broker.cpu_s(), children_s()
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_LIMIT_S, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join([Path(command[0]).name, *command[1:]])}: {done.stderr.strip()}")
        took, cpu = time.monotonic() - at, broker.cpu_s() - own
        others = (busy_s() - busy - cpu - (children_s() - used)) / took / os.cpu_count()
        return json.loads(done.stdout or "{}"), cpu, max(0.0, others)

    def topic(self, verb: str, target: str, value: int, name: str, partitions: int) -> None:
        broker = self.broker(target)
        command = [str(self.build / "peers/raw_load"), verb, f"--port={broker.port}", f"--topic={name}",
                   f"--partitions={partitions}", f"--value={value}"]
        self.run(broker, command + (["--memory"] if target == "evlog-memory" else []))

    def measure_raw(self, case: Case, value: int) -> tuple:
        broker = self.broker(case.target)
        command = [str(self.build / "peers/raw_load"), "run", f"--port={broker.port}", f"--pid={broker.process.pid}",
                   f"--value={value}", f"--seconds={self.seconds}", f"--topic=bench{self.count}"]
        command += [f"--{name}={number}" for name, number in case.args.items() if name != "load"]
        command += ["--memory"] if case.target == "evlog-memory" else []
        out, _, others = self.run(broker, command)
        return out, out["broker_s"], others

    def rdkafka(self, broker, verb: str, name: str, value: int, args: dict) -> tuple:
        rate = args.get("rate", 0)
        count = int(rate * (self.seconds + 1)) if rate else max(10000, int(args["count"] * self.share))
        command = [str(self.build / "peers/rdkafka_load"), verb, f"--port={broker.port}", f"--topic={name}",
                   f"--partitions={args['partitions']}", f"--value={value}", f"--count={count}", f"--rate={rate}"]
        return self.run(broker, command)

    def measure_rdkafka(self, case: Case, value: int) -> tuple:
        broker, args, name = self.broker(case.target), case.args, f"bench{self.count}"
        self.topic("create", case.target, value, name, args["partitions"])
        if args["verb"] == "consume":
            self.rdkafka(broker, "produce", name, value, args)
        result = self.rdkafka(broker, args["verb"], name, value, args)
        self.topic("delete", case.target, value, name, 1)
        return result

    def measure_group(self, case: Case, value: int) -> tuple:
        broker, name = self.broker(case.target), f"bench{self.count}"
        self.topic("create", case.target, value, name, 1)
        result = self.run(broker, [str(self.build / "peers/group_load"), case.args["verb"], f"--port={broker.port}",
                                   f"--topic={name}", f"--members={case.args['members']}",
                                   f"--seconds={self.seconds}"])
        self.topic("delete", case.target, value, name, 1)
        return result

    def measure_nats(self, case: Case, value: int) -> tuple:
        broker = self.broker(case.target)
        command = [str(self.build / "peers/nats/nats_load"), f"-url=nats://127.0.0.1:{broker.port}",
                   f"-seconds={self.seconds}", f"-value={value}"]
        return self.run(broker, command + [f"-{name}={number}" for name, number in case.args.items() if name != "load"])

    def measure(self, case: Case, value: int) -> Sample:
        self.count += 1
        out, cpu, others = getattr(self, f"measure_{case.args['load']}")(case, value)
        gb = out["records"] * value / 1e9
        sample = Sample(rate=out["records"] / out["seconds"], mb=gb * 1000 / out["seconds"],
                        cpu_gb=cpu / gb if gb > 0 else 0, p50=out["p50_us"], p99=out["p99_us"], p999=out["p999_us"],
                        others=others, missing=out.get("missing", 0))
        os.sync()  # what one broker has left to write or to remove is not another's to wait for
        time.sleep(self.settle_s)
        return sample
