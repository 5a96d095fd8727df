# SPDX-License-Identifier: Apache-2.0
"""evlog doctor, check and debug-bundle.

Goal: what is wrong with a machine or a server is a line with a remedy; a monitor gets the exit codes it knows; a bundle
for support has what is needed and no secret. Method: files, settings and servers with one thing wrong each; a bundle
made with secrets in every place that it looks at, searched for all of them.
"""
import base64
import json
import os
import tarfile

import pytest

from certs import Certs
from cli_kit import evlog
from evlogd import Broker, start_or_skip, wait_for
from kafka_wire import batch

OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    instance = start_or_skip(Broker(tmp_path_factory.mktemp("data"), args=["--group-initial-rebalance-delay-ms=0"]))
    yield instance
    assert instance.stop() == 0, "".join(instance.log[-50:])


def lines(*args, config=None, **options):
    """{check: (verdict, text, remedy)}"""
    done = evlog("doctor", "--json", *args, *([config] if config else []), **options)
    return done, {line["check"]: (line["verdict"], line["text"], line.get("remedy", "")) for line in done.lines()}


def settings(tmp_path, text):
    path = tmp_path / "evlogd.conf"
    path.write_text(text)
    return path


# --- doctor ----------------------------------------------------------------------------------------------------------

def test_machine_is_looked_at_without_a_server(tmp_path):
    done, found = lines("--data", tmp_path / "data" / "not" / "yet")
    assert set(found) >= {"configuration", "kernel", "io_uring", "clock", "open files", "locked memory", "core files",
                          "data directory", "file system", "disk space", "durable writes", "archive"}
    assert found["configuration"][0] == "ok" and "not there yet" in found["data directory"][1]
    assert "take" in found["durable writes"][1] and not list(tmp_path.iterdir())
    assert all(remedy for verdict, _, remedy in found.values() if verdict != "ok")
    assert done.code == (1 if any(verdict == "fail" for verdict, _, _ in found.values()) else 0)
    assert "kafka port" not in found
    text = evlog("doctor", "--data", tmp_path).out
    assert "ok    kernel" in text


def test_settings_with_a_fault_are_a_line(tmp_path):
    done, found = lines(config=settings(tmp_path, "[topics]\nnum.partition = 4\n"))
    assert done.code == 1 and found["configuration"][0] == "fail"
    assert "evlogd.conf:2:" in done.err and "num.partitions" in done.err


def test_memory_is_no_disk(tmp_path):
    if not os.path.ismount("/dev/shm"):
        pytest.skip("there is no /dev/shm")
    done, found = lines("--data", "/dev/shm")
    assert done.code == 1 and found["file system"][0] == "fail" and "tmpfs" in found["file system"][1]


def test_file_in_place_of_a_directory(tmp_path):
    (tmp_path / "file").write_text("")
    _, found = lines("--data", tmp_path / "file")
    assert found["data directory"][0] == "fail" and found["data directory"][2]


def test_disk_below_its_reserve(tmp_path):
    done, found = lines("--data", tmp_path, config=settings(tmp_path, "[storage]\ndisk.reserve.bytes = 9000000GiB\n"))
    assert done.code == 1 and found["disk space"][0] == "fail" and "retention.ms" in found["disk space"][2]


@pytest.mark.parametrize("days, verdict", [(90, "ok"), (5, "warn"), (None, "fail")])
def test_certificates_are_looked_at(tmp_path, days, verdict):
    (tmp_path / "certs").mkdir()
    certs = Certs(tmp_path / "certs").issue("server", days=days or 30)
    key = certs.key("server") if days else certs.key("ca")
    file = settings(tmp_path, "[network]\nlisteners = SSL://127.0.0.1:0\n"
                              f"ssl.certificate.file = {certs.pem('server')}\nssl.key.file = {key}\n")
    _, found = lines("--data", tmp_path, config=file)
    assert found["certificate"][0] == verdict, found
    assert (verdict == "ok") == (found["certificate"][2] == "")


