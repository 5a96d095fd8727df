#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares evlog's message tables with Kafka's own message definitions, field by field.

Goal: no table row differs from the definition in order, type, versions, nullable versions, tag, default, ignorable or
key; no version range or error code differs from the reference tables.
Method: the rows of client/wire/msg_*.c are read as text and compared with the JSON definitions. These are not part of
this repository: they are looked for in $EVLOG_SHARED/kafka-protocol, else in ../shared/kafka-protocol beside it.

usage: test_against_definitions.py      exit 0 equal, 1 different, 77 no definitions to compare with
"""
import json
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
SHARED = os.environ.get("EVLOG_SHARED") or os.path.join(os.path.dirname(ROOT), "shared")
PROTOCOL = os.path.join(SHARED, "kafka-protocol")
VERSION_MAX = 31
CONSTANTS = {"INT32_MAX": 2**31 - 1, "INT32_MIN": -2**31, "INT64_MAX": 2**63 - 1, "true": 1, "false": 0}

problems = []


def problem(where, text):
    problems.append(f"{where}: {text}")


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return file.read()


# --- what the definitions say ---------------------------------------------------------------------------------------

def definition(name):
    lines = read(PROTOCOL, "messages", f"{name}.json").splitlines()
    return json.loads("\n".join(line for line in lines if not line.lstrip().startswith("//")))


def version_set(text, low, high):
    """Versions of a definition's range that lie in low..high."""
    if text in (None, "none"):
        return frozenset()
    first, _, last = text.rstrip("+").partition("-")
    last = high if text.endswith("+") else int(last or first)
    return frozenset(range(max(int(first), low), min(last, high) + 1))


def snake(name):
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def default_of(field):
    """(is null, number) of a field that is absent."""
    value = field.get("default")
    if value is None or value == "":
        return False, 0
    if value == "null":
        return True, 0
    if isinstance(value, bool) or value in ("true", "false"):
        return False, int(value in (True, "true"))
    return False, int(str(value), 0)


# --- what the tables say ---------------------------------------------------------------------------------------------

TABLE = re.compile(r"static const struct el_field (\w+)_fields\[\] = \{\n(.*?)\n\};", re.S)
SCHEMA = re.compile(r"const struct el_schema el_schema_(\w+) =\s*EL_SCHEMA\((\w+), (\d+), (\d+), (\w+)\);")
ROW = re.compile(r"EL_(\w+)\(T,\s*(.*?)\),\s*(?=EL_|\Z)", re.S)
MASK = {
    "EL_ALL": lambda: range(VERSION_MAX + 1),
    "EL_FROM": lambda low: range(low, VERSION_MAX + 1),
    "EL_UPTO": lambda high: range(high + 1),
    "EL_BETWEEN": lambda low, high: range(low, high + 1),
}


def mask_set(text, low, high):
    name, _, arguments = text.partition("(")
    numbers = [int(number) for number in re.findall(r"\d+", arguments)]
    return frozenset(version for version in MASK[name](*numbers) if low <= version <= high)


def split_arguments(text):
    """At commas outside parentheses."""
    return [part.strip() for part in re.split(r",\s*(?![^(]*\))", text)]


def parse_row(kind, arguments):
    """The row as a dict: type, name, sub (struct stem or None), array, versions text, options."""
    parts = split_arguments(arguments)
    row = {"array": kind in ("ARRAY", "STRUCTS"), "sub": None, "type": kind.lower()}
    if kind == "STRUCTS":
        row["sub"], row["name"], row["type"] = parts[0], parts[1], "struct"
        rest = parts[3:]
    elif kind in ("STRUCT", "STRUCT_PTR"):
        row["sub"], row["name"], row["type"] = parts[0], parts[1], "struct"
        rest = parts[2:]
    elif kind == "ARRAY":
        row["type"], row["name"] = parts[0].lower(), parts[2]
        rest = parts[4:]
    else:
        row["name"] = parts[0]
        rest = parts[1:]
    row["versions"] = rest[0]
    row["options"] = dict(option.lstrip(".").split(" = ") for option in rest[1:])
    return row


def parse_tables(stem):
    text = read(ROOT, "client", "wire", f"msg_{stem}.c")
    tables = {}
    for name, body in TABLE.findall(text):
        tables[name] = [parse_row(kind, arguments) for kind, arguments in ROW.findall(body.strip() + "\n")]
        if len(tables[name]) != len(re.findall(r"^\s*EL_\w+\(T,", body, re.M)):
            problem(name, "a row could not be read")
    schemas = {name: (int(low), int(high), flexible) for name, _, low, high, flexible in SCHEMA.findall(text)}
    return tables, schemas


def parse_apis():
    text = re.sub(r"/\*.*?\*/", "", read(ROOT, "include", "wire", "api.def"), flags=re.S)
    for arguments in re.findall(r"^X\((.*)\)$", text, re.M):
        name, stem, *numbers, body, operation, _audit = split_arguments(arguments)
        key, list_min, list_max, accept_min = (int(number, 0) for number in numbers[:4])
        flexible = numbers[4]
        yield {"name": name, "stem": stem, "key": key, "list_min": list_min, "list_max": list_max,
               "accept_min": accept_min, "flexible": flexible, "body": body, "operation": operation}


# --- comparison ------------------------------------------------------------------------------------------------------

