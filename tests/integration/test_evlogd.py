# SPDX-License-Identifier: Apache-2.0
"""The program itself: flags, exit codes, the lock, signals, the ready line, what a start finds."""
import ctypes
import os
import platform
import shutil
import signal
import socket
import struct
import subprocess
import threading
import urllib.error

import pytest

from conftest import BIN, ROOT, Broker, start_or_skip, wait_for
from evlogd import quiet_port
from kafka_wire import batch, batches_in

EVLOGD = str(BIN / "evlogd")


def run(*args, **keywords):
    return subprocess.run([EVLOGD, *args], capture_output=True, text=True, timeout=90, **keywords)


def test_version_and_help():
    assert run("--version").stdout.startswith("evlogd ")
    helped = run("--help")
    assert helped.returncode == 0 and "--listen" in helped.stdout and "memory.max" in helped.stdout.replace("-", ".")


def test_usage_errors_exit_2(tmp_path):
    for args in (["--no-such-flag"], ["--listen", "nonsense"], [], ["--data", str(tmp_path), "--shards", "x"],
                 ["--data", str(tmp_path), "--listen", "0.0.0.0:0"],
                 ["--data", str(tmp_path), "--config", str(tmp_path / "absent")]):
        done = run(*args)
        assert done.returncode == 2, args
        assert done.stderr.startswith("evlogd: ") and done.stdout == ""


def test_check_and_print_config(tmp_path):
    file = tmp_path / "evlogd.conf"
    file.write_text("[server]\ndata = %s\n[topics]\nnum.partitions = 4\n" % (tmp_path / "data"))
    assert run("--config", str(file), "--check-config").returncode == 0
    printed = run("--config", str(file), "--print-config")
    assert printed.returncode == 0 and "num.partitions = 4" in printed.stdout
    file.write_text("[topics]\nnum.partitions = 4\n")
    assert run("--config", str(file), "--check-config").returncode == 0, "the command line may name the directory"
    assert not (tmp_path / "data").exists()
    file.write_text("[topics]\nnum.partitionz = 4\n")
    broken = run("--config", str(file), "--check-config")
    assert broken.returncode == 2 and f"{file}:2" in broken.stderr


def test_what_is_refused_late_names_where_it_was_set(tmp_path):
    """Files and stores that settings name are opened only at the start, and a listener's certificate is wanted then."""
    file, keys = tmp_path / "evlogd.conf", tmp_path / "keys"
    keys.write_text("none\n", encoding="utf-8")
    flags = {"http": "off", "listen": "127.0.0.1:0", "data": str(tmp_path / "data")}
    for lines, place, said, code in (
            (f"[archive]\nurl = file://{keys}/x\n", "2:7", "Not a directory", 1),
            ("[archive]\nurl = s3://bu$ket/x\n", "2:7", "a bucket's name", 2),
            (f"[archive]\nkey.file = {keys}\nurl = file://{tmp_path}/a\n", "2:12", str(keys), 2),
            (f"[security]\naccess.key = {keys}\n", "2:14", str(keys), 2),
            (f"[network]\nhttp = 127.0.0.1:0\n[security]\nevlog.http.tokens.file = {tmp_path}/absent\n", "4:26",
             f"{tmp_path}/absent", 2),
            ("[network]\nssl.principal.mapping.rules = RULE:x\n", "2:31", "ssl.principal.mapping.rules", 2),
            ("[network]\nlisteners = SSL://127.0.0.1:0\n", "2:13", "needs a certificate and its key", 2)):
        file.write_text(lines, encoding="utf-8")
        given = {name: value for name, value in flags.items() if f"\n{name} " not in lines}
        if "listeners" in lines:
            del given["listen"]
        done = run("--config", str(file), *(f"--{name}={value}" for name, value in given.items()))
        assert done.returncode == code, (lines, done.stderr)
        assert f"{file}:{place}: " in done.stderr and said in done.stderr.split(f"{file}:{place}: ")[1], done.stderr


def settings_of(text):
    """{(section, key): value} of a file of settings."""
    found, section = {}, None
    for line in text.splitlines():
        if line.startswith("["):
            section = line[1:-1]
        elif line and not line.startswith("#"):
            key, _, value = line.partition(" =")
            found[section, key] = value.partition("  # ")[0].partition(" # ")[0].strip().strip('"')
    return found


