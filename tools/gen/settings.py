#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reference pages from the tables of evlogd: its settings, those of topics and of work groups, the metrics.

usage: settings.py FOLDER

Writes evlogd-settings.md, topic-settings.md, group-settings.md and metrics.md. The tables are read as text: rows of a
macro call whose arguments are C strings, names and constant expressions over include/core/limits.h.
"""
import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[A-Za-z_]\w*|\d+u?|<<|[-+*(),])')
NUMBER_NAMES = {"INT64_MAX": 2**63 - 1, "INT32_MAX": 2**31 - 1}
TOPIC_SECTION = "topics"
LISTENER_SECTION = "network"
LISTENER_NEEDS = {"TLS": "`SSL`, `SASL_SSL`", "NAMES": "`SSL`", "SASL": "`SASL_PLAINTEXT`, `SASL_SSL`"}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return re.sub(r"/\*.*?\*/", " ", file.read(), flags=re.DOTALL)


def evaluate(text, names):
    """Value of a constant C expression of numbers, names, + - * << and parentheses."""
    text = re.sub(r"\bU?INT64_C\b", "", re.sub(r"\b(\d+)[uUlL]+\b", r"\1", text))
    words = re.findall(r"[A-Za-z_]\w*|\d+|<<|[-+*()]", text)
    return eval(" ".join(str(names[word]) if word[0].isalpha() else word for word in words))  # words are checked above


def limits():
    names = dict(NUMBER_NAMES)
    for name, value in re.findall(r"^#define (EL_\w+) +(\S.*)$", read("include/core/limits.h"), re.MULTILINE):
        names[name] = evaluate(value, names)
    return names


def rows(path, macro, columns):
    """One dictionary for each macro(...) of a file; neighbouring strings are joined, other arguments stay text."""
    text, found = read(path), []
    for start in re.finditer(r"\b" + macro + r"\s*\(", text):
        at, depth, arguments = start.end(), 1, [[]]
        while depth > 0:
            match = TOKEN.match(text, at)
            if match is None:
                sys.exit(f"{path}: cannot read the row at: {text[start.start():start.start() + 60]!r}")
            token, at = match.group(1), match.end()
            depth += {"(": 1, ")": -1}.get(token, 0)
            if token == "," and depth == 1:
                arguments.append([])
            elif depth > 0:
                arguments[-1].append(token)
        if len(arguments) != len(columns):
            sys.exit(f"{path}: a row of {macro} has {len(arguments)} columns, expected {len(columns)}")
        found.append(dict(zip(columns, map(value_of, arguments))))
    return found


def value_of(tokens):
    if tokens and tokens[0].startswith('"'):
        return "".join(re.sub(r"\\(.)", r"\1", token[1:-1]) for token in tokens)
    return " ".join(tokens)


def cell(text):
    return text.replace("|", "\\|")


def table(heads, lines):
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for line in lines:
        yield "| " + " | ".join(map(cell, line)) + " |"


def with_unit(value, units):
    for factor, unit in units:
        if value > 0 and value % factor == 0:
            return f"{value // factor}{unit}"
    return str(value)


SIZES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
DURATIONS = ((86400000, "d"), (3600000, "h"), (60000, "m"), (1000, "s"), (1, "ms"))


def setting_range(row, names):
    kind = row["kind"]
    if kind == "CHOICE":
        return ", ".join(f"`{word}`" for word in row["choices"].split("|"))
    if kind == "BOOL":
        return "`true`, `false`"
    if kind in ("PATH", "TEXT"):
        return kind.lower()
    if kind == "URL":
        return kind
    if kind == "ADDRESS":
        words = row["choices"].split("|") if row["choices"] else []
        return "host:port" + (" or `off`" if "off" in words else "") + (
            ", `https://` before it" if "https" in words else "")
    units = {"SIZE": SIZES, "DURATION": DURATIONS}.get(kind, ())
    low, high = evaluate(row["min"], names), evaluate(row["max"], names)
    unit = {"SIZE": "bytes ", "DURATION": "duration "}.get(kind, "")
    if high == NUMBER_NAMES["INT64_MAX"]:
        return f"{unit}from {with_unit(low, units)}"
    return f"{unit}{with_unit(low, units)} to {with_unit(high, units)}"


def evlogd_page(names):
    settings = rows("broker/config/settings.def", "SETTING",
                    ("member", "name", "section", "key", "kind", "default", "min", "max", "choices", "reload", "doc"))
    yield "# Settings of evlogd"
    yield ""
    yield ("A flag wins over the environment, that over the file of `--config`, that over the default. The flag of a "
           "setting is `--` and its name with dots as dashes, as `--name=value` or `--name value`; a setting that is "
           "true or false may stand alone. In the file it is `key = value` under its `[section]`; in the environment "
           "`EVLOG_<SECTION>__<KEY>` in capitals, with dots as underscores. Sizes take `KiB`, `MiB`, `GiB`; durations "
           "`ms`, `s`, `m`, `h`, `d`, or plain milliseconds.")
    yield ""
    yield ("`evlogd --print-config` shows every value and where it comes from; `--check-config` only checks. On "
           "`SIGHUP` everything is read again: settings marked *reload* change at once, others wait for a restart, and "
           "a configuration with a fault changes nothing.")
    for section in dict.fromkeys(row["section"] for row in settings):
        yield ""
        yield f"## [{section}]"
        yield ""
        if section == TOPIC_SECTION:
            yield ("This section also takes every setting of [topics](topic-settings.md), as the default of all "
                   "topics; they are reloaded.")
            yield ""
        chosen = [row for row in settings if row["section"] == section]
        yield from table(("key", "flag", "default", "allowed", "", "meaning"),
                         ((f"`{row['key']}`", f"`--{row['name'].replace('.', '-')}`",
                           f"`{row['default']}`" if row["default"] else "", setting_range(row, names),
                           "reload" if row["reload"] == "RELOAD" else "", row["doc"]) for row in chosen))
        if section == LISTENER_SECTION:
            yield from listener_part({row["member"]: row for row in settings})


def listener_part(settings):
    yield ""
    yield ("A listener may have some settings for itself, which win over those of all at that listener: "
           "`listener.name.<name>.<setting>` in this section, the flag `--listener-name-<name>-<setting>`, the "
           "variable `EVLOG_NETWORK__LISTENER_NAME_<NAME>_<SETTING>`. They are reloaded where those of all are.")
    yield ""
    yield from table(("setting", "at listeners"),
                     ((f"`{settings[row['member']]['name']}`", LISTENER_NEEDS[row["needs"]])
                      for row in rows("broker/config/listener_settings.def", "LISTENER_SETTING", ("member", "needs"))))


def topic_range(row, names):
    low, high = evaluate(row["min"], names), evaluate(row["max"], names)
    if row["behaviour"] == "FIXED":
        return "the default only"
    if row["choices"]:
        return ", ".join(f"`{word}`" for word in row["choices"].split("|")[low:high + 1])
    if row["type"] == "BOOLEAN":
        return "`true`, `false`"
    scale = 1000000 if row["type"] == "DOUBLE" else 1
    if high == NUMBER_NAMES["INT64_MAX"]:
        return f"from {low}"
    return f"{low / scale:g} to {high / scale:g}" if scale > 1 else f"{low} to {high}"


def topic_default(row, names):
    value = evaluate(row["default"], names)
    if row["choices"]:
        return row["choices"].split("|")[value]
    if row["type"] == "BOOLEAN":
        return "true" if value else "false"
    return f"{value / 1000000:g}" if row["type"] == "DOUBLE" else str(value)


def topic_page(names):
    settings = rows("broker/config/topic_settings.def", "TOPIC_SETTING",
                    ("id", "name", "type", "default", "min", "max", "behaviour", "choices", "doc"))
    yield "# Settings of topics"
    yield ""
    yield ("Set with any Kafka admin tool, or for all topics in the section `[topics]` of [evlogd's "
           "configuration](evlogd-settings.md). A value outside what is allowed, and a name that does not exist, is "
           "refused with `INVALID_CONFIG`.")
    other = {row["id"]: row["name"]
             for row in rows("include/core/broker_names.def", "BROKER_NAME", ("id", "own", "name"))}
    parts = (("HONOURED", "evlogd does what these say", None),
             ("FIXED", "Only one value is taken", None),
             ("SHOWN", "Kept and shown, without effect", "Kafka's tools set or ask for these, so every legal value is "
              "kept and shown, and evlogd says in its log that it has no effect. The meaning says why."))
    for behaviour, title, text in parts:
        yield ""
        yield f"## {title}"
        yield ""
        if text:
            yield text
            yield ""
        yield from table(("setting", "default", "allowed", "meaning"),
                         ((f"`{row['name']}`", f"`{topic_default(row, names)}`", topic_range(row, names), row["doc"])
                          for row in settings if row["behaviour"] == behaviour))
    yield ""
    yield "## Names of the defaults"
    yield ""
    yield ("In evlogd's configuration each of these may also be called what Kafka calls the default of all topics; "
           "DescribeConfigs of the broker shows it under that name. All others have one name.")
    yield ""
    yield from table(("setting", "default of all topics"),
                     ((f"`{row['name']}`", f"`{other[row['id']]}`") for row in settings if row["id"] in other))


def group_range(row, names):
    if row["type"] != "TEXT" or row["behaviour"] == "FIXED":
        return topic_range(row, names)
    return f"text of {row['min']} to {row['max']} bytes"


def group_default(row, names):
    return row["choices"] if row["type"] == "TEXT" else topic_default(row, names)


def group_page(names):
    settings = rows("broker/config/group_settings.def", "GROUP_SETTING",
                    ("id", "name", "alias", "type", "default", "min", "max", "behaviour", "choices", "doc"))
    yield "# Settings of work groups"
    yield ""
    yield ("Work groups are share groups to Kafka's clients and tools. A setting is changed with any Kafka admin tool "
           "that knows settings of groups (`kafka-configs --entity-type groups`), and takes effect at once, also for "
           "what is leased already. Where Kafka has a name of its own for the same setting, either name sets it. A "
           "value outside what is allowed, and a name that does not exist, is refused with `INVALID_CONFIG`.")
    parts = (("HONOURED", "evlogd does what these say", None),
             ("FIXED", "Only one value is taken",
              "Kafka's tools know these; evlogd works one way. The meaning says how."))
    for behaviour, title, text in parts:
        yield ""
        yield f"## {title}"
        yield ""
        if text:
            yield text
            yield ""
        yield from table(("setting", "Kafka's name", "default", "allowed", "meaning"),
                         ((f"`{row['name']}`", f"`{row['alias']}`" if row["alias"] else "",
                           f"`{group_default(row, names)}`" if group_default(row, names) else "none",
                           group_range(row, names), row["doc"].replace("<", "&lt;"))
                          for row in settings if row["behaviour"] == behaviour))
    yield ""
    yield ("Settings that begin with `consumer.` or `streams.` are those of other kinds of groups and are refused: "
           "members of consumer groups bring their own timeouts, and streams groups do not exist here.")


def metrics_page():
    metrics = rows("broker/obs/metrics.def", "METRIC", ("id", "name", "type", "labels", "help"))
    yield "# Metrics"
    yield ""
    yield ("Served at `/metrics` of the HTTP port, each the sum over all shards. A histogram has `_bucket`, `_sum` and "
           "`_count`; its bounds are powers of two of nanoseconds from 8 us to 34 s. `evlog_build_info` carries the "
           "version as a label.")
    yield ""
    yield from table(("metric", "labels", "type", "meaning"),
                     ((f"`{row['name']}`", f"`{row['labels']}`" if row["labels"] else "", row["type"].lower(),
                       row["help"]) for row in metrics))
    yield ""
    yield ("Made at each look, one row for each group and topic; the HTTP port asks the shards and does not wait "
           "longer than a quarter of a second. Up to `metrics.group.rows.max` rows are shown, those with the most "
           "records; `evlog_group_lag_left_out` counts what is not, partitions over a limit and shards that were "
           "late.")
    yield ""
    yield from table(("metric", "labels", "type", "meaning"),
                     ((f"`{row['name']}`", ", ".join(f"`{label}`" for label in row["labels"].split(", ")), "gauge",
                       row["help"])
                      for row in rows("broker/obs/metrics_rows.def", "METRIC_ROWS", ("id", "name", "labels", "help"))))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    names = limits()
    pages = {"evlogd-settings.md": evlogd_page(names), "topic-settings.md": topic_page(names),
             "group-settings.md": group_page(names),
             "metrics.md": metrics_page()}
    for name, lines in pages.items():
        with open(os.path.join(sys.argv[1], name), "w", encoding="utf-8") as file:
            file.write("<!-- Generated by tools/gen/settings.py from the tables; do not edit. -->\n")
            file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