def test_certificates_of_single_listeners_are_looked_at(tmp_path):
    (tmp_path / "certs").mkdir()
    certs = Certs(tmp_path / "certs").issue("server", days=90).issue("short", days=5)
    own = "".join(f"listener.name.{name}.ssl.certificate.file = {certs.pem(file)}\n"
                  f"listener.name.{name}.ssl.key.file = {certs.key(file)}\n"
                  for name, file in (("outer", "short"), ("inner", "server")))
    file = settings(tmp_path, "[network]\nlisteners = OUTER://127.0.0.1:0,INNER://127.0.0.1:1\n"
                              "listener.security.protocol.map = OUTER:SSL,INNER:SSL\n" + own)
    done = evlog("doctor", "--json", "--data", tmp_path, file)
    told = [(line["verdict"], line["text"].partition(" ends in ")[0]) for line in done.lines()
            if line["check"] == "certificate"]
    assert told == [("warn", certs.pem("short")), ("ok", certs.pem("server"))]


def test_archive_is_asked(tmp_path):
    done, found = lines("--data", tmp_path, config=settings(tmp_path, f"[archive]\nurl = file://{tmp_path}/none\n"))
    assert done.code == 1 and found["archive"][0] == "fail"
    (tmp_path / "there").mkdir()
    _, found = lines("--data", tmp_path, config=settings(tmp_path, f"[archive]\nurl = file://{tmp_path}/there\n"))
    assert found["archive"][0] == "ok" and "is empty" in found["archive"][1]


def test_server_is_asked_with_b(broker, tmp_path):
    _, found = lines("--data", tmp_path, "-b", broker.bootstrap, "--http", broker.ready["http"])
    assert found["kafka port"][0] == found["readiness"][0] == found["clock jumps"][0] == "ok"
    done, found = lines("--data", tmp_path, "-b", "127.0.0.1:1", "--http", "127.0.0.1:1", "--timeout", "1s")
    assert done.code == 1 and found["kafka port"][0] == found["readiness"][0] == "fail"
    assert found["metrics"][0] == "warn"


# --- check -----------------------------------------------------------------------------------------------------------

def check(broker, *args, http=None):
    done = evlog("check", *args, "--http", http or broker.ready["http"])
    assert done.code == UNKNOWN or done.out.count("\n") == 1
    return done.code, done.out.strip()


def test_ready(broker, tmp_path):
    assert check(broker, "ready") == (OK, 'EVLOG OK - {"status":"ready"}')
    code, text = check(broker, "ready", http="127.0.0.1:1")
    assert code == CRITICAL and text.startswith("EVLOG CRITICAL - not ready: 127.0.0.1:1: ")
    full = start_or_skip(Broker(tmp_path / "data", args=[f"--disk-reserve-bytes={1 << 60}"]))
    wait_for(lambda: full.health()[0] == 503, "a look at the disk")
    code, text = check(full, "ready")
    assert code == CRITICAL and "the disk is full" in text
    assert full.stop() == 0


def test_lag_and_dead_letters(broker):
    with broker.connect() as conn:
        assert conn.create_topic("t")[0] == 0
        assert conn.produce("t", batch([b"x"] * 9))[0] == 0
    evlog("consume", "t", "-g", "slow", "-n", 2, bootstrap=broker.bootstrap, expect=0)
    code, text = check(broker, "lag", "--records", "-w", "5", "-c", "100")
    assert code == WARNING and text == "EVLOG WARNING - slow t: 7 | value=7.000;5;100;0"
    assert check(broker, "lag", "--records", "-c", "7")[0] == CRITICAL
    assert check(broker, "lag", "--records", "-w", "8")[0] == OK
    assert check(broker, "lag", "-c", "3600", "-g", "slow", "-t", "t")[0] == OK
    assert check(broker, "lag", "-c", "1", "-g", "none") == (
        UNKNOWN, "EVLOG UNKNOWN - there is no such group or topic in what the server shows")
    evlog("work", "t", "-g", "w", "--set", "start=earliest", "--until-caught-up", "--", "sh", "-c", "exit 65",
          bootstrap=broker.bootstrap)
    wait_for(lambda: broker.metric("evlog_dlq_records", topic="t.w.dlq") == 9, "the dead letters")
    assert check(broker, "dlq", "-w", "1", "-c", "9") == (CRITICAL, "EVLOG CRITICAL - t.w.dlq: 9 | value=9.000;1;9;0")
    assert check(broker, "dlq", "-w", "10")[0] == OK