def test_keys_that_cannot_serve_are_refused_at_the_start_and_by_the_check(tmp_path):
    """Exit code 2 and not 1: a service that is started again and again would not find other keys."""
    archive = ["--archive", f"file://{tmp_path}/archive", "--http", "off", "--listen", "127.0.0.1:0"]
    public, shared = tmp_path / "public.pem", tmp_path / "shared.key"
    subprocess.run(["openssl", "pkey", "-pubout", "-out", public], check=True,
                   input=subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519"], check=True,
                                        stdout=subprocess.PIPE).stdout)
    shared.write_text("0" * 64 + "\n")
    shared.chmod(0o644)
    for key, said in ((["--archive-key", tmp_path / "none"], "none: No such file"),
                      (["--archive-key", public], "a public key, where a private one is needed"),
                      (["--access-key", tmp_path / "none"], "none: No such file"),
                      (["--access-key", shared], "can be read by")):
        for check in ([], ["--check-config"]):
            told = run("--data", str(tmp_path / "data"), *archive, *map(str, key), *check)
            assert told.returncode == 2 and said in told.stderr, (key, check, told.stderr)


def test_a_file_to_begin_with_is_taken_as_it_is_and_with_its_defaults(tmp_path):
    made = run("--init-config").stdout
    assert made == (ROOT / "packaging" / "config" / "evlogd.conf").read_text(encoding="utf-8"), "the packages have it"
    file = tmp_path / "evlogd.conf"
    plain = "".join(line.removeprefix("# ") if " = " in line or line.endswith(" =\n") else line
                    for line in made.splitlines(keepends=True))
    assert plain.count("\n# ") > 30 and len(settings_of(plain)) > 20 and list(settings_of(made)) == [("server", "data")]
    for text in (made, plain):
        file.write_text(text, encoding="utf-8")
        assert run("--config", str(file), "--check-config").returncode == 0
        shown = settings_of(run("--config", str(file), "--print-config").stdout)
        assert shown == settings_of(run("--data=/var/lib/evlog", "--print-config").stdout)
        assert settings_of(plain).items() <= shown.items()


def test_a_file_to_begin_with_has_what_was_said(tmp_path):
    made = run("--init-config", "--data", str(tmp_path), "--retention-ms=7d", "--ssl-client-auth=requested",
               "--ssl-ca-file=a#b", env={**os.environ, "EVLOG_LOG__FORMAT": "json"}).stdout
    assert settings_of(made) == {("server", "data"): str(tmp_path), ("topics", "retention.ms"): "604800000",
                                 ("network", "ssl.ca.file"): "a#b", ("network", "ssl.client.auth"): "requested",
                                 ("log", "format"): "json"}


def explain(*args, **keywords):
    """What is said of a setting, by label."""
    done = run(*args, **keywords)
    assert done.returncode == 0, done.stderr
    lines = [line.partition(":") for line in done.stdout.splitlines()]
    return {label: text.strip() for label, _, text in lines}


def test_each_setting_is_explained():
    for (section, key), value in settings_of(run("--print-config").stdout).items():
        done = run(f"--explain={section}.{key}")
        story = explain(f"--explain={section}.{key}" if done.returncode == 0 else f"--explain={key}")
        assert story["meaning"] and story["takes"] and story["changes"]
        assert story["default"] == value
        if story["changes"].startswith("never"):
            continue
        assert story["file"] == f"[{section}] {key} = VALUE" and story["value"].split(", here ")[0] == value
        assert story["flag"].startswith("--") and story["from"] == "default"
        assert story["environment"].startswith(f"EVLOG_{section.upper()}__")


def test_where_a_value_comes_from_is_told(tmp_path):
    file = tmp_path / "evlogd.conf"
    file.write_text("[topics]\n\nretention.ms = 1h\n[log]\nlevel = warn\n", encoding="utf-8")

    def story(name, *args, **env):
        lines = explain("--config", str(file), "--explain", name, *args, env={**os.environ, **env})
        return lines["value"], lines["from"]
    assert story("log.retention.ms") == ("3600000", f"{file}:3")
    assert story("log.level") == ("warn", f"{file}:5")
    assert story("log.level", EVLOG_LOG__LEVEL="error") == ("error", "environment")
    assert story("log.level", "--log-level=debug", EVLOG_LOG__LEVEL="error") == ("debug", "flag")
    for args, said in ((["--explain", "retention.bits"], "did you mean 'retention.bytes'"),
                       (["--explain"], "the name of"), (["--explain="], "the name of")):
        done = run(*args)
        assert done.returncode == 2 and said in done.stderr
    file.write_text("[log]\nlevl = warn\n", encoding="utf-8")
    done = run("--config", str(file), "--explain", "log.level")
    assert done.returncode == 2 and f"{file}:2" in done.stderr


