# SPDX-License-Identifier: Apache-2.0
"""The command line as a person and a script meet it: exit codes, what goes to stdout and what to stderr, remedies.

Goal: a mistake is told with a code, a sentence and what to do, and every command does what its help says. Method: run
the program; refusals first.
"""
import contextlib
import gzip
import json
import os
import pty
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from cli_kit import evlog, shared_data
from conftest import BIN, ROOT, wait_for
from evlogd import stand_still

CE = '{"specversion":"1.0","id":"%s","source":"/s","type":"t","subject":"%s","data":%s}'


def event(event_id, subject="k", data="1"):
    return CE % (event_id, subject, data)


@pytest.fixture
def nobody():
    """An address where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield "127.0.0.1:%d" % taken.getsockname()[1]


# --- usage -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("args, hint", [
    (("prodcue", "t"), "did you mean evlog produce?"),
    (("topics", "lst"), "did you mean evlog topics ls?"),
    (("produce", "t", "--creat"), "did you mean --create?"),
    (("replay", "t", "--untl", "now"), "did you mean --until?"),
    (("replay", "t", "--until", "someday"), "a time is"),
    (("replay",), "usage: evlog replay TOPIC"),
    (("replay", "t", "--drop-type", "x"), "--fold latest"),
    (("replay", "t", "--fold", "first"), "latest"),
    (("consume", "t", "-o", "middle"), "start, end"),
    (("consume", "t", "-g", "workers", "-o", "end"), "groups seek"),
    (("consume", "t", "-g", "workers", "-p", "1"), "groups seek"),
    (("groups", "seek", "g"), "--to WHERE or --shift N"),
    (("groups", "seek", "g", "--to", "end", "--shift", "1"), "one of the two"),
    (("groups", "seek", "g", "--to", "middle"), "start, end"),
    (("groups", "seek", "g", "--to", "end", "-p", "x"), "a partition is a number"),
    (("groups", "lagg", "g"), "did you mean evlog groups lag?"),
    (("groups", "lag", "g", "--trend", "2h"), "up to 1h"),
    (("topics", "copy", "t", "t"), "into itself"),
    (("topics", "export", "t"), "usage: evlog topics export"),
    (("top", "-i", "1ms"), "100ms"),
    (("bench", "e2e", "t", "--rate", "0"), "--rate 1"),
    (("bench", "produce", "t", "-n", "0"), "-n takes"),
    (("bench", "append", "t", "-w", "9", "--streams", "8"), "as many as there are writers"),
    (("consume", "t", "-f", "%z"), "no verb"),
    (("produce", "t", "-p", "3", "x"), "--create"),
    (("produce", "t", "--create", "-p", "0", "x"), "partitions"),
    (("produce", "t", "-H", "novalue", "x"), "NAME=VALUE"),
    (("produce", "t", "--cloudevents", "f", "-k", "k"), "CloudEvents"),
    (("topics", "ls", "-X", "linger.sm=1"), "did you mean linger.ms?"),
    (("topics", "ls", "-X", "nothing"), "KEY=VALUE"),
    (("topics", "alter", "t"), "nothing to change"),
    (("append", "t", "k"), "--type"),
    (("append", "t", "k", "-t", "T", "--expect", "exist"), "did you mean exists?"),
    (("append", "t", "k", "-t", "T", "--expect", "-3"), "from 0 on"),
    (("append", "t", "k", "-t", "T", "--expect", "1x"), "from 0 on"),
    (("append", "t", "k", "-t", "T", "--data", "{total:7}"), "no JSON"),
    (("append", "t", "k", "-t", "T", "--id", ""), "--id is empty"),
    (("append", "t", "k", "-t", "T", "--check", "other"), "KEY=EXPECTED"),
    (("append", "t", "k", "-t", "T", "--check", "other=some"), "none, any, exists"),
    (("append", "t", "k", "-t", "T", "-H", "x"), "NAME=VALUE"),
    (("append", "t", "-t", "T"), "usage: evlog append TOPIC KEY"),
    (("read", "t"), "usage: evlog read TOPIC KEY"),
    (("read", "t", "k", "--from", "-5"), "begin at 0"),
    (("read", "t", "k", "--as-of", "someday"), "a time is"),
    (("read", "t", "k", "--type", "T"), "usage: evlog read TOPIC KEY"),
    (("read", "t", "--type", "T", "--from", "3"), "for streams"),
    (("streams", "lst", "t"), "did you mean evlog streams ls?"),
    (("streams", "top", "t", "-n", "0"), "1 to 10000"),
    (("streams", "delete", "t", "k", "--hard"), "--confirm=k"),
    (("streams", "delete", "t", "k", "--hard", "--confirm", "K"), "--confirm=k"),
    (("snapshot", "put", "t", "k"), "--data is needed"),
    (("snapshot", "put", "t", "k", "--data", "x", "--schema", "-1"), "begin at 0"),
    (("snapshot", "gte", "t", "k"), "did you mean evlog snapshot get?"),
    (("inspect",), "usage"),
    (("archive",), "status, now, restore, ls, verify"),
    (("acl", "--json"), "ls, allow, deny, rm, explain"),
    (("archive", "verfy", "x"), "did you mean evlog archive verify?"),
    (("archiv", "verify"), "did you mean evlog archive verify?"),
    (("archiv",), "did you mean evlog archive?"),
    (("prodce", "t"), "did you mean evlog produce?"),
    (("help", "topics", "nonsense-of-a-kind"), "evlog help topics lists"),
])
def test_mistakes_exit_2_with_a_remedy(args, hint, nobody):
    told = evlog(*args, bootstrap=nobody, expect=2)
    assert hint in told.err
    assert re.search(r"EVL-\d{4}", told.err)
    assert told.out == ""


def test_errors_are_json_on_request(nobody):
    told = evlog("topics", "ls", "--json", bootstrap=nobody, expect=3)
    error = json.loads(told.err)
    assert error["error"] == "EVL-1036" and "evlog up" in error["remedy"]


def test_nothing_listens(nobody):
    for args in (("topics", "ls"), ("consume", "t"), ("replay", "t"), ("produce", "t", "x")):
        started = time.monotonic()
        told = evlog(*args, bootstrap=nobody, expect=3)
        assert "EVL-1036" in told.err and nobody in told.err
        assert time.monotonic() - started < 20


def test_second_bootstrap_address_is_tried(broker, nobody):
    evlog("topics", "ls", "-b", f"{nobody},{broker.bootstrap}", expect=0)


def test_listener_that_is_no_kafka(nobody):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        address = "127.0.0.1:%d" % server.getsockname()[1]
        process = subprocess.Popen([str(BIN / "evlog"), "topics", "ls", "-b", address, "--timeout", "20s"],
                                   stderr=subprocess.PIPE, text=True)
        peer, _ = server.accept()
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        _, err = process.communicate(timeout=60)
        peer.close()
    assert process.returncode == 3
    assert "HTTP" in err


def test_help_version_explain():
    assert "usage: evlog COMMAND" in evlog(expect=0).out
    for command in ("up", "produce", "topics create", "replay"):
        told = evlog("help", *command.split(), expect=0)
        assert told.out.startswith(f"usage: evlog {command}") and told.err == ""
        assert evlog(*command.split(), "-h", expect=0).out == told.out
    told = evlog("help", "archive", expect=0)
    assert "archive verify" in told.out and "topics" not in told.out.split("\n", 1)[0] and told.err == ""
    assert evlog("archive", "-h", expect=0).out == evlog("archive", "--help", expect=0).out == told.out
    assert re.match(r"evlog \d+\.\d+\.\d+$", evlog("version", expect=0).out)
    assert evlog("--version", expect=0).out == evlog("version", expect=0).out
    assert json.loads(evlog("version", "--json", expect=0).out)["evlog"]
    assert "not reachable" in evlog("explain", "EVL-1036", expect=0).out
    evlog("explain", "EVL-9999", expect=5)


# --- settings --------------------------------------------------------------------------------------------------------

def test_flag_over_environment_over_file(broker, nobody, tmp_path):
    good, bad = tmp_path / "good.conf", tmp_path / "bad.conf"
    good.write_text(f"# a comment\nbootstrap.servers = {broker.bootstrap}\n")
    bad.write_text(f"bootstrap.servers = {nobody}\n")
    evlog("topics", "ls", "--config", good, expect=0)
    evlog("topics", "ls", "--config", good, bootstrap=nobody, expect=3)
    evlog("topics", "ls", "--config", bad, bootstrap=broker.bootstrap, expect=0)
    evlog("topics", "ls", "-b", broker.bootstrap, "--config", bad, bootstrap=nobody, expect=0)
    (tmp_path / "evlog").mkdir()
    (tmp_path / "evlog" / "here.conf").write_text(good.read_text())
    evlog("topics", "ls", "--context", "here", env={"XDG_CONFIG_HOME": str(tmp_path)}, expect=0)
    bad.write_text("bootstrap.servers = x\nlinger = 5\n")
    told = evlog("topics", "ls", "--config", bad, expect=2)
    assert "bad.conf:2" in told.err


# --- topics ----------------------------------------------------------------------------------------------------------

def test_topics_from_creation_to_removal(broker):
    def run(*args, **kw):
        return evlog("topics", *args, bootstrap=broker.bootstrap, **kw)

    run("create", "life", "-p", "3", "-c", "retention.ms=3600000", expect=0)
    run("create", "life", expect=6)
    run("create", "life", "--if-not-exists", expect=0)
    told = run("create", "other", "-c", "retention.mss=1")
    assert told.code != 0 and "retention.mss" in told.err
    assert run("create", "only-checked", "--dry-run", expect=0).code == 0
    names = [topic["name"] for topic in run("ls", "--json", expect=0).lines()]
    assert "life" in names and "only-checked" not in names
    assert not any(name.startswith("__") for name in names)
    shown = run("describe", "life", "--json", expect=0).lines()[0]
    assert shown["settings"]["retention.ms"] == "3600000"
    assert [p["partition"] for p in shown["partitions"]] == [0, 1, 2]
    run("alter", "life", "-c", "retention.ms=7200000", "-p", "5", expect=0)
    shown = run("describe", "life", "--json", expect=0).lines()[0]
    assert shown["settings"]["retention.ms"] == "7200000" and len(shown["partitions"]) == 5
    run("alter", "life", "--reset", "retention.ms", expect=0)
    assert "retention.ms" not in run("describe", "life", "--json", expect=0).lines()[0]["settings"]
    run("alter", "life", "-p", "2")
    run("describe", "nowhere", expect=5)
    assert "PARTITION" in run("describe", "life", expect=0).out
    refused = run("rm", "life", expect=2)
    assert "--confirm=life" in refused.err
    run("rm", "life", "--confirm=lief", expect=2)
    run("rm", "life", "--confirm=life", expect=0)
    run("describe", "life", expect=5)
    run("rm", "life", "--confirm=life", expect=5)


# --- produce ---------------------------------------------------------------------------------------------------------

def values(broker, topic, *args):
    return evlog("consume", topic, *args, bootstrap=broker.bootstrap, expect=0).out


def test_produce_refuses_before_it_publishes(broker, tmp_path):
    def run(*args, **kw):
        return evlog("produce", *args, bootstrap=broker.bootstrap, **kw)

    assert "--create" in run("not-there", "x", expect=5).err
    assert "no-file" in run("not-there", "--create", "--cloudevents", tmp_path / "no-file", expect=1).err
    evlog("topics", "describe", "not-there", bootstrap=broker.bootstrap, expect=5)
    run("three", "--create", "-p", "3", "x", expect=0)
    assert "3 partitions, not 2" in run("three", "--create", "-p", "2", "x", expect=6).err
    run("three", "--create", "-p", "3", "x", expect=0)
    run("three", "--create", "x", expect=0)
    run("three", "--partition", "3", "x")
    assert len(values(broker, "three").splitlines()) == 3


def test_bad_line_is_named_and_what_came_before_is_stored(broker, tmp_path):
    lines = [event("1"), event("2"), "", event("4")[:-1], event("5")]
    told = evlog("produce", "bad-line", "--create", "--cloudevents", "-", bootstrap=broker.bootstrap,
                 stdin="\n".join(lines), expect=7)
    assert "stdin:4:" in told.err and "2 events were published" in told.err
    assert len(values(broker, "bad-line").splitlines()) == 2
    path = tmp_path / "events.ndjson.gz"
    path.write_bytes(gzip.compress(("no json\n" + event("1") + "\n").encode()))
    told = evlog("produce", "bad-line", "--cloudevents", path, bootstrap=broker.bootstrap, expect=1)
    assert f"{path}:1:" in told.err and "0 events were published" in told.err
    assert len(values(broker, "bad-line").splitlines()) == 2


def test_cut_off_gzip_is_no_short_history(broker, tmp_path):
    whole = gzip.compress("".join(event(str(i), "k", str(i)) + "\n" for i in range(5000)).encode())
    path = tmp_path / "cut.gz"
    path.write_bytes(whole[:len(whole) // 2])
    told = evlog("produce", "cut", "--create", "--cloudevents", path, bootstrap=broker.bootstrap)
    assert told.code in (1, 7) and "ends too early" in told.err


def test_cloudevents_become_headers(broker):
    line = ('{"specversion":"1.0","id":"a","source":"/s","type":"order.made","subject":"orders/7","n":5,'
            '"time":"2020-01-01T00:00:00.25Z","datacontenttype":"application/json","data":{ "a" : 1.0 }}')
    evlog("produce", "headers", "--create", "--cloudevents", "-", bootstrap=broker.bootstrap, stdin=line, expect=0)
    got = evlog("consume", "headers", "--json", bootstrap=broker.bootstrap, expect=0)
    row = got.lines()[0]
    assert row["key"] == "orders/7" and row["time"] == "2020-01-01T00:00:00.250Z"
    assert {h["name"]: h["value"] for h in row["headers"]} == {
        "ce_specversion": "1.0", "ce_id": "a", "ce_source": "/s", "ce_type": "order.made", "ce_subject": "orders/7",
        "ce_n": "5", "ce_time": "2020-01-01T00:00:00.25Z", "content-type": "application/json"}
    assert got.out.rstrip().endswith('"data":{ "a" : 1.0 }}')


def test_values_lines_keys_formats_and_nulls(broker):
    def run(*args, **kw):
        evlog("produce", "shapes", *args, bootstrap=broker.bootstrap, expect=0, **kw)

    evlog("topics", "create", "shapes", bootstrap=broker.bootstrap, expect=0)
    run("-k", "key", "-H", "a=1", "one", "two")
    run(stdin="three\nfour\n")
    run("-K:", stdin="k5:five:5\n")
    run("-f", "%k=%v@%T", stdin="k6=six@1577836800000\n")
    run("-k", "key", "-Z", "")
    run("--count", "2", "seven")
    out = values(broker, "shapes", "-f", "%o|%k|%v|%h|%V\\n").splitlines()
    assert out == ["0|key|one|a=1|3", "1|key|two|a=1|3", "2||three||5", "3||four||4", "4|k5|five:5||6", "5|k6|six||3",
                   "6|key|||-1", "7||seven||5", "8||seven||5"]
    assert values(broker, "shapes", "-o", "5", "-n", "1", "-f", "%d").startswith("2020-01-01T00:00:00.000Z")
    refused = evlog("produce", "shapes", "-K:", bootstrap=broker.bootstrap, stdin="no delimiter\n", expect=1)
    assert "stdin:1:" in refused.err


def test_event_larger_than_allowed_names_its_line(broker):
    evlog("topics", "create", "large", "-c", "max.message.bytes=2000", bootstrap=broker.bootstrap, expect=0)
    told = evlog("produce", "large", bootstrap=broker.bootstrap, stdin="small\n" + "x" * (2 << 20) + "\n", expect=7)
    assert "stdin:2:" in told.err and "1 events were published" in told.err
    noise = os.urandom(3000).hex()
    told = evlog("produce", "large", noise, bootstrap=broker.bootstrap, expect=1)
    assert "max.message.bytes" in told.err
    assert values(broker, "large") == "small\n"


# --- consume ---------------------------------------------------------------------------------------------------------

def test_where_to_begin_and_where_to_end(broker):
    def run(*args):
        return values(broker, "places", *args).split()

    evlog("topics", "create", "places", bootstrap=broker.bootstrap, expect=0)
    for i in range(10):
        evlog("produce", "places", "--time", f"2020-01-01T00:00:{i:02d}Z", str(i), bootstrap=broker.bootstrap, expect=0)
    everything = [str(i) for i in range(10)]
    assert run() == everything
    assert run("-o", "end") == []
    assert run("-o", "-3") == everything[-3:]
    assert run("-o", "-99") == everything
    assert run("-o", "+8") == everything[8:]
    assert run("-o", "4", "-n", "2") == ["4", "5"]
    assert run("-o", "99") == []
    assert run("-o", "@2020-01-01T00:00:06Z") == everything[6:]
    assert run("-o", "@1577836807000") == everything[7:]
    assert run("-o", "@2021-01-01T00:00Z") == []
    assert run("--until", "2020-01-01T00:00:02Z") == everything[:3]
    assert run("-n", "0") == []
    evlog("consume", "places", "-p", "1", bootstrap=broker.bootstrap, expect=2)
    evlog("consume", "nowhere", bootstrap=broker.bootstrap, expect=5)


def test_several_topics_and_partitions(broker):
    for topic in ("two-a", "two-b"):
        evlog("topics", "create", topic, "-p", "3", bootstrap=broker.bootstrap, expect=0)
        for partition in range(3):
            evlog("produce", topic, "--partition", partition, f"{topic}/{partition}", bootstrap=broker.bootstrap,
                  expect=0)
    out = evlog("consume", "two-a", "two-b", "-p", "0", "-p", "2", bootstrap=broker.bootstrap, expect=0).out.split()
    assert sorted(out) == ["two-a/0", "two-a/2", "two-b/0", "two-b/2"]


@pytest.mark.parametrize("command, args", [("consume", ("--follow", "-f", "%v\n")), ("tail", ())])
def test_following_shows_what_comes_and_ends_with_130(broker, command, args):
    topic = f"follow-{command}"
    evlog("topics", "create", topic, bootstrap=broker.bootstrap, expect=0)
    evlog("produce", topic, "before", bootstrap=broker.bootstrap, expect=0)
    process = subprocess.Popen([str(BIN / "evlog"), command, topic, *args, "-b", broker.bootstrap],
                               stdout=subprocess.PIPE, text=True)
    assert "before" in process.stdout.readline()
    evlog("produce", topic, "after", bootstrap=broker.bootstrap, expect=0)
    assert "after" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    process.stdout.close()


def test_following_goes_on_when_the_server_comes_back(fresh_broker):
    evlog("topics", "create", "back", bootstrap=fresh_broker.bootstrap, expect=0)
    port = fresh_broker.port
    process = subprocess.Popen([str(BIN / "evlog"), "consume", "back", "--follow", "-b", fresh_broker.bootstrap],
                               stdout=subprocess.PIPE, text=True)
    evlog("produce", "back", "one", bootstrap=fresh_broker.bootstrap, expect=0)
    assert process.stdout.readline() == "one\n"
    assert fresh_broker.stop() == 0
    command = fresh_broker.command()
    command[command.index("--listen") + 1] = f"127.0.0.1:{port}"
    fresh_broker.command = lambda: command
    fresh_broker.start()
    evlog("produce", "back", "two", bootstrap=fresh_broker.bootstrap, expect=0)
    assert process.stdout.readline() == "two\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130
    process.stdout.close()


def test_progress_only_on_a_terminal(broker):
    path = shared_data() / "zstd.events.ndjson.gz"
    done = evlog("produce", "bar", "--create", "--cloudevents", path, bootstrap=broker.bootstrap, expect=0)
    assert "\r" not in done.err and "\x1b" not in done.err
    master, slave = pty.openpty()
    try:
        code = subprocess.run([str(BIN / "evlog"), "replay", "bar", "-b", broker.bootstrap], stderr=slave,
                              stdout=subprocess.DEVNULL, timeout=60).returncode
        os.close(slave)
        assert code == 0
        assert b"\r" in os.read(master, 65536)
    finally:
        os.close(master)


def test_output_that_cannot_be_written(broker):
    evlog("produce", "full", "--create", "--count", "1000", "x" * 100, bootstrap=broker.bootstrap, expect=0)
    with open("/dev/full", "w") as full:
        done = subprocess.run([str(BIN / "evlog"), "consume", "full", "-b", broker.bootstrap], stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1 and "EVL-2011" in done.stderr


# --- up and down -----------------------------------------------------------------------------------------------------

@pytest.fixture
def home(tmp_path):
    data = tmp_path / "data dir"
    yield data
    evlog("down", "--data", data)


def test_up_demo_down(home):
    up = evlog("up", "--demo", "--data", home, "--listen", "127.0.0.1:0", "--http", "off", expect=0)
    address = up.out.strip()
    assert re.fullmatch(r"127\.0\.0\.1:\d+", address)
    assert "evlog down" in up.err
    assert len(evlog("consume", "demo", "-b", address, expect=0).out.splitlines()) == 1500
    again = evlog("up", "--demo", "--data", home, expect=0)
    assert again.out.strip() == address
    evlog("up", "--data", home, expect=6)
    evlog("down", "--data", home, expect=0)
    evlog("topics", "ls", "-b", address, expect=3)
    evlog("down", "--data", home, expect=5)
    up = evlog("up", "--data", home, "--listen", "127.0.0.1:0", "--http", "off", "--json", expect=0)
    address = up.lines()[0]["kafka"]
    assert len(evlog("consume", "demo", "-b", address, expect=0).out.splitlines()) == 1500


def test_up_leaves_to_the_file_of_settings_what_no_flag_says(tmp_path):
    config = tmp_path / "evlogd.conf"
    config.write_text(f"[server]\ndata = {tmp_path}/data\n[network]\nlisten = 127.0.0.1:0\nhttp = off\n")
    up = evlog("up", "--config", config, expect=0)
    try:
        assert f"data {tmp_path}/data" in up.err and "metrics" not in up.err
        assert up.out.strip() != "127.0.0.1:9092" and (tmp_path / "data" / "evlogd.pid").exists()
        evlog("topics", "ls", "-b", up.out.strip(), expect=0)
    finally:
        evlog("down", "--config", config, expect=0)
    evlog("down", "--config", config, expect=5)
    config.write_text("[server]\nno.such.setting = 5\n")
    assert "no.such.setting" in evlog("up", "--config", config, expect=1).err


def test_up_tells_why_the_server_did_not_start(home, tmp_path):
    config = tmp_path / "bad.conf"
    config.write_text("[server]\nno.such.setting = 5\n")
    told = evlog("up", "--data", home, "--listen", "127.0.0.1:0", "--http", "off", "--config", config, expect=1)
    assert "no.such.setting" in told.err
    assert "EVL-2020" in told.err and "evlogd.log" in told.err
    evlog("down", "--data", home, expect=5)


def test_down_never_stops_another_program(home):
    home.mkdir()
    other = subprocess.Popen(["sleep", "600"])
    try:
        (home / "evlogd.pid").write_text(f"{other.pid} 127.0.0.1:9092\n")
        evlog("down", "--data", home, expect=5)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


# --- config and inspect ----------------------------------------------------------------------------------------------

def test_config_asks_the_server(tmp_path):
    good, bad = tmp_path / "good.conf", tmp_path / "bad.conf"
    good.write_text(f"[server]\ndata = {tmp_path}/data\n")
    bad.write_text(f"[server]\ndata = {tmp_path}/data\nno.such.setting = 5\n")
    evlog("config", "check", good, expect=0)
    assert "no.such.setting" in evlog("config", "check", bad, expect=2).err
    assert "num.partitions" in evlog("config", "print", good, expect=0).out


def test_inspect_reads_what_the_server_wrote(fresh_broker, tmp_path):
    evlog("topics", "create", "seen", bootstrap=fresh_broker.bootstrap, expect=0)
    for i in range(5):
        evlog("produce", "seen", "-k", "k", "x" * 20000, bootstrap=fresh_broker.bootstrap, expect=0)
    assert fresh_broker.stop() == 0
    slots = [path for path in fresh_broker.data.glob("journal/*/*") if path.is_file()]
    segments = [path for path in fresh_broker.data.glob("topics/*/*/*")
                if path.is_file() and path.read_bytes()[:8] == b"EVLOGSEG"]
    assert slots
    rows = []
    for path in slots + segments:
        shown = evlog("inspect", path, "--json")
        assert shown.code in (0, 8), shown.err
        rows += shown.lines()
        assert evlog("inspect", path).out
    assert any(row.get("records") == 1 for row in rows)
    for path in segments:
        evlog("inspect", path, expect=0)
        broken = bytearray(path.read_bytes())
        broken[300] ^= 1
        copy = tmp_path / "broken"
        copy.write_bytes(broken)
        assert "EVL-2030" in evlog("inspect", copy, expect=8).err
    text = tmp_path / "text"
    text.write_text("no journal, no segment")
    evlog("inspect", text, expect=2)
    evlog("inspect", tmp_path / "absent", expect=1)


def test_inspect_reads_files_of_the_stream_index(tmp_path):
    for path in sorted((ROOT / "tests" / "golden" / "index-v1" / "streams" / "0000").glob("*.run")):
        rows = evlog("inspect", path, "--json", expect=0).lines()
        kinds = [row.get("kind") for row in rows[1:]]
        assert rows[0]["run"] == int(path.stem, 16) and kinds[-2:] == ["top", "footer"]
        items = {kind: sum(row["items"] for row in rows[1:] if row["kind"] == kind) for kind in kinds}
        assert (items["entries"], items["names"]) == (rows[0]["entries"], rows[0]["names"])
        assert evlog("inspect", path, expect=0).out.startswith(f"run {rows[0]['run']}: entries ")
        data = path.read_bytes()
        for pos in range(20, len(data), 4096):
            broken = tmp_path / "broken"
            broken.write_bytes(data[:pos] + bytes([data[pos] ^ 4]) + data[pos + 1:])
            shown = evlog("inspect", broken, expect=8)
            assert "EVL-2030" in shown.err
        cut = tmp_path / "cut"
        cut.write_bytes(data[:-1])
        assert "the footer does not verify" in evlog("inspect", cut, expect=8).err


def waits_unread(port):
    """An established connection to `port` holds bytes that its server has not read (proc(5): /proc/net/tcp)."""
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        _, local, _, state, queues = line.split()[:5]
        if int(local.split(":")[1], 16) == port and state == "01" and int(queues.split(":")[1], 16) > 0:
            return True
    return False


def test_produce_that_is_not_acknowledged_ends_soon_after_a_signal(broker):
    evlog("topics", "create", "unsure", bootstrap=broker.bootstrap, expect=0)
    process = subprocess.Popen([str(BIN / "evlog"), "produce", "unsure", "-b", broker.bootstrap],
                               stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdin.write("one\n")
    process.stdin.flush()
    wait_for(lambda: values(broker, "unsure") == "one\n", "the first line")
    stand_still(broker.process)
    try:
        process.stdin.write("two\n")
        process.stdin.flush()
        wait_for(lambda: waits_unread(broker.port), "the second event is sent")
        process.send_signal(signal.SIGTERM)
        process.stdin.close()
        assert process.wait(60) == 130
    finally:
        broker.process.send_signal(signal.SIGCONT)
    err = process.stderr.read()
    process.stderr.close()
    assert "1 of 2 events are not acknowledged, 1 are published" in err, err


@pytest.mark.parametrize("first, more, gone, code, said", [
    ("", "two\n", "killed", 3, "0 of 1 events were published"),
    ("", "two\n", "still", 1, "timed out"),
    ("one\n", "two\n", "killed", 7, "1 of 2 events were published"),
    ("", ("x" * 5000 + "\n") * 20000, "killed", 3, "EVL-1036"),
], ids=["killed", "still", "partial", "much"])
def test_produce_waits_no_longer_than_its_timeout(fresh_broker, tmp_path, first, more, gone, code, said):
    """The server goes when the client knows it; in the last case more comes than buffer.memory holds."""
    with (tmp_path / "told").open("w") as told:
        process = subprocess.Popen([str(BIN / "evlog"), "produce", "away", "--create", "-v", "-b",
                                    fresh_broker.bootstrap, "--timeout", "2s"],
                                   stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=told, text=True)
    wait_for(lambda: "created topic" in (tmp_path / "told").read_text(), "the client is there")
    process.stdin.write(first)
    process.stdin.flush()
    wait_for(lambda: values(fresh_broker, "away") == first, "what came before")
    if gone == "killed":
        fresh_broker.kill()
    else:
        stand_still(fresh_broker.process)
    begun = time.monotonic()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(more)
        process.stdin.close()
    code_found = process.wait(60)
    if gone == "still":
        fresh_broker.process.send_signal(signal.SIGCONT)
    assert code_found == code, (tmp_path / "told").read_text()[-1000:]
    assert time.monotonic() - begun < 15
    assert said in (tmp_path / "told").read_text()


def test_produce_that_waits_for_lines_ends_at_a_signal(broker):
    evlog("topics", "create", "idle", bootstrap=broker.bootstrap, expect=0)
    process = subprocess.Popen([str(BIN / "evlog"), "produce", "idle", "-b", broker.bootstrap],
                               stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdin.write("one\n")
    process.stdin.flush()
    wait_for(lambda: values(broker, "idle") == "one\n", "the first line")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 7
    assert "1 events were published" in process.stderr.read()
    process.stdin.close()
    process.stderr.close()


def test_interrupted_produce_says_how_far_it_came(broker):
    """The writer is slow: the interrupt comes between two lines, and what was published is counted."""
    evlog("topics", "create", "interrupted", bootstrap=broker.bootstrap, expect=0)
    process = subprocess.Popen([str(BIN / "evlog"), "produce", "interrupted", "-b", broker.bootstrap],
                               stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdin.write("one\n")
    process.stdin.flush()
    wait_for(lambda: values(broker, "interrupted") == "one\n", "the first line")
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(BrokenPipeError):  # the signal may have ended it before the line came
        process.stdin.write("two\n")
        process.stdin.close()
    assert process.wait(60) in (7, 130)
    err = process.stderr.read()
    process.stderr.close()
    assert "published" in err
