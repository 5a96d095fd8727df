# SPDX-License-Identifier: Apache-2.0
"""Settings of a running broker, changed by requests.

Goal: what takes effect without a restart is changed on all shards before the answer, is kept over restarts and crashes,
and wins over the configuration until it is reset; what needs a restart or would give somebody rights is refused with
the place to set it; a bad value changes nothing; a stop waits for nobody. Method: requests by hand and the command
line, restarts, kills, settings whose effect shows.
"""
import signal
import subprocess
import threading

import pytest

from cli_kit import evlog
from evlogd import BIN, Broker, start_or_skip, wait_for
from kafka_layouts import ask

DESCRIBE_CONFIGS, INCREMENTAL, ALTER_CONFIGS = 32, 44, 33
SET, DELETE, APPEND = 0, 1, 2
DYNAMIC, STATIC, DEFAULT = 2, 4, 5
INVALID_CONFIG, INVALID_REQUEST, POLICY = 40, 42, 44


@pytest.fixture
def broker(tmp_path):
    instance = start_or_skip(Broker(tmp_path / "data", args=["--fetch-max-bytes=2MiB"]))
    yield instance
    if instance.process is not None:
        assert instance.stop() == 0, "".join(instance.log[-50:])


def change(conn, *changes, validate=False, name="1"):
    configs = [{"Name": key, "Value": value, "ConfigOperation": SET if value is not None else DELETE}
               for key, value in changes]
    answer = ask(conn, INCREMENTAL, 1, {"ValidateOnly": validate, "Resources": [
        {"ResourceType": 4, "ResourceName": name, "Configs": configs}]})
    result, = answer["Responses"]
    return result["ErrorCode"], result["ErrorMessage"]


def settings(conn):
    answer = ask(conn, DESCRIBE_CONFIGS, 4, {"Resources": [{"ResourceType": 4, "ResourceName": "1"}]})
    return {c["Name"]: (c["Value"], c["ConfigSource"], c["ReadOnly"]) for c in answer["Results"][0]["Configs"]}


def test_change_is_in_force_on_all_shards_and_kept(broker):
    with broker.connect() as conn:
        assert settings(conn)["num.partitions"] == ("1", DEFAULT, False)
        answer = change(conn, ("num.partitions", "3"), ("log.retention.ms", "86400000"), ("log.level", "warn"))
        assert answer == (0, None)
        for _ in range(6):  # connections of both shards
            with broker.connect() as other:
                found = settings(other)
                assert found["num.partitions"] == ("3", DYNAMIC, False)
                assert found["log.retention.ms"] == ("86400000", DYNAMIC, False)
        assert change(conn, ("log.level", None))[0] == 0
        assert conn.metadata(["made"], auto_create=True)["made"][1] == 3
    broker.kill()
    broker.start()
    with broker.connect() as conn:
        assert settings(conn)["num.partitions"] == ("3", DYNAMIC, False)
        assert settings(conn)["log.level"] == ("info", DEFAULT, False)
        broker.process.send_signal(signal.SIGHUP)
        wait_for(lambda: broker.log_lines("SIGHUP: the configuration was read again"), "SIGHUP")
        assert settings(conn)["num.partitions"] == ("3", DYNAMIC, False)
        assert change(conn, ("num.partitions", None), ("log.retention.ms", None))[0] == 0
        assert settings(conn)["num.partitions"] == ("1", DEFAULT, False)
    assert broker.said("settings changed by User:ANONYMOUS")
    text = (broker.data / "settings.conf").read_text()
    assert "num.partitions" not in text and (broker.data / "settings.conf").stat().st_mode & 0o777 == 0o600


def test_requests_win_over_flags_and_print_config_says_so(broker):
    with broker.connect() as conn:
        assert settings(conn)["fetch.max.bytes"] == (str(2 << 20), STATIC, False)
        assert change(conn, ("fetch.max.bytes", str(3 << 20)))[0] == 0
        assert settings(conn)["fetch.max.bytes"] == (str(3 << 20), DYNAMIC, False)
    printed = subprocess.run([BIN / "evlogd", "--data", broker.data, "--fetch-max-bytes=2MiB", "--print-config"],
                             capture_output=True, text=True, check=True).stdout
    line, = [line for line in printed.splitlines() if line.startswith("fetch.max.bytes")]
    assert line.startswith("fetch.max.bytes = 3MiB") and line.endswith("# a request")


@pytest.mark.parametrize("name, value, code, said", [
    ("shards", "4", POLICY, "it takes a restart. Set shards in [server]"),
    ("listen", "127.0.0.1:1", POLICY, "in [network]"),
    ("authorizer", "off", POLICY, "decides who may do what"),
    ("super.users", "User:eve", POLICY, "then send it SIGHUP"),
    ("ssl.key.file", "/etc/shadow", POLICY, "decides who may do what"),
    ("num.partition", "4", INVALID_CONFIG, "has no setting"),
    ("num.partitions", "many", INVALID_CONFIG, "num.partitions cannot be 'many'"),
    ("num.partitions", "0", INVALID_CONFIG, "num.partitions cannot be '0'"),
    ("num.partitions", "4\n[security]\nauthorizer = off", INVALID_CONFIG, "characters that none has"),
    ("num.partitions", 'x"y', INVALID_CONFIG, "characters that none has"),
    ("num.partitions", "9" * 4001, INVALID_CONFIG, "too long"),
    ("group.min.session.timeout.ms", "2000000", INVALID_CONFIG, "is above group.max.session.timeout.ms"),
])
def test_what_is_refused_changes_nothing(broker, name, value, code, said):
    with broker.connect() as conn:
        before = settings(conn)
        error, text = change(conn, ("max.connections", "77"), (name, value))
        assert error == code and said in text
        assert settings(conn) == before and not (broker.data / "settings.conf").exists()
        assert before.get(name, ("", 0, True))[2] == (code == POLICY or name not in before)