def test_a_locked_directory_exits_6(fresh_broker):
    with fresh_broker.connect() as conn:
        assert conn.create_topic("mine")[0] == 0
    done = run("--data", str(fresh_broker.data), "--listen", "127.0.0.1:0", "--http", "off")
    assert done.returncode == 6, done.stderr
    assert str(fresh_broker.data) in done.stderr and str(fresh_broker.process.pid) in done.stderr
    with fresh_broker.connect() as conn:
        assert conn.produce("mine", batch([b"still mine"]))[:2] == (0, 0)


def test_a_port_in_use_exits_1(fresh_broker, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--data", str(tmp_path / "other"), "--listen", f"127.0.0.1:{port}", "--http", "off")
        assert done.returncode == 1 and str(port) in done.stderr
        done = run("--data", str(tmp_path / "other"), "--listen", "127.0.0.1:0", "--http", f"127.0.0.1:{port}")
        assert done.returncode == 1 and str(port) in done.stderr


@pytest.mark.parametrize("io", ["uring", "posix"])
def test_a_second_server_on_the_port_exits_1(fresh_broker, tmp_path, io):
    """All shards of a server share its port; another server must not get a share."""
    done = run("--data", str(tmp_path / "other"), "--listen", f"127.0.0.1:{fresh_broker.port}", "--http", "off",
               "--io", io)
    assert done.returncode == 1 and str(fresh_broker.port) in done.stderr and done.stdout == ""
    for _ in range(8):
        with fresh_broker.connect() as conn:
            assert conn.metadata([]) == {}


def test_connections_max_is_that_of_the_server_and_not_of_a_shard(tmp_path):
    broker = Broker(tmp_path / "data", shards=2, args=["--max-connections", "6"]).start()
    try:
        for _ in range(3):
            open_ones = [broker.connect() for _ in range(20)]
            answered = 0
            for conn in open_ones:
                try:
                    conn.metadata([])
                    answered += 1
                except (EOFError, ConnectionError):
                    pass
            for conn in open_ones:
                conn.close()
            assert answered in (6, 7), "two shards may take the last place at once"
            wait_for(lambda: broker.metric("evlog_connections") == 0, "connections gone")
        made_room = broker.metric("evlog_connections_unproven_closed_total")    # those that had sent nothing yet
        assert made_room > 0 and broker.refused("connections") + made_room >= 39
    finally:
        assert broker.stop() == 0


def test_signals_that_come_together_are_one_demand(fresh_broker):
    """timeout(1) and Ctrl-C under make reach a process twice."""
    with fresh_broker.connect() as conn:
        conn.create_topic("t")
        assert conn.produce("t", batch([b"kept"]))[:2] == (0, 0)
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        fresh_broker.process.send_signal(sig)
    assert fresh_broker.stop() == 0, "".join(fresh_broker.log[-20:])
    assert not fresh_broker.log_lines("ending at once")


def test_a_stop_that_is_not_clean_has_another_exit_code(tmp_path):
    broker = Broker(tmp_path / "data").start()
    with broker.connect() as conn:
        conn.create_topic("t")
        assert conn.produce("t", batch([b"kept"]))[:2] == (0, 0)
    shutil.rmtree(broker.data / "checkpoint")
    (broker.data / "checkpoint").write_text("no folder any more")
    assert broker.stop() == 1
    assert broker.said("not cleanly")
    (broker.data / "checkpoint").unlink()


def test_a_directory_that_cannot_be_made_exits_1(tmp_path):
    (tmp_path / "file").write_text("")
    done = run("--data", str(tmp_path / "file" / "data"), "--listen", "127.0.0.1:0", "--http", "off")
    assert done.returncode == 1 and "file" in done.stderr


def test_ready_line_names_what_is_open(fresh_broker):
    ready = fresh_broker.ready
    assert ready["shards"] == "2" and ready["io"] == fresh_broker.io
    assert int(ready["pid"]) == fresh_broker.process.pid
    assert fresh_broker.get("/health/live") and fresh_broker.get("/health/ready")
    assert "evlog_requests_total" in fresh_broker.get("/metrics")


def test_advertised_address_reaches_clients(tmp_path):
    broker = Broker(tmp_path / "data", args=["--advertised-address", "broker.example:4711"]).start()
    try:
        listing = subprocess.run(["kcat", "-b", broker.bootstrap, "-L", "-m", "10"], capture_output=True, text=True,
                                 timeout=60)
        assert "broker.example:4711" in listing.stdout
    finally:
        assert broker.stop() == 0


def test_each_listener_tells_clients_its_own_address(tmp_path):
    broker = Broker(tmp_path / "data", listeners="PLAINTEXT://127.0.0.1:0,OUTSIDE://:0", args=[
        "--listener-security-protocol-map=OUTSIDE:PLAINTEXT", "--advertised-listeners=OUTSIDE://broker.example:4711"])
    broker.start()
    try:
        assert list(broker.ports) == ["PLAINTEXT", "OUTSIDE"] and broker.port == broker.ports["PLAINTEXT"]
        for name, address in (("PLAINTEXT", broker.bootstrap), ("OUTSIDE", "broker.example:4711")):
            listing = subprocess.run(["kcat", "-b", f"127.0.0.1:{broker.ports[name]}", "-L", "-m", "10"],
                                     capture_output=True, text=True, timeout=60)
            assert f"broker 1 at {address}" in listing.stdout
    finally:
        assert broker.stop() == 0


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("order", [("PLAINTEXT", "SIX"), ("SIX", "PLAINTEXT")], ids="-".join)
def test_all_of_ipv4_and_all_of_ipv6_may_have_one_port(tmp_path, order):
    if not has_ipv6():
        pytest.skip("this machine has no IPv6: no socket can be bound to ::1")
    port = quiet_port()
    hosts = {"PLAINTEXT": "0.0.0.0", "SIX": "[::]"}
    broker = Broker(tmp_path / "data", listeners=",".join(f"{name}://{hosts[name]}:{port}" for name in order), args=[
        "--listener-security-protocol-map=SIX:PLAINTEXT",
        f"--advertised-listeners=PLAINTEXT://four.example:{port},SIX://six.example:{port}"])
    broker.start()
    try:
        for _ in range(8):    # shards take them in turn
            for bootstrap, address in ((f"127.0.0.1:{port}", "four"), (f"[::1]:{port}", "six")):
                listing = subprocess.run(["kcat", "-b", bootstrap, "-L", "-m", "10"], capture_output=True, text=True,
                                         timeout=60)
                assert f"broker 1 at {address}.example:{port}" in listing.stdout, listing.stderr
    finally:
        assert broker.stop() == 0


def test_http_can_be_off(tmp_path):
    process = subprocess.Popen([EVLOGD, "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0", "--http", "off"],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert " http=off " in process.stdout.readline()
    process.terminate()
    assert process.wait(60) == 0


def test_ephemeral_leaves_nothing_behind():
    process = subprocess.Popen([EVLOGD, "--ephemeral", "--listen", "127.0.0.1:0", "--http", "off"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("evlogd ready ")
    folders = [os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{process.pid}/fd")]
    data = {path.split("/journal/")[0] for path in folders if "/journal/" in path}
    assert len(data) == 1 and os.path.isdir(*data)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert not os.path.exists(*data)


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_clean_and_quick_with_waiting_clients(fresh_broker, sig):
    with fresh_broker.connect() as waiting, fresh_broker.connect() as conn:
        conn.create_topic("t", partitions=4)
        epoch = conn.list_offset("t", -1)[3]
        sent = [waiting.send_fetch("t", partition=p, max_wait=60000) for p in range(4)]
        assert conn.produce("t", batch([b"kept"]), partition=3)[:2] == (0, 0)
        stopper = []
        thread = threading.Thread(target=lambda: stopper.append(fresh_broker.stop(sig)))
        thread.start()
        # Requests that were read are answered, with what is there; then the connection ends.
        for correlation in sent:
            assert waiting.read_fetch(correlation)["error"] == 0
        assert waiting.closed_by_peer()
        thread.join(60)
        assert stopper == [0], "".join(fresh_broker.log[-20:])
    fresh_broker.start()
    with fresh_broker.connect() as conn:
        assert conn.list_offset("t", -1)[3] == epoch, "a clean stop raises no leader epoch"
        assert batches_in(conn.fetch("t", partition=3)["records"]) == [(0, 0, 1)]


def test_a_restart_with_fewer_shards_serves_everything(tmp_path):
    broker = Broker(tmp_path / "data", shards=3).start()
    with broker.connect() as conn:
        conn.create_topic("t", partitions=9)
        for partition in range(9):
            assert conn.produce("t", batch([b"x"]), partition=partition)[0] == 0
    assert broker.stop() == 0
    for shards in (1, 4):
        broker.shards = shards
        broker.start()
        with broker.connect() as conn:
            for partition in range(9):
                assert conn.fetch("t", partition=partition)["high"] == 1
            assert conn.create_topic(f"after-{shards}", partitions=8)[0] == 0
            for partition in range(8):
                assert conn.produce(f"after-{shards}", batch([b"y"]), partition=partition)[:2] == (0, 0)
        assert broker.stop() == 0


def test_sighup_reloads_what_can_change(tmp_path):
    file = tmp_path / "evlogd.conf"
    file.write_text("[topics]\nauto.create.topics.enable = true\n[network]\nsocket.request.max.bytes = 2MiB\n")
    broker = Broker(tmp_path / "data", args=["--config", str(file)]).start()
    try:
        with broker.connect() as conn:
            assert conn.metadata(["a"], auto_create=True)["a"][0] == 0
            with broker.connect() as other:
                other.send_raw(struct.pack(">i", (2 << 20) + 1))
                assert other.closed_by_peer()
            file.write_text("[topics]\nauto.create.topics.enable = false\n")
            broker.process.send_signal(signal.SIGHUP)
            wait_for(lambda: broker.log_lines("was read again"), "the reload")
            assert conn.metadata(["b"], auto_create=True)["b"][0] == 3
            # The file no longer limits requests to 2 MiB: the default is back, also for connections that are open.
            names = [f"{i:0249}" for i in range(10_000)]
            assert len(conn.metadata(names)) == len(names)
            file.write_text("[topics]\nnonsense = 1\n")
            broker.process.send_signal(signal.SIGHUP)
            wait_for(lambda: broker.log_lines("stay as they are"), "the refusal")
            assert conn.metadata(["a"])["a"][0] == 0
    finally:
        assert broker.stop() == 0


def test_a_full_disk_refuses_appends_and_serves_reads(tmp_path):
    broker = Broker(tmp_path / "data").start()
    with broker.connect() as conn:
        assert conn.create_topic("t")[0] == 0
        assert conn.produce("t", batch([b"before"]))[:2] == (0, 0)
    assert broker.stop() == 0
    broker.args = ["--disk-reserve-bytes", str(1 << 60)]
    broker.start()
    try:
        with broker.connect() as conn:
            wait_for(lambda: conn.produce("t", batch([b"after"]))[0] == 56, "a look of its shard at the disk")
            before = broker.refused("full")
            assert conn.produce("t", batch([b"after"]))[:2] == (56, -1)
            assert broker.refused("full") == before + 1
            assert batches_in(conn.fetch("t")["records"])[0] == (0, 0, 1)
        with pytest.raises(urllib.error.HTTPError) as error:
            broker.get("/health/ready")
        assert error.value.code == 503
        assert broker.get("/health/live")
    finally:
        assert broker.stop() == 0


def refuse_io_uring():
    """In the child: a filter that answers io_uring_setup with EPERM, as containers do."""
    class Filter(ctypes.Structure):
        _fields_ = [("len", ctypes.c_ushort), ("code", ctypes.c_char_p)]
    setup = {"x86_64": 425, "aarch64": 425}[platform.machine()]
    code = b"".join(struct.pack("=HBBI", *line) for line in (
        (0x20, 0, 0, 0),              # load the number of the system call
        (0x15, 0, 1, setup),          # is it io_uring_setup?
        (0x06, 0, 0, 0x00050000 | 1),  # yes: EPERM
        (0x06, 0, 0, 0x7FFF0000)))    # no: allow
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # no new privileges
    assert libc.prctl(22, 2, ctypes.byref(Filter(4, code)), 0, 0) == 0  # seccomp filter


def test_falls_back_where_io_uring_is_refused(tmp_path):
    command = [EVLOGD, "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0", "--http", "off", "--io"]
    process = subprocess.Popen([*command, "auto"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               preexec_fn=refuse_io_uring)
    assert " io=posix " in process.stdout.readline()
    process.terminate()
    log = process.communicate(timeout=60)[1]
    assert process.returncode == 0
    assert log.count("io_uring is not available") == 1
    done = subprocess.run([*command, "uring"], capture_output=True, text=True, timeout=60, preexec_fn=refuse_io_uring)
    assert done.returncode == 1 and "io_uring" in done.stderr


def test_readiness_is_asked_over_http(fresh_broker):
    with pytest.raises(urllib.error.HTTPError) as error:
        fresh_broker.get("/no/such/page")
    assert error.value.code == 404


@pytest.mark.parametrize("io", ["uring", "posix"])
def test_killed_while_writing_loses_nothing_acknowledged(tmp_path, io):
    """Kill -9 under load, three times over: every acknowledged batch is there, at its offset."""
    broker = start_or_skip(Broker(tmp_path / "data", io=io))
    with broker.connect() as conn:
        assert conn.create_topic("t", partitions=4)[0] == 0
    acknowledged = {partition: [] for partition in range(4)}

    def write(partition, round_):
        try:
            with broker.connect() as conn:
                while True:
                    text = b"%d-%d-%d" % (partition, round_, len(acknowledged[partition]))
                    error, base = conn.produce("t", batch([text]), partition=partition)[:2]
                    assert error == 0
                    acknowledged[partition].append((base, text))
        except (EOFError, OSError):
            pass

    for round_ in range(3):
        threads = [threading.Thread(target=write, args=(partition, round_)) for partition in range(4)]
        before = sum(map(len, acknowledged.values()))
        for thread in threads:
            thread.start()
        wait_for(lambda: sum(map(len, acknowledged.values())) > before + 200, "some writes")
        broker.process.kill()
        broker.process.wait()
        for thread in threads:
            thread.join()
        broker.start()
        with broker.connect() as conn:
            for partition in range(4):
                at = {}
                offset = 0
                while True:
                    got = conn.fetch("t", partition=partition, offset=offset)
                    assert got["error"] == 0
                    if not got["records"]:
                        break
                    data = got["records"]
                    for base, last, _ in batches_in(data):
                        length = int.from_bytes(data[8:12], "big") + 12
                        at[base] = data[:length]
                        data = data[length:]
                        assert base == offset, "offsets have no holes"
                        offset = last + 1
                for base, text in acknowledged[partition]:
                    assert text in at[base]
    assert broker.stop() == 0


@pytest.mark.parametrize("landlock", [True, False])
def test_nothing_is_written_outside_the_data_directory(tmp_path, landlock):
    """The folder in which the archive's objects are written before they get their names lies elsewhere."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "~put").symlink_to(outside)
    broker = Broker(tmp_path / "data", shards=1, args=[f"--archive=file://{tmp_path / 'archive'}",
                                                       "--archive-max-lag-ms=100",
                                                       *([] if landlock else ["--landlock=false"])])
    untouched = outside.stat().st_mtime_ns
    start_or_skip(broker)
    try:
        if landlock and broker.log_lines("does not keep evlogd from writing"):
            pytest.skip("no Landlock here")
        if landlock:
            wait_for(lambda: broker.metric("evlog_archive_refused") > 0, "the refusal")
            assert broker.said("Permission denied") and outside.stat().st_mtime_ns == untouched
        else:
            wait_for(lambda: outside.stat().st_mtime_ns != untouched, "what is written there")
    finally:
        assert broker.stop() == 0


def test_the_folder_of_the_archives_keys_is_no_link(tmp_path):
    """They are the only ones that may sign: what the directory says of them is so."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "keys").symlink_to(outside)
    broker = Broker(tmp_path / "data", shards=1, args=[f"--archive=file://{tmp_path / 'archive'}", "--landlock=false"])
    broker.launch()
    assert broker.process.wait(60) == 1
    broker.collector.join(60)
    assert broker.said("the keys that sign the archive cannot be made in keys/") and not list(outside.iterdir())


def test_an_archive_that_is_a_directory_is_written(tmp_path):
    """It is made by evlogd itself, beside the data directory."""
    broker = start_or_skip(Broker(tmp_path / "data", shards=1,
                                  args=[f"--archive=file://{tmp_path / 'a' / 'b'}", "--archive-max-lag-ms=100"]))
    with broker.connect() as conn:
        assert conn.create_topic("t")[0] == 0 and conn.produce("t", batch([b"kept"]))[0] == 0
    assert broker.stop() == 0
    assert [path for path in (tmp_path / "a" / "b").rglob("*") if path.is_file()]
