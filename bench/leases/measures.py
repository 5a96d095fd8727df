# SPDX-License-Identifier: Apache-2.0
"""What is measured, and how one measurement of it is taken."""
import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "peers"))

import rows as peers  # noqa: E402
import systems  # noqa: E402

VALUE = 100
HOLD_S = 1  # for a system to settle before its memory is looked at


@dataclass
class Row:
    """Events of one kind of work. counts: of each system, so that each takes about as long."""
    title: str
    verb: str
    counts: dict
    args: dict
    beside: str = ""  # title of the row that this one is compared with
    samples: dict = field(default_factory=dict)  # system -> list of Sample


@dataclass
class Sample:
    rate: float
    p50: float
    p99: float
    cpu_us: float  # processor time of the broker for an event
    others: float
    failed: int


@dataclass
class Memory:
    before_mib: float
    after_mib: float
    count: int
    rate: float
    seconds: float
    meanwhile: float = 0  # events a second beside those that wait

    def each(self) -> float:
        return (self.after_mib - self.before_mib) * 1048576 / self.count


ONE, MANY, BATCH = "1 worker, one at a time", "16 workers, one at a time", "4 workers, up to 250 at a time"


def all_rows() -> list[Row]:
    batch = {"workers": 4, "inflight": 250}
    failing = {**batch, "fail": 1000, "delay": 100}
    return [
        Row(ONE, "work", {"evlog": 4000, "nats": 2500, "rabbit": 2500}, {"workers": 1, "inflight": 1}),
        Row(MANY, "work", {"evlog": 20000, "nats": 4000, "rabbit": 12000}, {"workers": 16, "inflight": 1}),
        Row(BATCH, "work", {"evlog": 500_000, "nats": 4000, "rabbit": 120_000}, batch),
        Row(BATCH + "; 1 key in 1,000 always fails", "work", {"evlog": 500_000, "nats": 4000, "rabbit": 120_000},
            failing, beside=BATCH),
        Row("retry after 500 ms: how late", "retry", dict.fromkeys(("evlog", "nats", "rabbit"), 1000),
            {"workers": 4, "inflight": 16, "rate": 500, "delay": 500}),
    ]


class Loads:
    settle_s = 0.3

    def __init__(self, found: dict, share: float):
        self.found, self.share, self.number = found, share, 0

    def count(self, count: int) -> int:
        return max(500, int(count * self.share))

    def name(self) -> str:
        self.number += 1
        return f"bench{self.number}"

    def fill(self, system, name: str, count: int, **args) -> dict:
        return systems.call(system.load("fill", name, {"count": count, **args}))

    def measure(self, row: Row, which: str) -> Sample:
        system, name, count = self.found[which], self.name(), self.count(row.counts[which])
        args = {"count": count, "value": VALUE, **row.args}
        if row.verb == "work":
            self.fill(system, name, count, **({"delay": args["delay"]} if "delay" in args else {}))
            os.sync()  # what has been filled in is not what is measured
            time.sleep(self.settle_s)
        at, busy, own, used = time.monotonic(), peers.busy_s(), system.cpu_s(), peers.children_s()
        out = systems.call(system.load(row.verb, name, args))
        took, cpu = time.monotonic() - at, system.cpu_s() - own
        others = (peers.busy_s() - busy - cpu - (peers.children_s() - used)) / took / os.cpu_count()
        time.sleep(self.settle_s)
        return Sample(rate=out["records"] / out["seconds"], p50=out["p50_us"], p99=out["p99_us"],
                      cpu_us=cpu / out["records"] * 1e6, others=max(0.0, others), failed=out["failed"])

    def memory_hold(self, which: str, count: int) -> Memory:
        """Events in the hands of workers: a fresh broker before, and then with all of them leased."""
        system, name = self.found[which], self.name()
        self.restart(system)
        self.fill(system, name, count, keys=count)
        time.sleep(HOLD_S)
        before = system.resident_mib()
        command = system.load("hold", name, {"count": count, "keys": count, "workers": 4, "inflight": count // 4})
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            ready, _, _ = select.select([process.stdout], [], [], systems.RUN_LIMIT_S)
            if not ready:
                process.kill()
            out = json.loads(process.stdout.readline() or "{}")
            time.sleep(HOLD_S)
            after = system.resident_mib()
            process.stdin.close()
        if not out or process.returncode != 0:
            raise RuntimeError(f"{which}: hold ended")
        return Memory(before, after, out["records"], out["records"] / out["seconds"], out["seconds"])

    def memory_wait(self, which: str, count: int, meanwhile: int) -> Memory:
        """Events that wait for a retry ten minutes away; then others are worked on."""
        system, name = self.found[which], self.name()
        self.restart(system)
        self.fill(system, name, count, keys=count, delay=600_000)
        time.sleep(HOLD_S)
        before = system.resident_mib()
        out = systems.call(system.load("wait", name, {"count": count, "keys": count, "delay": 600_000, "workers": 4,
                                                      "inflight": 250}))
        time.sleep(HOLD_S)
        after = system.resident_mib()
        self.fill(system, name, meanwhile, keys=2 * count, first=count)
        again = systems.call(system.load("work", name, {"count": meanwhile, "delay": 600_000, "workers": 4,
                                                        "inflight": 250}))
        return Memory(before, after, count, out["records"] / out["seconds"], out["seconds"],
                      again["records"] / again["seconds"])

    def restart(self, system) -> None:
        system.stop()
        system.start(fresh=True)