def test_other_ways_to_ask(broker):
    with broker.connect() as conn:
        assert change(conn, ("max.connections", "77"), validate=True)[0] == 0
        assert change(conn, ("max.connections", "x"), validate=True)[0] == INVALID_CONFIG
        assert change(conn, ("max.connections", "77"), name="")[0] == POLICY
        assert change(conn, ("max.connections", "77"), ("max.connections", "78"))[0] == INVALID_REQUEST
        assert change(conn, ("leader.replication.throttled.rate", None), ("shards", None), ("none", None))[0] == 0
        whole = ask(conn, ALTER_CONFIGS, 2, {"ValidateOnly": False, "Resources": [
            {"ResourceType": 4, "ResourceName": "1", "Configs": [{"Name": "max.connections", "Value": "77"}]}]})
        assert whole["Responses"][0]["ErrorCode"] == POLICY
        assert settings(conn)["max.connections"] == ("10000", DEFAULT, False)


def test_many_at_the_same_time_are_all_kept(broker):
    def work(number):
        with broker.connect() as conn:
            for i in range(10):
                codes.append(change(conn, (("max.connections", "group.max.size")[number % 2], str(1000 + i)))[0])

    codes = []
    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert codes == [0] * 40
    with broker.connect() as conn:
        assert settings(conn)["max.connections"] == settings(conn)["group.max.size"] == ("1009", DYNAMIC, False)


def test_stop_waits_for_no_change(broker):
    def work():
        try:
            with broker.connect() as conn:
                while True:
                    change(conn, ("max.connections", "5000"))
        except (OSError, EOFError, AssertionError):
            pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_for(lambda: (broker.data / "settings.conf").exists(), "a change")
    assert broker.stop() == 0
    for thread in threads:
        thread.join(60)
    broker.start()


def test_file_with_a_fault_is_refused_at_the_start(broker):
    assert broker.stop() == 0
    for text, said in (("[topics]\nnum.partition = 3\n", "settings.conf:2:1: unknown key"),
                       ("[security]\nauthorizer = off\n", "settings.conf:2:1: 'authorizer' cannot stand in this file")):
        (broker.data / "settings.conf").write_text(text)
        done = subprocess.run([BIN / "evlogd", "--data", broker.data, "--listen", "127.0.0.1:0", "--http", "off"],
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2 and said in done.stderr
    (broker.data / "settings.conf").unlink()


def test_ephemeral_broker_keeps_no_settings(tmp_path):
    broker = start_or_skip(Broker(tmp_path / "data", args=["--ephemeral"]))
    with broker.connect() as conn:
        assert change(conn, ("max.connections", "77"))[0] == POLICY
        assert settings(conn)["max.connections"] == ("10000", DEFAULT, True)
    assert broker.stop() == 0


def test_command_line(broker):
    at = {"bootstrap": broker.bootstrap}
    done = evlog("config", "set", "max.connections=99", "retention.ms=7d", expect=0, **at)
    assert "kept over restarts" in done.err
    lines = {line["name"]: line for line in evlog("config", "get", "--json", expect=0, **at).lines()}
    assert lines["max.connections"]["value"] == "99" and lines["max.connections"]["origin"] == "configuration"
    for name in ("retention.ms", "log.retention.ms"):  # what topics and what brokers call it: set and get know both
        assert evlog("config", "get", name, "--json", expect=0, **at).lines() == [lines["log.retention.ms"]]
        assert lines["log.retention.ms"]["value"] == "604800000"
    assert "did you mean log.retention.ms?" in evlog("config", "get", "log.retenton.ms", expect=5, **at).err
    evlog("config", "set", "max.connections=", "retention.ms=", expect=0, **at)
    assert evlog("config", "get", "max.connections", "--json", expect=0, **at).lines()[0]["origin"] == "default"
    assert evlog("config", "set", "--dry-run", "max.connections=5", expect=0, **at).code == 0
    assert evlog("config", "get", "max.connections", "--json", expect=0, **at).lines()[0]["value"] == "10000"
    done = evlog("config", "set", "shards=4", **at)
    assert done.code != 0 and "it takes a restart" in done.err
    assert evlog("config", "set", "novalue", **at).code == 2


def test_a_setting_is_explained_by_the_server_itself(tmp_path):
    file = tmp_path / "evlogd.conf"
    made = evlog("config", "init", "--data", tmp_path / "data", expect=0).out
    file.write_text(made + "\n[log]\nlevel = warn\n", encoding="utf-8")
    assert "valid" in evlog("config", "check", file, expect=0).out
    line = made.count("\n") + 3
    story = evlog("config", "explain", "log.level", file, "--json", expect=0).lines()[0]
    assert (story["value"], story["from"], story["default"]) == ("warn", f"{file}:{line}", "info")
    assert story["takes"] == "one of error|warn|info|debug" and "evlog config set" in story["changes"]
    assert "at a restart" in evlog("config", "explain", "shards", expect=0).out
    assert "by no request" in evlog("config", "explain", "super.users", expect=0).out
    refused = evlog("config", "explain", "log.levl", expect=2)
    assert "did you mean 'log.level'" in refused.err and refused.out == ""
