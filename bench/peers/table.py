# SPDX-License-Identifier: Apache-2.0
"""The table of a run, the rows where a peer is ahead, and the section of bench/REPORT.md."""
from pathlib import Path
from statistics import median

HEADING = "## Peers"
WIDTH = 44
COLUMNS = ("records/s", "(min", "max)", "MB/s", "CPU s/GB", "p50 us", "p99 us", "p99.9 us", "others", "ratio",
           "CPU ratio")


def middle(case, name: str) -> float:
    return median(getattr(sample, name) for sample in case.samples)


def span(case, name: str) -> tuple[float, float]:
    values = [getattr(sample, name) for sample in case.samples]
    return min(values), max(values)


def ratio(ours, case, name: str) -> str:
    """How many times better evlog is: more records, or less time."""
    mine, theirs = middle(ours, name), middle(case, name)
    if mine <= 0 or theirs <= 0:
        return "-"
    return f"{mine / theirs if name == 'rate' else theirs / mine:.2f}x"


def micros(value: float) -> str:
    return f"{value:.0f}" if value > 0 else "-"


def case_line(row, case) -> str:
    low, high = span(case, "rate")
    cells = [f"{middle(case, 'rate'):.0f}", f"({low:.0f}", f"{high:.0f})", f"{middle(case, 'mb'):.1f}",
             f"{middle(case, 'cpu_gb'):.2f}", *(micros(middle(case, name)) for name in ("p50", "p99", "p999")),
             f"{middle(case, 'others') * 100:.0f}%"]
    if case is not row.cases[0] and row.cases[0].samples:
        cells += [ratio(row.cases[0], case, name) for name in ("rate" if row.kind == "rate" else "p50", "cpu_gb")]
    line = f"  {case.label:<{WIDTH - 2}}" + "".join(f"{cell:>11}" for cell in cells)
    if row.kind == "latency":
        line = f"{line:<{WIDTH + 11 * len(COLUMNS)}}" + "".join(
            "  {} {:.0f}..{:.0f}".format(text, *span(case, name))
            for name, text in (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9")))
    missing = max(sample.missing for sample in case.samples)
    return (line + (f"  {missing} not in time" if missing else "")).rstrip()


def header() -> str:
    return f"{'':<{WIDTH}}" + "".join(f"{name:>11}" for name in COLUMNS)


def row_lines(row) -> list[str]:
    times = max(len(case.samples) for case in row.cases)
    return [f"{row.title} ({times} of each)"] + [case_line(row, case) for case in row.cases if case.samples]


def footprint_lines(footprint: dict) -> list[str]:
    """footprint: broker -> name -> values"""
    lines = [f"{'':<{WIDTH}}{'idle MiB':>11}{'idle CPU':>11}{'first ack on an empty directory, ms':>38}"
             f"{'on an existing one, ms':>30}"]
    for name, f in footprint.items():
        empty, again = ("{:.0f} ({:.0f} .. {:.0f})".format(median(v), min(v), max(v)) if v else "-"
                        for v in (f["empty"], f["again"]))
        lines.append(f"  {name:<{WIDTH - 2}}{median(f['idle']):>11.1f}{median(f['cpu']) * 100:>10.1f}%{empty:>38}"
                     f"{again:>30}")
    return lines


def ahead(row, flushing: bool) -> list[str]:
    """Where a peer that flushes, or one that does not, beats evlog's default, by the medians."""
    names = [("rate", "records/s", True)] if row.kind == "rate" else [
        (name, text, False) for name, text in (("p50", "p50 us"), ("p99", "p99 us"), ("p999", "p99.9 us"))]
    names.append(("cpu_gb", "broker CPU s/GB", False))
    ours, found = row.cases[0], []
    for case in row.cases[1:]:
        wanted = case.samples and not case.target.startswith("evlog") and case.target.endswith("-flush") == flushing
        for name, text, more in names if wanted else []:
            mine, theirs = middle(ours, name), middle(case, name)
            if mine > 0 and theirs > 0 and (theirs > mine if more else theirs < mine):
                a, b = span(ours, name), span(case, name)
                note = "; the repeats overlap" if a[0] <= b[1] and b[0] <= a[1] else ""
                digits = 2 if name == "cpu_gb" else 0
                found.append(f"- {row.title}: {case.label}: {text} {theirs:.{digits}f}, evlog {mine:.{digits}f}{note}")
    return found


def ahead_lines(rows) -> list[str]:
    lines = []
    for flushing, what in ((True, "A peer that flushes too is ahead of evlog in:"),
                           (False, "A peer that does not flush is ahead of evlog, which does, in:")):
        found = [line for row in rows if row.cases[0].samples for line in ahead(row, flushing)]
        lines += [what, "", *(found or ["- none"]), ""]
    return lines


def heading(only: str | None) -> str:
    return f"{HEADING}: {only}" if only else HEADING


def write_section(path: Path, section: list[str]) -> None:
    """The section is the last one of the report; what stands before it is another program's (bench/run), or that of all
    rows when this one is of some."""
    text = path.read_text() if path.exists() else "# Benchmark report\n\n"
    before = text.split(section[0] + "\n", 1)[0].rstrip()
    path.write_text(before + "\n\n" + "\n".join(section) + "\n")