class Message:
    """One request or response: its tables, the versions compared, the structs the definition names once."""

    def __init__(self, tables, schemas, api, common):
        self.tables, self.schemas, self.api, self.common = tables, schemas, api, common
        self.low, self.high = api["accept_min"], api["list_max"]
        self.row_count = 0

    def compare_struct(self, stem, fields):
        if self.schemas.get(stem) != (self.low, self.high, self.api["flexible"]):
            problem(stem, f"EL_SCHEMA says {self.schemas.get(stem)}")
        rows = self.tables.get(stem, [])
        wanted = [field for field in fields if version_set(field["versions"], self.low, self.high)]
        names = [snake(field["name"]) for field in wanted]
        if names != [row["name"] for row in rows]:
            problem(stem, f"fields {[row['name'] for row in rows]}, definition {names}")
            return
        for row, field in zip(rows, wanted):
            self.compare_row(f"{stem}.{row['name']}", row, field)
            self.row_count += 1
            if row["sub"] is not None:
                kind = field["type"].removeprefix("[]")
                self.compare_struct(row["sub"], field.get("fields") or self.common.get(kind, []))

    def compare_row(self, where, row, field):
        options = row["options"]
        unknown = set(options) - {"nullable", "tagged", "tag", "null_initial", "initial", "ignorable", "key"}
        kind = field["type"].removeprefix("[]")
        is_null, number = default_of(field)
        versions = version_set(field["versions"], self.low, self.high)
        initial = options.get("initial", "0")
        checks = {
            "unknown options": (unknown, set()),
            "array": (row["array"], field["type"].startswith("[]")),
            "type": (row["type"], "struct" if row["sub"] else kind),
            "versions": (mask_set(row["versions"], self.low, self.high), versions),
            "nullable": (self.option_set(options, "nullable"),
                         version_set(field.get("nullableVersions"), self.low, self.high) & versions),
            "tagged": (self.option_set(options, "tagged"),
                       version_set(field.get("taggedVersions"), self.low, self.high)),
            "tag": (int(options.get("tag", 0)), field.get("tag", 0)),
            "null default": (options.get("null_initial") == "true", is_null),
            "default": (CONSTANTS.get(initial) if initial in CONSTANTS else int(initial), number),
            "ignorable": (options.get("ignorable") == "true", field.get("ignorable") in (True, "true")),
            "key": (options.get("key") == "true", field.get("mapKey", False)),
        }
        for what, (ours, theirs) in checks.items():
            if ours != theirs:
                problem(where, f"{what} {plain(ours)}, definition {plain(theirs)}")

    def option_set(self, options, name):
        return mask_set(options[name], self.low, self.high) if name in options else frozenset()


def plain(value):
    return sorted(value) if isinstance(value, (set, frozenset)) else value


def compare_api(api):
    tables, schemas = parse_tables(api["stem"])
    row_count = 0
    for side in ("Request", "Response"):
        wanted = definition(api["name"] + side)
        where = wanted["name"]
        valid = version_set(wanted["validVersions"], 0, VERSION_MAX)
        if wanted["apiKey"] != api["key"]:
            problem(where, f"key {api['key']}, definition {wanted['apiKey']}")
        if not {api["accept_min"], api["list_max"]} <= valid:
            problem(where, f"versions {api['accept_min']}-{api['list_max']}, definition {wanted['validVersions']}")
        if wanted.get("latestVersionUnstable") is True and api["list_max"] == max(valid):
            problem(where, f"version {api['list_max']} is not final")
        if wanted["flexibleVersions"] != ("none" if api["flexible"] == "EL_NEVER" else f"{api['flexible']}+"):
            problem(where, f"flexible from {api['flexible']}, definition {wanted['flexibleVersions']}")
        common = {struct["name"]: struct["fields"] for struct in wanted.get("commonStructs", [])}
        message = Message(tables, schemas, api, common)
        message.compare_struct(f"{api['stem']}_{side.lower()}", wanted["fields"])
        row_count += message.row_count
    return row_count


def compare_versions(apis):
    rows = [line.split("\t") for line in read(PROTOCOL, "api-versions.tsv").splitlines() if not line.startswith("#")]
    table = {int(row[0]): row for row in rows}
    for api in apis:
        key, name, low, high, flexible = table[api["key"]][:5]
        ours = (api["name"], api["list_min"], api["list_max"], api["flexible"])
        if ours != (name, int(low), int(high), "EL_NEVER" if flexible == "-" else flexible):
            problem("api.def", f"{ours}, api-versions.tsv {(name, low, high, flexible)}")


def compare_error_codes():
    text = read(ROOT, "include", "wire", "error_code.def")
    ours = re.findall(r"^X\((\w+),\s*(-?\d+), (true|false)\)$", text, re.M)
    rows = [line.split("\t") for line in read(PROTOCOL, "error-codes.tsv").splitlines() if not line.startswith("#")]
    theirs = [(name, code, "true" if retry == "yes" else "false") for code, name, retry in rows]
    for row in set(ours) ^ set(theirs):
        problem("error_code.def", f"{row} is only in {'error_code.def' if row in ours else 'error-codes.tsv'}")
    return len(ours)


def main():
    if not os.path.isdir(os.path.join(PROTOCOL, "messages")):
        print(f"SKIP: no Kafka message definitions in {PROTOCOL}; name another place in EVLOG_SHARED")
        return 77
    apis = [api for api in parse_apis() if api["body"] == "KAFKA"]
    row_count = sum(compare_api(api) for api in apis)
    compare_versions(apis)
    error_count = compare_error_codes()
    if not apis or not row_count or not error_count:
        problem("this test", "nothing was compared")
    for text in problems:
        print(text)
    print(f"{len(apis)} requests, {row_count} fields, {error_count} error codes compared, {len(problems)} differences")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
