# SPDX-License-Identifier: Apache-2.0
"""evlog topics copy, export, import; top; bench.

Goal: a copy holds the original bytes, partition by partition, each event once, also when it was interrupted; what is no
copy is refused. Method: two listings compared; a file cut at any byte; a copy that is killed on its way.
"""
import json
import random
import signal
import subprocess

import pytest

from cli_kit import evlog
from conftest import BIN, Broker, start_or_skip, wait_for

ARGS = ["--group-initial-rebalance-delay-ms=0", "--group-min-session-timeout-ms=100ms"]


# What is tested is the client: one backend of the server is enough.
@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    instance = start_or_skip(Broker(tmp_path_factory.mktemp("data"), args=ARGS))
    yield instance
    assert instance.stop() == 0, "".join(instance.log[-50:])

FORMAT = "%p %o %T %k %v %h\n"


def listing(bootstrap, topic):
    return sorted(evlog("consume", topic, "-f", FORMAT, bootstrap=bootstrap, expect=0).out.splitlines())


def fill(bootstrap, topic, count=300):
    evlog("topics", "create", topic, "-p", 3, "-c", "retention.ms=99999999999", "-q", bootstrap=bootstrap, expect=0)
    lines = "".join(f"k{n % 11}:value {n}\n" for n in range(count))
    evlog("produce", topic, "-K:", "-H", "a=b", "-H", "c=", "-q", bootstrap=bootstrap, stdin=lines, expect=0)
    evlog("produce", topic, "-k", "gone", "--null", "-q", bootstrap=bootstrap)


def test_a_copy_holds_the_original_bytes_once(broker, topic):
    fill(broker.bootstrap, topic)
    copy = topic + "-copy"
    evlog("topics", "copy", topic, copy, bootstrap=broker.bootstrap, expect=0)
    assert listing(broker.bootstrap, copy) == listing(broker.bootstrap, topic)
    again = evlog("topics", "copy", topic, copy, bootstrap=broker.bootstrap, expect=0)
    assert again.err.startswith("0 events written")
    evlog("produce", topic, "-q", bootstrap=broker.bootstrap, stdin="more\n", expect=0)
    evlog("topics", "copy", topic, copy, bootstrap=broker.bootstrap, expect=0)
    assert listing(broker.bootstrap, copy) == listing(broker.bootstrap, topic)
    info = evlog("topics", "describe", copy, "--json", bootstrap=broker.bootstrap, expect=0).lines()[0]
    assert info["settings"]["retention.ms"] == "99999999999"


def test_what_is_no_copy_is_refused(broker, topic):
    fill(broker.bootstrap, topic)
    other = topic + "-other"
    evlog("topics", "create", other, "-p", 3, "-q", bootstrap=broker.bootstrap, expect=0)
    evlog("produce", other, "-K:", "-q", bootstrap=broker.bootstrap, stdin="k1:other\n", expect=0)
    result = evlog("topics", "copy", topic, other, bootstrap=broker.bootstrap, expect=6)
    assert "EVL-2018" in result.err and "goes on" not in result.err
    evlog("topics", "create", other + "2", "-p", 2, "-q", bootstrap=broker.bootstrap, expect=0)
    assert "EVL-2014" in evlog("topics", "copy", topic, other + "2", bootstrap=broker.bootstrap, expect=6).err
    evlog("topics", "copy", topic + "-nothing", other, bootstrap=broker.bootstrap, expect=5)


def test_a_file_that_is_no_export_is_refused(broker, topic, tmp_path):
    for name, text in (("empty", ""), ("text", "hello\n"), ("version", '{"evlog_export":2,"partitions":1}\n'),
                       ("many", '{"evlog_export":1,"partitions":99999999}\n'),
                       ("line", '{"evlog_export":1,"partitions":1}\n{"partition":0}\n'),
                       ("base64", '{"evlog_export":1,"partitions":1}\n'
                                  '{"partition":0,"offset":0,"timestamp":1,"key":"*","value":null,"headers":[]}\n')):
        path = tmp_path / name
        path.write_text(text)
        result = evlog("topics", "import", path, f"{topic}-{name}", bootstrap=broker.bootstrap, expect=8)
        assert "EVL-2019" in result.err, name
    evlog("topics", "import", tmp_path / "absent", topic, bootstrap=broker.bootstrap, expect=1)