def test_archive_that_takes_nothing_is_critical(broker, tmp_path):
    code, text = check(broker, "archive", "-c", "60")
    assert code == CRITICAL and "no archive" in text
    place = f"--archive=file://{tmp_path}/archive"
    first = start_or_skip(Broker(tmp_path / "first", args=[place]))
    evlog("archive", "now", "--wait", bootstrap=first.bootstrap, expect=0)
    assert check(first, "archive", "-c", "60")[0] == OK
    assert first.stop() == 0
    other = start_or_skip(Broker(tmp_path / "other", args=[place]))     # the prefix is taken
    wait_for(lambda: other.metric("evlog_archive_stopped") == 1, "the end of archiving")
    code, text = check(other, "archive", "-c", "60")
    assert code == CRITICAL and "ended for good" in text
    assert other.stop() == 0


def test_disk(broker):
    wait_for(lambda: broker.metric("evlog_disk_bytes") > 0, "a look at the disk")
    assert check(broker, "disk", "-w", "0", "-c", "0")[0] == OK
    assert check(broker, "disk", "-w", "100", "-c", "0")[0] == WARNING
    code, text = check(broker, "disk", "-w", "100", "-c", "100")
    assert code == CRITICAL and "% of the disk are free" in text


def test_questions_that_are_none_are_unknown(broker, tmp_path):
    for args in (["nonsense"], ["lag"], ["lag", "--no-such"], ["dlq", "-w", "x"], []):
        assert check(broker, *args)[0] == UNKNOWN
    assert check(broker, "lag", "-w", "1", http="127.0.0.1:1")[0] == UNKNOWN
    blind = start_or_skip(Broker(tmp_path / "data", args=["--metrics-group-rows-max=0"]))
    assert check(blind, "lag", "-w", "1") == (
        UNKNOWN, "EVLOG UNKNOWN - the server shows no groups: metrics.group.rows.max is 0")
    assert blind.stop() == 0
    closed = start_or_skip(Broker(tmp_path / "closed", args=["--authorizer=on"]))
    code, text = check(closed, "lag", "-w", "1")
    assert code == UNKNOWN and "sasl.username" in text
    assert check(closed, "ready")[0] == OK
    assert closed.stop() == 0


# --- config get ------------------------------------------------------------------------------------------------------

def test_settings_of_a_running_broker(broker):
    def get(*names, expect=0):
        return evlog("config", "get", "--json", *names, bootstrap=broker.bootstrap, expect=expect)

    every = {line["name"]: (line["value"], line["origin"]) for line in get().lines()}
    assert every["group.initial.rebalance.delay.ms"] == ("0", "configuration")
    assert every["max.connections"] == ("10000", "default") and every["log.retention.ms"] == ("-1", "default")
    assert len(every) > 100
    only = get("max.connections", "shards").lines()
    assert [line["name"] for line in only] == ["shards", "max.connections"]
    assert "shards" in evlog("config", "get", "shards", bootstrap=broker.bootstrap, expect=0).out
    done = get("max.connection", expect=5)
    assert "EVL-2028" in done.err and "did you mean max.connections?" in done.err


# --- debug-bundle ----------------------------------------------------------------------------------------------------

