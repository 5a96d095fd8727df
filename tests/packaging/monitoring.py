#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Alerts and dashboard name only metrics that evlogd has, and each alert has its runbook.

What Prometheus itself makes of the expressions is in test_monitoring.py.
"""
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "packaging/prometheus/evlog.rules.yml"
DASHBOARD = ROOT / "packaging/grafana/evlog.json"
NAME = re.compile(r"\bevlog_[a-z_]+\b")
OTHERS = {"evlog_build_info", "evlog_group_lag_left_out"}   # said by metrics.c and lag.c themselves


def known():
    names = set(OTHERS)
    text = (ROOT / "broker/obs/metrics.def").read_text(encoding="utf-8")
    for name, kind in re.findall(r'METRIC\(\w+,\s*"(evlog_\w+)",\s*(\w+)', text):
        names.update([f"{name}_{part}" for part in ("bucket", "sum", "count")] if kind == "HISTOGRAM" else [name])
    text = (ROOT / "broker/obs/metrics_rows.def").read_text(encoding="utf-8")
    names.update(re.findall(r'METRIC_ROWS\(\w+,\s*"(evlog_\w+)"', text))
    return names


def alerts():
    """(name, expression, anchor of the runbook) of every alert"""
    alert = r"- alert: (\S+)\n +expr: (.*)\n(?:.*\n)*? +runbook: docs/runbooks\.md#(\S+)"
    return re.findall(alert, RULES.read_text(encoding="utf-8"))


def panels():
    """(title, expression) of every query of the dashboard"""
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def findings():
    metrics = known()
    sections = re.findall(r"^### (\S+)$", (ROOT / "docs/runbooks.md").read_text(encoding="utf-8"), re.MULTILINE)
    listed = alerts()
    if len(listed) != RULES.read_text(encoding="utf-8").count("- alert:"):
        yield f"{RULES.name}: an alert lacks its expression or its runbook"
    for name, expression in [alert[:2] for alert in listed] + list(panels()):
        for metric in NAME.findall(expression):
            if metric not in metrics:
                yield f"{name}: evlogd has no metric {metric}"
    for name, _, anchor in listed:
        if anchor not in sections:
            yield f"{name}: docs/runbooks.md has no section {anchor}"
    for section in set(sections) - {alert[2] for alert in listed}:
        yield f"docs/runbooks.md: no alert leads to {section}"


def main():
    found = list(findings())
    for finding in found:
        print(finding)
    print(f"{len(alerts()) + len(list(panels()))} passed, {len(found)} failed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