def test_an_export_goes_on_from_any_cut_and_comes_back_whole(broker, topic, tmp_path):
    fill(broker.bootstrap, topic)
    path = tmp_path / "export"
    evlog("topics", "export", topic, path, bootstrap=broker.bootstrap, expect=0)
    whole = path.read_bytes()
    dice = random.Random(1)
    for cut in [0, 1, len(whole) - 1] + [dice.randrange(len(whole)) for _ in range(10)]:
        path.write_bytes(whole[:cut])
        evlog("topics", "export", topic, path, bootstrap=broker.bootstrap, expect=0)
        assert sorted(path.read_bytes().splitlines()) == sorted(whole.splitlines()), cut
    back = topic + "-back"
    evlog("topics", "import", path, back, bootstrap=broker.bootstrap, expect=0)
    assert listing(broker.bootstrap, back) == listing(broker.bootstrap, topic)
    evlog("topics", "import", path, back, bootstrap=broker.bootstrap, expect=0)
    assert listing(broker.bootstrap, back) == listing(broker.bootstrap, topic)


def test_a_copy_that_was_killed_goes_on(broker, topic):
    fill(broker.bootstrap, topic, 30000)
    copy = topic + "-copy"
    process = subprocess.Popen([str(BIN / "evlog"), "topics", "copy", topic, copy, "-b", broker.bootstrap, "-X",
                                "linger.ms=0", "-X", "batch.size=100"], stderr=subprocess.PIPE)

    def begun():
        done = evlog("topics", "describe", copy, "--json", bootstrap=broker.bootstrap)
        return done.code == 0 and sum(p["end"] for p in json.loads(done.out)["partitions"]) > 0

    wait_for(begun, "the copy to begin")
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    result = evlog("topics", "copy", topic, copy, bootstrap=broker.bootstrap, expect=0)
    assert " 0 were there already" not in result.err
    assert listing(broker.bootstrap, copy) == listing(broker.bootstrap, topic)


def test_top_shows_topics_and_groups(broker, topic):
    fill(broker.bootstrap, topic, 10)
    evlog("consume", topic, "-g", topic, bootstrap=broker.bootstrap, expect=0)
    lines = evlog("top", "--once", "-i", "100ms", "--json", bootstrap=broker.bootstrap, expect=0).lines()
    row, = [line for line in lines if line.get("topic") == topic]
    assert row["partitions"] == 3 and row["events"] >= 10 and row["events_per_second"] == 0
    row, = [line for line in lines if line.get("group") == topic]
    assert row["lag"] == 0 and row["state"] == "Empty"
    assert topic in evlog("top", "--once", "-i", "100ms", bootstrap=broker.bootstrap, expect=0).out


def test_bench_counts_what_it_did(broker, topic, tmp_path):
    evlog("bench", "produce", topic, bootstrap=broker.bootstrap, expect=5)
    result, = evlog("bench", "produce", topic, "--create", "-p", 2, "-n", 2000, "--floor", tmp_path, "--json",
                    bootstrap=broker.bootstrap, expect=0).lines()
    assert result["events"] == 2000 and result["failed"] == 0 and result["floor_ms"] >= 0
    assert 0 < result["p50_ms"] <= result["p99_ms"] <= result["max_ms"]
    result, = evlog("bench", "consume", topic, "-n", 2000, "--json", bootstrap=broker.bootstrap, expect=0).lines()
    assert result["events"] == 2000 and result["value_bytes"] == 256
    result, = evlog("bench", "e2e", topic, "-n", 200, "--rate", 2000, "--json", bootstrap=broker.bootstrap,
                    expect=0).lines()
    assert result["events"] == 200 and result["p50_ms"] > 0
    result, = evlog("bench", "latency", topic, "-n", 20, "--json", bootstrap=broker.bootstrap, expect=0).lines()
    assert result["events"] == 20