SECRETS = {"password": "Mispelmus+5", "aws": "Sanddorn/6+abcdefghijklmnopqrstuv", "log": "Schlehe7", "url": "Kornelle8"}


def test_bundle_has_what_is_needed_and_no_secret(broker, tmp_path):
    (tmp_path / "certs").mkdir()
    certs = Certs(tmp_path / "certs").issue("server")
    file = settings(tmp_path, "[network]\nlisteners = SSL://127.0.0.1:0\n"
                              f"ssl.certificate.file = {certs.pem('server')}\nssl.key.file = {certs.key('server')}\n"
                              f"[archive]\nurl = file://{tmp_path}/archive\n")
    log = tmp_path / "evlogd.log"
    key = open(certs.key("server"), encoding="ascii").read()
    log.write_text(f"a line that helps\nsasl.password={SECRETS['log']}\nhttp://u:{SECRETS['url']}@host/x\n{key}\n"
                   "last\n")
    with broker.connect() as conn:
        assert conn.create_topic("bundled")[0] == 0
        assert conn.produce("bundled", batch([b"payload-of-an-event"]))[0] == 0
    environment = {"EVLOG_SASL_USERNAME": "alice", "EVLOG_SASL_PASSWORD": SECRETS["password"],
                   "AWS_SECRET_ACCESS_KEY": SECRETS["aws"], "AWS_ACCESS_KEY_ID": "AKIA"}
    target = tmp_path / "bundle.tar.gz"
    done = evlog("debug-bundle", target, "--server-config", file, "--data", broker.data, "--http", broker.ready["http"],
                 "--log", log, "-b", broker.bootstrap, env=environment, expect=0)
    assert "without passwords" in done.err and target.stat().st_mode & 0o777 == 0o600
    with tarfile.open(target) as tar:
        files = {member.name.removeprefix("evlog-debug/"): tar.extractfile(member).read().decode()
                 for member in tar.getmembers()}
    assert set(files) >= {"doctor.ndjson", "settings.txt", "metrics.txt", "health-ready.json", "version.json",
                          "versions.txt", "evlogd.log", "limits.txt", "meminfo.txt"}
    assert "listeners = SSL://127.0.0.1:0" in files["settings.txt"] and "evlog_appends_total" in files["metrics.txt"]
    assert json.loads(files["health-ready.json"])["status"] == "ready"
    assert all(json.loads(line)["verdict"] for line in files["doctor.ndjson"].splitlines())
    assert files["evlogd.log"].startswith("a line that helps\n") and files["evlogd.log"].endswith("last\n")
    text = "\n".join(files.values())
    hidden = [*SECRETS.values(), base64.b64encode(f"alice:{SECRETS['password']}".encode()).decode(),
              "payload-of-an-event", "PRIVATE KEY"]
    hidden += (broker.data / "keys" / "access.key").read_text().splitlines()[-1:]
    hidden += [line for line in key.splitlines() if len(line) > 20 and "-----" not in line]
    for secret in hidden:
        assert secret not in text, secret


def test_bundle_overwrites_nothing_and_needs_no_server(tmp_path):
    target = tmp_path / "bundle.tar.gz"
    target.write_text("mine")
    assert evlog("debug-bundle", target, "--data", tmp_path, "--http", "127.0.0.1:1").code == 1
    told = evlog("debug-bundle", target, "--data", tmp_path, "--http", "127.0.0.1:1", expect=1).err
    assert "is there already, and is not written over" in told and "disk full" not in told
    assert target.read_text() == "mine"
    evlog("debug-bundle", tmp_path / "other.tar.gz", "--data", tmp_path, "--http", "127.0.0.1:1", "--log",
          tmp_path / "none", expect=0)
    with tarfile.open(tmp_path / "other.tar.gz") as tar:
        assert b"not seen: " in tar.extractfile("evlog-debug/metrics.txt").read()
        assert b"not read: " in tar.extractfile("evlog-debug/evlogd.log").read()
