# SPDX-License-Identifier: Apache-2.0
"""A server that is given new certificates, and one that is stopped, while stock clients and libevlog work on it.

Goal: new certificates fail no request and break no connection; a stop is clean and within its bound, loses no
acknowledged event, stores none twice, forgets no commit and no work, and clients see nothing but a reconnect. Method:
producers, readers and workers of both libraries run all the time; what was acknowledged is held against the log.
"""
import collections
import signal
import ssl
import subprocess
import threading
import time

import confluent_kafka
import pytest

from certs import Certs
from cli_kit import evlog
from conftest import BIN, Broker, backends, start_or_skip, wait_for
from evlogd import quiet_port

STOP_SECONDS = 20 + 2    # the bound of a stop, and a little for a busy machine
TURNS = 3
INTERRUPTED = 130       # exit code of evlog
PATIENCE = 60
# What a commit may answer while connections are lost and a start reads its groups.
AGAIN = (confluent_kafka.KafkaError._TRANSPORT, confluent_kafka.KafkaError.COORDINATOR_LOAD_IN_PROGRESS)


class Load:
    """Producers and readers of a topic, and workers, until stop(). settings: librdkafka's, which libevlog shares."""

    def __init__(self, broker, settings, folder):
        self.broker, self.topic, self.settings, self.folder = broker, "t", settings, folder
        self.over = threading.Event()
        self.acknowledged, self.failures, self.lines = [], [], 0
        self.commits, self.seen, self.told = {}, collections.Counter(), ""
        runs = (self.produce, self.read, self.feed)
        self.threads = [threading.Thread(target=self.guard, args=(run,)) for run in runs]

    def guard(self, run):
        try:
            run()
        except Exception as error:   # pylint: disable=broad-except
            self.failures.append(repr(error))

    def tool(self, *words, **more):
        options = [word for key, value in self.settings.items() for word in ("-X", f"{key}={value}")]
        return subprocess.Popen([str(BIN / "evlog"), words[0], *options, *words[1:]], text=True,
                                stderr=subprocess.PIPE, **more)

    def __enter__(self):
        self.evlog = self.tool("produce", self.topic, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        handler = f'echo "$EVLOG_PARTITION/$EVLOG_OFFSET" >>{self.folder}/handled'
        self.worker = self.tool("work", self.topic, "-g", f"{self.topic}-w", "--concurrency", "2",
                                "--set", "start=earliest", "--", "sh", "-c", handler, stdout=subprocess.DEVNULL)
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        for thread in self.threads:
            thread.join()
        for process in (self.evlog, self.worker):
            if process.poll() is None:
                process.kill()
                process.communicate()
        if exc[0] is not None and self.broker.process is not None:
            self.broker.kill()

    def on_delivery(self, error, message):
        if error is None:
            self.acknowledged.append((message.partition(), message.offset(), message.value().decode()))
        else:
            self.failures.append(str(error))

    def on_error(self, error):
        if error.fatal() or not error.retriable() and error.code() not in (
                confluent_kafka.KafkaError._TRANSPORT, confluent_kafka.KafkaError._ALL_BROKERS_DOWN):
            self.failures.append(str(error))
        self.seen["errors"] += 1

    def produce(self):
        producer = confluent_kafka.Producer({**self.settings, "enable.idempotence": True, "linger.ms": 1,
                                             "reconnect.backoff.max.ms": 500, "error_cb": self.on_error})
        for number in range(10**9):
            if self.over.is_set():
                break
            producer.produce(self.topic, f"rd {number}".encode(), on_delivery=self.on_delivery)
            producer.poll(0.005)
        if producer.flush(PATIENCE) != 0:
            self.failures.append("events were not acknowledged")

    def feed(self):
        while not self.over.is_set():
            self.evlog.stdin.write(f"ev {self.lines}\n")
            self.evlog.stdin.flush()
            self.lines += 1
            time.sleep(0.005)

    def read(self):
        """A member of a group that commits what it has read, and notes what the server has confirmed."""
        consumer = confluent_kafka.Consumer({**self.settings, "group.id": f"{self.topic}-r", "error_cb": self.on_error,
                                             "auto.offset.reset": "earliest", "enable.auto.commit": False,
                                             "reconnect.backoff.max.ms": 500})
        consumer.subscribe([self.topic])
        while not self.over.is_set():
            message = consumer.poll(0.1)
            if message is None or message.error() is not None:
                continue
            self.seen["read"] += 1
            try:
                for done in consumer.commit(message, asynchronous=False):
                    assert done.error is None
                    self.commits[done.partition] = max(self.commits.get(done.partition, 0), done.offset)
            except confluent_kafka.KafkaException as error:
                if not error.args[0].retriable() and error.args[0].code() not in AGAIN:
                    self.failures.append(f"a commit: {error}")
        consumer.close()

    def handled(self):
        path = self.folder / "handled"
        return collections.Counter(path.read_text().split()) if path.exists() else collections.Counter()

    def sizes(self):
        return len(self.acknowledged), self.lines, self.seen["read"], len(self.handled())

    def wait_for_progress(self, what):
        """Everybody gets further."""
        before = self.sizes()
        wait_for(lambda: all(now > then + 20 for now, then in zip(self.sizes(), before)), f"progress {what}", PATIENCE)

    def stop(self):
        """Let all end. The worker goes on until it has handled what there is."""
        self.over.set()
        for thread in self.threads:
            thread.join()
        _, err = self.evlog.communicate(timeout=PATIENCE)
        self.told += err
        if self.evlog.returncode != 0:
            self.failures.append(f"evlog produce: exit {self.evlog.returncode}: {err}")

    def end_worker(self):
        self.worker.send_signal(signal.SIGTERM)
        _, err = self.worker.communicate(timeout=PATIENCE)
        self.told += err
        assert self.worker.returncode == INTERRUPTED, err

    def check(self, bootstrap):
        """Hold what was told against what there is."""
        assert not self.failures, self.failures[:3]
        rows = evlog("consume", self.topic, "-f", "%p %o %v\n", bootstrap=bootstrap, expect=0).out.splitlines()
        stored = {(int(partition), int(offset)): value
                  for partition, offset, value in (row.split(" ", 2) for row in rows)}
        lost = [entry for entry in self.acknowledged if stored.get(entry[:2]) != entry[2]]
        assert not lost, f"{len(lost)} of {len(self.acknowledged)} acknowledged events are not there: {lost[:3]}"
        values = collections.Counter(stored.values())
        assert max(values.values()) == 1, values.most_common(3)
        assert sum(value.startswith("ev ") for value in values) == self.lines
        assert sum(value.startswith("rd ") for value in values) == len(self.acknowledged)
        wait_for(lambda: len(self.handled()) >= len(stored), "work on every event", 3 * PATIENCE)
        assert self.handled().keys() == {f"{partition}/{offset}" for partition, offset in stored}
        self.end_worker()


def committed(settings, topic, partitions):
    reader = confluent_kafka.Consumer({**settings, "group.id": f"{topic}-r"})
    found = reader.committed([confluent_kafka.TopicPartition(topic, p) for p in partitions], timeout=PATIENCE)
    reader.close()
    return {place.partition: place.offset for place in found}


def certificate_of(port):
    return ssl.get_server_certificate(("127.0.0.1", port))


@pytest.mark.parametrize("io", backends())
def test_new_certificates_fail_no_request_under_load(tmp_path, io):
    certs = Certs(tmp_path).issue("turning")
    broker = start_or_skip(Broker(tmp_path / "data", io=io, listeners="PLAINTEXT://127.0.0.1:0,SSL://127.0.0.1:0",
                                  args=certs.server_flags("turning")))
    bootstrap = f"127.0.0.1:{broker.ports['PLAINTEXT']}"
    evlog("topics", "create", "t", "-p", 2, bootstrap=bootstrap, expect=0)
    settings = {"bootstrap.servers": f"localhost:{broker.ports['SSL']}", "security.protocol": "ssl",
                "ssl.ca.location": certs.pem("ca")}
    with Load(broker, settings, tmp_path) as load:
        load.wait_for_progress("before")
        shown = {certificate_of(broker.ports["SSL"])}
        for turn in range(TURNS):
            certs.issue("turning")
            broker.process.send_signal(signal.SIGHUP)
            wait_for(lambda: certificate_of(broker.ports["SSL"]) not in shown, "the new certificate", PATIENCE)
            shown.add(certificate_of(broker.ports["SSL"]))
            load.wait_for_progress(f"after certificate {turn + 2}")
        load.stop()
        assert len(shown) == 1 + TURNS
        load.check(bootstrap)
        assert load.seen["errors"] == 0 and "connection" not in load.told, "a connection was lost"
    assert broker.stop() == 0, "".join(broker.log[-30:])


@pytest.mark.parametrize("io", backends())
def test_a_stop_under_load_loses_nothing_and_keeps_its_bound(tmp_path, io):
    broker = start_or_skip(Broker(tmp_path / "data", io=io, listen=f"127.0.0.1:{quiet_port()}"))
    evlog("topics", "create", "t", "-p", 2, bootstrap=broker.bootstrap, expect=0)
    settings = {"bootstrap.servers": broker.bootstrap}
    with Load(broker, settings, tmp_path) as load:
        for turn in range(TURNS):
            load.wait_for_progress(f"before stop {turn + 1}")
            began = time.monotonic()
            assert broker.stop() == 0, "".join(broker.log[-30:])
            took = time.monotonic() - began
            assert took < STOP_SECONDS, f"a stop took {took:.1f} s"
            told = dict(load.commits)
            broker.start()
            kept = committed(settings, "t", range(2))
            assert all(kept[partition] >= offset for partition, offset in told.items()), (kept, told)
        load.wait_for_progress("after the last start")
        load.stop()
        load.check(broker.bootstrap)
        assert load.seen["errors"] > 0 and "connection" in load.told, "lost connections are not seen here"
    assert broker.stop() == 0, "".join(broker.log[-30:])
