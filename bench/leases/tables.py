# SPDX-License-Identifier: Apache-2.0
"""The tables of a run, and the page around them."""
from statistics import median

WIDTH = 34
NOTES = """\
Rates are medians of several measurements in turns, with the least and the largest. *cycle* is the time from asking for
work until its outcome was confirmed (RabbitMQ: until it was sent, for AMQP confirms no acknowledgement; there the next
message comes when it has been applied). *broker us* is processor time of the broker for an event, *others* the share
of the processors that neither broker nor load has used. *to evlog* says how many times as fast evlog is, *healthy* how
fast the events of other keys go compared with the row without failures of the same run.

With order by key, evlog's default, the later events of a key that fails wait for it; the other two have no order, and
deliver what comes later. Each event of NATS is acknowledged by a message of its own, since AckExplicit knows no other;
evlog and RabbitMQ take one outcome for many. evlog's load is a C program on libevlog, the other two are driven by their
own Go clients: a client's processor time is taken from the same two processors."""
MEANING = "../../docs/performance.md#work-groups-beside-nats-jetstream-and-rabbitmq"


def middle(samples: list, name: str) -> float:
    return median(getattr(sample, name) for sample in samples)


def cells_of(samples: list) -> list[str]:
    rates = [sample.rate for sample in samples]
    return [f"{median(rates):.0f}", f"({min(rates):.0f}", f"{max(rates):.0f})", f"{middle(samples, 'p50') / 1000:.2f}",
            f"{middle(samples, 'p99') / 1000:.2f}", f"{middle(samples, 'cpu_us'):.1f}",
            f"{middle(samples, 'others') * 100:.0f}%"]


def row_lines(found: dict, row, by_title: dict) -> list[str]:
    lines = [row.title]
    for which, system in found.items():
        samples = row.samples.get(which)
        if not samples:
            continue
        cells = cells_of(samples)
        ours = row.samples.get("evlog")
        compared = ours and which != "evlog" and row.verb == "work"
        cells.append(f"{middle(ours, 'rate') / middle(samples, 'rate'):.1f}x" if compared else "")
        alone = by_title[row.beside].samples.get(which) if row.beside in by_title else None
        cells.append(f"{middle(samples, 'rate') / middle(alone, 'rate'):.2f}x" if alone else "")
        lines.append(f"  {system.label:<{WIDTH - 2}}" + "".join(f"{cell:>11}" for cell in cells).rstrip())
    return lines


def memory_lines(found: dict, title: str, results: dict) -> list[str]:
    lines = [title]
    for which, m in results.items():
        cells = [str(m.count), f"{m.rate:.0f}", f"{m.before_mib:.1f}", f"{m.after_mib:.1f}", f"{m.each():.0f}"]
        cells += [f"{m.meanwhile:.0f}"] if m.meanwhile else []
        lines.append(f"  {found[which].label:<{WIDTH - 2}}" + "".join(f"{cell:>11}" for cell in cells))
    return lines


def lines(found: dict, rows: list, held: dict, waiting: dict) -> list[str]:
    titles = ("events/s", "(min", "max)", "p50 ms", "p99 ms", "broker us", "others", "to evlog", "healthy")
    out = [f"{'cycle, or lateness of a retry':<{WIDTH}}" + "".join(f"{title:>11}" for title in titles)]
    by_title = {row.title: row for row in rows}
    for row in rows:
        out += row_lines(found, row, by_title)
    if held or waiting:
        titles = ("events", "events/s", "MiB before", "MiB after", "bytes each", "others/s")
        out += ["", f"{'':<{WIDTH}}" + "".join(f"{title:>11}" for title in titles)]
        out += memory_lines(found, "leased and kept", held)
        out += memory_lines(found, "waiting for a retry", waiting)
    return out


def page(found: dict, head: list[str], limits: list[str], body: list[str], failed: list[str]) -> str:
    text = ["# Work groups beside NATS JetStream and RabbitMQ", "",
            "Written by `bench/leases/run --report`; `make bench-leases` builds and fetches what it needs. "
            f"[What the rows mean]({MEANING}).",
            "", *head,
            *(f"- {system.version()}" for system in found.values()),
            *(f"- {system.label}: {system.settings()}" for system in found.values()), "", NOTES, ""]
    text += ["Failed:", "", *failed, ""] if failed else []
    return "\n".join([*text, "```", *body, "```", "",
                      "Limits of the machine in the same run (`build/bench/limits`):", "", "```", *limits, "```", ""])
