# SPDX-License-Identifier: Apache-2.0
"""Object stores as programs see them, against real servers.

Goal: every answer that a server can give, and every way in which none comes, has its own outcome, loses nothing,
overwrites nothing, and says what to do. Method: store-driver makes the calls; versitygw judges the signatures; a proxy
between tears, bends and withholds answers.
"""
import contextlib
import datetime
import email.utils
import hashlib
import os
import random
import shutil
import subprocess
import time

import pytest

import object_stores as stores
from evlogd import BIN
from make_target import make_target
from object_stores import (BUCKET, SECRET_KEY, FaultProxy, Moto, Versitygw, drop_after, drop_before, edited,
                           environment, error_text, half, nonsense, refuse, slow, stall, with_length)

MIB = 1 << 20
PART = 8 * MIB
ERR = "EVLOG_ERR_"


@pytest.fixture(scope="session")
def driver():
    return make_target("bin/store-driver")


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """{name: path} of contents."""
    folder = tmp_path_factory.mktemp("contents")
    noise = random.Random(8)
    contents = {"empty": b"", "small": b"hello", "other": b"olleh", "longer": noise.randbytes(100_000),
                "large": noise.randbytes(2 * PART + 1000), "another": noise.randbytes(2 * PART + 1000)}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents}


@pytest.fixture(scope="module")
def versitygw():
    server = Versitygw()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def moto():
    server = Moto()
    yield server
    server.stop()


@pytest.fixture(params=["versitygw", "moto"], scope="module")
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def proxy(versitygw):
    between = FaultProxy(versitygw.port)
    yield between
    between.stop()


class Driver:
    def __init__(self, program, url, env=None, prefix=()):
        self.process = subprocess.Popen([*prefix, program, url], env=env, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.opened = self.answer()

    def answer(self):
        words, _, text = self.process.stdout.readline().rstrip("\n").partition("\t")
        outcome, *values = words.split(" ") if words else ["DIED"]
        self.text = text
        return outcome.removeprefix(ERR), values

    def __call__(self, *words):
        """The outcome, without its prefix."""
        self.process.stdin.write(" ".join(str(word) or "-" for word in words) + "\n")
        self.process.stdin.flush()
        outcome, self.values = self.answer()
        return outcome

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(60) == 0
        self.process.stdout.close()


@pytest.fixture
def open_store(driver, request):
    """Opens a store with a driver of its own; each test has a prefix of its own."""
    opened = []
    folder = f"t{abs(hash(request.node.name)) % 10**9}-{time.monotonic_ns()}"

    def open_it(url, prefix=(), bucket=BUCKET, **variables):
        opened.append(Driver(driver, f"s3://{bucket}/{folder}", environment(url, **variables), prefix))
        return opened[-1]
    yield open_it
    for each in opened:
        each.close()


@pytest.fixture
def store(proxy, open_store, files):
    """Through the proxy, trusted already to write once."""
    opened = open_store(proxy.url)
    assert opened("put", "first", files["small"]) == "OK"
    proxy.calm()
    return opened


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- what any server must do ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("key", ["/a", "a//b", "../a", "a/..", "a%20b", "~put", "a?b", "k" * 513])
def test_bad_keys_are_refused(store, key, files):
    for call in (("put", key, files["small"]), ("get", key, 0, 1), ("head", key), ("remove", key)):
        assert store(*call) == "ARGUMENT"


def test_objects_are_put_once_and_read(server, open_store, files):
    store = open_store(server.url)
    assert store("head", "a/b") == "NOT_FOUND"
    assert store("get", "a/b", 0, 10) == "NOT_FOUND"
    assert store("put", "a/b", files["small"]) == "OK"
    assert store("put", "a/b", files["small"]) == "EXISTS"
    assert store("once", "a/b", files["small"]) == "OK"
    assert store("once", "a/b", files["other"]) == "CONFLICT"
    assert "nothing was overwritten" in store.text
    assert store("all", "a/b", 5) == "OK" and store.values == ["5", digest(files["small"])]
    assert store("all", "a/b", 4) == "LIMIT"
    for pos, length, content in ((0, 5, b"hello"), (1, 3, b"ell"), (3, 100, b"lo"), (5, 1, b""), (99, 1, b""),
                                 (2, 0, b"")):
        assert store("get", "a/b", pos, length) == "OK"
        assert store.values == [str(len(content)), hashlib.sha256(content).hexdigest()]
    assert store("head", "a/b") == "OK"
    length, modified, sha256 = store.values
    assert length == "5" and sha256 == digest(files["small"])
    assert abs(int(modified) / 1000 - time.time()) < 100
    assert store("put", "empty", files["empty"]) == "OK"
    assert store("all", "empty", 0) == "OK" and store.values[0] == "0"
    assert store("remove", "a/b") == store("remove", "a/b") == "OK"
    assert store("head", "a/b") == "NOT_FOUND"


def test_lists_are_in_byte_order(server, open_store, files):
    store = open_store(server.url)
    keys = ["b", "a/y", "a0", "a-b", "a/x/2", "a.c", "a/x-1", "A/z", "a/x/10", "a/x0"]
    for key in keys:
        assert store("put", key, files["small"]) == "OK"
    for prefix in ("", "a/", "a", "a/x", "a/x/", "c"):
        for after in ("", "a/x", "a/x/10", "a/x/3", "b"):
            assert store("list", prefix, after, 100) == "OK"
            assert store.values == [f"{k}:5" for k in sorted(keys) if k.startswith(prefix) and k > after]
    assert store("list", "", "", 3) == "OK" and store.values == ["A/z:5", "a-b:5", "a.c:5"]


def test_one_of_many_wins(server, open_store, files):
    store = open_store(server.url)
    assert store("put", "first", files["small"]) == "OK"
    assert store("race", "r", files["small"], 8) == "OK"
    # One that lost may be told that somebody else writes at the same time.
    assert store.values.count("OK") == 1 and set(store.values) <= {"OK", ERR + "EXISTS", ERR + "AGAIN"}


def test_large_objects_go_in_parts(server, open_store, files):
    store = open_store(server.url)
    assert store("put", "large", files["large"]) == "OK"
    assert store("put", "large", files["large"]) == "EXISTS"
    assert store("once", "large", files["large"]) == "OK"
    assert store("once", "large", files["another"]) == "CONFLICT"
    assert store("head", "large") == "OK"
    assert store.values[0] == str(2 * PART + 1000) and store.values[2] == digest(files["large"])
    assert store("all", "large", 3 * PART) == "OK" and store.values[1] == digest(files["large"])


def test_lists_have_any_number_of_pages(moto, open_store, files):
    between = FaultProxy(moto.port)

    def two_keys(handler):
        handler.path += "&max-keys=2"
        handler.reply(*handler.forward())
    store = open_store(between.url)
    for i in range(7):
        assert store("put", f"k{i}", files["small"]) == "OK"
    between.calm()
    between.arm(two_keys, text="list-type", count=100)
    assert store("list", "", "", 100) == "OK"
    assert store.values == [f"k{i}:5" for i in range(7)]
    assert len(between.seen) == 4
    between.stop()


@pytest.mark.parametrize("place", ["directory", "versitygw", "moto"])
def test_an_archive_is_made_read_and_proven(place, request, driver, open_store, tmp_path):
    if place == "directory":
        store = Driver(driver, f"file://{tmp_path}/made/here")
    else:
        store = open_store(request.getfixturevalue(place).url)
    assert store("archive") == "OK", store.text
    assert store.values == ["3", "24", "24"]
    if place == "directory":
        store.close()


# --- who asks, and where --------------------------------------------------------------------------------------------

def test_a_wrong_secret_is_refused(versitygw, open_store, files):
    store = open_store(versitygw.url, AWS_SECRET_ACCESS_KEY="another-secret")
    for call in (("put", "a", files["small"]), ("get", "a", 0, 1), ("head", "a"), ("list", "", "", 1), ("remove", "a")):
        assert store(*call) == "POLICY"
        assert "the secret access key is not the one" in store.text and "another-secret" not in store.text


def test_an_unknown_user_is_refused(versitygw, open_store):
    store = open_store(versitygw.url, AWS_ACCESS_KEY_ID="nobody")
    assert store("get", "a", 0, 1) == "POLICY"
    assert store("head", "a") == "POLICY"


def test_a_missing_bucket_is_not_a_missing_object(server, open_store, files):
    store = open_store(server.url, bucket="no-such-bucket")
    for call in (("head", "a"), ("get", "a", 0, 1), ("put", "a", files["small"]), ("list", "", "", 1)):
        assert store(*call) == "POLICY"
        assert "there is no bucket no-such-bucket" in store.text


def test_a_wrong_region_is_named(versitygw, proxy, open_store):
    store = open_store(versitygw.url, AWS_REGION="eu-north-1")
    assert store("head", "a") == "POLICY" and "AWS_REGION" in store.text
    store = open_store(proxy.url)
    proxy.arm(refuse(301, "PermanentRedirect", headers=[("x-amz-bucket-region", "eu-south-2")]), count=2)
    assert store("get", "a", 0, 1) == "POLICY" and "in region eu-south-2, not us-east-1" in store.text


@pytest.mark.parametrize("url, variables", [
    ("s3://", {}), ("s3://ab", {}), ("s3://bucket/a b", {}), ("s3://bucket/../x", {}), ("s3://user:pw@bucket/x", {}),
    ("s3://bucket?x=1", {}), ("s3://bucket/x?secret=1", {}),
    ("s3://bucket", {"AWS_ENDPOINT_URL": "ftp://host"}), ("s3://bucket", {"AWS_ENDPOINT_URL": "http://user:pw@host"}),
    ("s3://bucket", {"AWS_ENDPOINT_URL": "http://host/path"}), ("s3://bucket", {"AWS_REGION": "Region One"}),
    ("s3://bucket", {"EVLOG_S3_STYLE": "other"}), ("s3://bucket", {"EVLOG_S3_TIMEOUT": "soon"}),
    ("s3://bucket", {"AWS_ACCESS_KEY_ID": None}), ("s3://bucket", {"AWS_SECRET_ACCESS_KEY": "a b"}),
    ("s3://bucket", {"AWS_SESSION_TOKEN": "a\nb: c"}), ("s3://bucket", {"AWS_ACCESS_KEY_ID": "a/b"})])
def test_what_cannot_be_right_is_refused_at_once(driver, url, variables):
    store = Driver(driver, url, environment("http://127.0.0.1:1", **variables))
    assert store.opened[0] == "ARGUMENT"
    assert "pw" not in store.text and "secret=1" not in store.text
    store.close()


def test_endpoints_and_regions_have_their_order(versitygw, open_store):
    nowhere = "http://127.0.0.1:1"
    store = open_store(nowhere, AWS_ENDPOINT_URL_S3=versitygw.url, AWS_REGION=None, AWS_DEFAULT_REGION="us-east-1")
    assert store("head", "a") == "NOT_FOUND"
    store = open_store(versitygw.url, AWS_DEFAULT_REGION="eu-north-1")
    assert store("head", "a") == "NOT_FOUND"


def credentials(path, profile, secret):
    path.write_text(f"[default]\naws_access_key_id = x\naws_secret_access_key = y\n\n[{profile}]\n# c\n"
                    f"aws_access_key_id={stores.ACCESS_KEY}\naws_secret_access_key = {secret}\n", encoding="utf-8")


def test_credentials_come_from_a_file_and_are_read_again(versitygw, open_store, tmp_path):
    path = tmp_path / "credentials"
    credentials(path, "ours", SECRET_KEY)
    variables = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_PROFILE": "ours",
                 "AWS_SHARED_CREDENTIALS_FILE": str(path)}
    store = open_store(versitygw.url, **variables)
    assert store("head", "a") == "NOT_FOUND"
    credentials(path, "ours", "expired")
    store = open_store(versitygw.url, **variables)
    assert store("get", "a", 0, 1) == "POLICY"
    credentials(path, "ours", SECRET_KEY)
    assert store("get", "a", 0, 1) == "NOT_FOUND"


def test_expired_credentials_are_named(store, proxy):
    proxy.arm(refuse(400, "ExpiredToken", "The provided token has expired."))
    assert store("get", "a", 0, 1) == "POLICY" and "credentials have expired: renew them" in store.text
    assert len(proxy.seen) == 1      # they are the environment's: others cannot be there


def test_session_tokens_are_signed_and_sent(moto, open_store, files):
    between = FaultProxy(moto.port)
    sent = []

    def look(handler):
        sent.append((handler.headers.get("x-amz-security-token"), handler.headers["authorization"]))
        handler.reply(*handler.forward())
    between.arm(look)
    store = open_store(between.url, AWS_SESSION_TOKEN="a/token+of==a/session")
    assert store("put", "a", files["small"]) == "OK"
    assert sent[0][0] == "a/token+of==a/session" and "x-amz-security-token" in sent[0][1]
    between.stop()


def test_the_host_may_name_the_bucket(moto, open_store, files):
    between = FaultProxy(moto.port)
    hosts = []

    def look(handler):
        hosts.append((handler.headers["host"], handler.path))
        handler.reply(*handler.forward())
    between.arm(look)
    port = between.server_address[1]
    store = open_store(f"http://localhost:{port}", EVLOG_S3_STYLE="virtual")
    assert store("put", "a", files["small"]) == "OK"
    assert hosts[0][0] == f"{BUCKET}.localhost:{port}" and not hosts[0][1].startswith(f"/{BUCKET}")
    store = open_store(f"http://localhost:{port}")
    assert store("all", "a", 5) == "OK"
    between.stop()


def make_certificate(folder):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


def test_certificates_are_checked(open_store, tmp_path):
    cert, key = make_certificate(tmp_path)
    server = Versitygw(cert, key)
    try:
        store = open_store(server.url)
        assert store("head", "a") == "POLICY" and "AWS_CA_BUNDLE" in store.text
        store = open_store(server.url, AWS_CA_BUNDLE=str(cert))
        assert store("head", "a") == "NOT_FOUND"
        store = open_store(server.url, AWS_CA_BUNDLE=str(tmp_path / "none.pem"))
        assert store("head", "a") == "POLICY" and "AWS_CA_BUNDLE" in store.text
    finally:
        server.stop()


def test_a_clock_that_is_off_is_named(store, proxy):
    date = email.utils.format_datetime(datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=20),
                                       usegmt=True)
    proxy.arm(refuse(403, "RequestTimeTooSkewed", "The difference is too large.", headers=[("Date", date)]))
    assert store("get", "a", 0, 1) == "POLICY"
    assert any(f"this machine's clock is {n} seconds behind the server's" in store.text for n in (1199, 1200))


def test_no_text_repeats_a_secret(proxy, open_store):
    store = open_store(proxy.url, AWS_SESSION_TOKEN="a-token-of-a-session")
    for said in (f"not {SECRET_KEY} again", "the token a-token-of-a-session is too old"):
        proxy.arm(refuse(403, "AccessDenied", said))
        assert store("get", "a", 0, 1) == "POLICY"
        assert SECRET_KEY not in store.text and "a-token-of" not in store.text and "grant it" in store.text


# --- servers that fail ----------------------------------------------------------------------------------------------

REFUSALS = [(429, "SlowDown", "AGAIN"), (500, "InternalError", "AGAIN"), (502, None, "AGAIN"),
            (503, "SlowDown", "AGAIN"), (504, None, "AGAIN"), (408, None, "AGAIN"), (400, "RequestTimeout", "AGAIN"),
            (403, "AccessDenied", "POLICY"), (401, None, "POLICY"), (400, "InvalidRequest", "POLICY"),
            (501, "NotImplemented", "UNSUPPORTED"), (507, None, "NO_SPACE"), (302, None, "POLICY"),
            (600, None, "CORRUPT")]


@pytest.mark.parametrize("status, code, outcome", REFUSALS)
def test_every_refusal_has_its_outcome(store, proxy, files, status, code, outcome):
    for call in (("get", "first", 0, 1), ("put", "a", files["small"]), ("list", "", "", 9), ("remove", "a")):
        proxy.arm(refuse(status, code))
        assert store(*call) == outcome
        assert str(status) in store.text
    assert store("head", "a") == "NOT_FOUND"
    assert store("once", "a", files["small"]) == "OK"


def test_what_is_refused_to_head_is_asked_of_get(store, proxy):
    proxy.arm(refuse(403), method="HEAD")
    proxy.arm(refuse(403, "AccessDenied", "by a rule"), method="GET")
    assert store("head", "first") == "POLICY" and "by a rule" in store.text


def test_conflicts_of_writers_are_tried_again(store, proxy, files):
    proxy.arm(refuse(409, "ConditionalRequestConflict"))
    assert store("once", "a", files["small"]) == "AGAIN"
    assert store("once", "a", files["small"]) == "OK"


def test_lost_answers_leave_a_doubt_that_a_look_settles(store, proxy, files):
    proxy.arm(drop_after, method="PUT", count=2)
    assert store("put", "a", files["small"]) in ("IN_DOUBT", "EXISTS")
    proxy.calm()
    assert store("put", "a", files["small"]) == "EXISTS"
    proxy.arm(drop_after, method="PUT", count=2)
    assert store("once", "b", files["small"]) == "OK"
    proxy.calm()
    proxy.arm(drop_before, method="PUT", count=2)
    assert store("put", "c", files["small"]) == "IN_DOUBT"
    proxy.calm()
    proxy.arm(drop_before, method="PUT", count=2)
    assert store("once", "c", files["small"]) == "AGAIN" and "not there" in store.text
    proxy.calm()
    proxy.arm(nonsense, method="PUT", count=2)
    assert store("put", "c", files["small"]) == "IN_DOUBT"
    proxy.calm()
    assert store("once", "c", files["small"]) == "OK"


def test_nobody_there_is_no_doubt(open_store, files):
    store = open_store("http://127.0.0.1:1")
    for call in (("put", "a", files["small"]), ("get", "a", 0, 1), ("head", "a")):
        assert store(*call) == "AGAIN"


def test_what_reads_lack_or_have_too_much_is_noticed(store, proxy, files):
    assert store("put", "a", files["longer"]) == "OK"
    cases = [(half, "AGAIN"), (with_length(10), "AGAIN"), (with_length(-10), "CORRUPT"),
             (drop_before, "AGAIN"), (nonsense, "AGAIN"),
             (edited(lambda body: body[:-5]), "CORRUPT"), (edited(lambda body: body + b"more"), "CORRUPT"),
             (edited(header=("Content-Range", "bytes 1-1000/100000")), "CORRUPT"),
             (edited(header=("Content-Range", "bytes 0-998/100000")), "CORRUPT"),
             (edited(header=("Content-Range", "bytes 0-999/18446744073709551616")), "CORRUPT"),
             (edited(header=("Content-Range", "bytes 0-999/500")), "CORRUPT"),
             (edited(header=("Content-Range", "items 0-999/100000")), "CORRUPT"),
             (edited(header=("Content-Range", "")), "CORRUPT"), (edited(status=200), "OK"),
             (edited(status=204), "CORRUPT"),
             (refuse(416, "InvalidRange", headers=[("Content-Range", "bytes */100000")]), "CORRUPT")]
    for number, (action, outcome) in enumerate(cases):
        proxy.calm()
        proxy.arm(action, method="GET", count=2)
        assert store("get", "a", 0, 1000) == outcome, f"case {number}: {store.text}"
    proxy.calm()
    assert store("get", "a", 0, 1000) == "OK"


def test_a_whole_object_instead_of_a_part_is_refused(store, proxy, files):
    assert store("put", "a", files["longer"]) == "OK"

    def whole(handler):
        del handler.headers["range"]
        handler.reply(200, [("Content-Length", "100000")], files["longer"].read_bytes())
    proxy.arm(whole, method="GET", count=2)
    assert store("get", "a", 10, 100) == "CORRUPT"
    assert store("get", "a", 0, 100) == "CORRUPT"
    proxy.arm(whole, method="GET")
    assert store("get", "a", 0, 100_000) == "OK" and store.values[1] == digest(files["longer"])


def test_heads_that_lie_are_refused(store, proxy):
    for header in (("Content-Length", "99999999999999"), ("Content-Length", "5, 6")):
        proxy.arm(edited(header=header), method="HEAD", count=2)
        assert store("head", "first") in ("CORRUPT", "AGAIN")
        proxy.calm()
    proxy.arm(edited(header=("x-amz-meta-sha256", "no hash")), method="HEAD")
    assert store("head", "first") == "OK" and len(store.values) == 2


LISTED = "<Contents><Key>{}</Key><Size>5</Size><LastModified>2026-03-01T12:00:00Z</LastModified></Contents>"


def list_of(*keys, truncated="false", rest=""):
    items = "".join(LISTED.format(key) for key in keys)
    return (f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{items}{rest}</ListBucketResult>").encode()


def test_lists_that_lie_are_refused(store, proxy):
    assert store("list", "", "", 9) == "OK"
    prefix = next(seen for seen in proxy.seen if "list-type" in seen).partition("prefix=")[2].replace("%2F", "/")
    lies = [list_of(prefix + "b", prefix + "a"), list_of(prefix + "a", prefix + "a"), list_of("elsewhere/a"),
            list_of(truncated="true"), list_of(prefix + "a", truncated="perhaps"), list_of(prefix + "a")[:-5],
            list_of(rest="<Contents><Key>x</Key></Contents>"), b"", b"<html>busy</html>", error_text("InternalError"),
            b'<!DOCTYPE x [<!ENTITY a "b">]>' + list_of(), b"\xff\xfe" + list_of(), list_of(prefix + "\x01")]
    for number, lie in enumerate(lies):
        proxy.arm(edited(lambda _, lie=lie: lie), text="list-type")
        assert store("list", "", "", 9) == "CORRUPT", f"case {number}: {store.text}"
    proxy.arm(edited(lambda _: list_of(prefix + "a", prefix + "not a key", prefix + "z")), text="list-type")
    assert store("list", "", "", 9) == "OK" and store.values == ["a:5", "z:5"]      # others' objects are passed over


def test_a_store_that_overwrites_is_not_used(proxy, open_store, files):
    def forgetful(handler):
        del handler.headers["if-none-match"]
        handler.reply(200, [("Content-Length", "0"), ("ETag", '"x"')], b"")
    store = open_store(proxy.url)
    proxy.arm(forgetful, method="PUT", count=2)
    assert store("put", "a", files["small"]) == "UNSUPPORTED" and "If-None-Match" in store.text


# --- servers that wait ----------------------------------------------------------------------------------------------

def test_silence_ends_after_the_time_allowed(proxy, open_store, files):
    hasty = open_store(proxy.url, EVLOG_S3_TIMEOUT="500ms")
    proxy.arm(stall, count=2)
    assert hasty("get", "first", 0, 5) == "AGAIN" and "no answer" in hasty.text
    proxy.calm()
    proxy.arm(stall, method="PUT", count=2)
    assert hasty("put", "a", files["small"]) == "IN_DOUBT"


def test_a_trickle_ends_after_the_time_allowed(store, proxy, open_store, files):
    # The key is one of the other store's prefix, which is the same.
    hasty = open_store(proxy.url, EVLOG_S3_TIMEOUT="500ms")
    assert store("put", "a", files["longer"]) == "OK"
    proxy.arm(slow, method="GET", count=2)
    assert hasty("get", "a", 0, 100_000) == "AGAIN" and "bytes a second" in hasty.text


def test_a_stop_ends_calls_under_way(proxy, open_store):
    store = open_store(proxy.url)
    proxy.arm(stall, count=2)
    assert store("stop", 100) == "OK"
    assert store("get", "first", 0, 5) == "CLOSED"
    assert store("head", "first") == "CLOSED"


# --- objects in parts -----------------------------------------------------------------------------------------------

def parts_sent(proxy):
    return [seen.partition("partNumber=")[2].partition("&")[0] for seen in proxy.seen if "partNumber=" in seen]


def test_parts_that_are_there_are_not_sent_again(proxy, store, open_store, files):
    proxy.arm(drop_before, text="partNumber=3", count=9)
    assert store("once", "l", files["large"]) == "AGAIN"
    assert parts_sent(proxy)[:2] == ["1", "2"]
    proxy.calm()
    other_process = open_store(proxy.url)
    proxy.arm(refuse(503, "SlowDown"), text="part-number-marker")
    assert other_process("once", "l", files["large"]) == "AGAIN"
    assert parts_sent(proxy) == []
    assert other_process("once", "l", files["large"]) == "OK"
    assert parts_sent(proxy) == ["3"]
    assert store("all", "l", 3 * PART) == "OK" and store.values[1] == digest(files["large"])


def test_parts_of_another_object_are_not_taken_for_ours(proxy, store, files):
    proxy.arm(drop_before, text="partNumber=3", count=9)
    assert store("once", "l", files["another"]) == "AGAIN"
    proxy.calm()
    assert store("once", "l", files["large"]) == "OK"
    assert parts_sent(proxy) == ["1", "2", "3"]
    assert sum("DELETE" in seen for seen in proxy.seen) == 1    # what can never end is given up
    assert store("all", "l", 3 * PART) == "OK" and store.values[1] == digest(files["large"])


def test_an_upload_that_was_refused_starts_over(proxy, store, files):
    proxy.arm(refuse(409, "ConditionalRequestConflict"), method="POST", text="uploadId")
    assert store("once", "l", files["large"]) == "AGAIN"
    proxy.calm()
    assert store("once", "l", files["large"]) == "OK"
    assert parts_sent(proxy) == ["1", "2", "3"]


def test_an_upload_that_is_gone_starts_over(proxy, store, files):
    proxy.arm(refuse(404, "NoSuchUpload"), method="PUT", text="partNumber=2")
    assert store("once", "l", files["large"]) == "AGAIN"
    assert store("once", "l", files["large"]) == "OK"


def test_the_one_who_comes_second_finds_it_there(proxy, store, versitygw, open_store, files):
    direct = open_store(versitygw.url)

    def overtake(handler):
        assert direct("put", "l", files["small"]) == "OK"
        handler.reply(*handler.forward())
    proxy.arm(overtake, method="POST", text="uploadId")
    assert store("put", "l", files["large"]) == "EXISTS"
    assert store("once", "l", files["large"]) == "CONFLICT"
    assert direct("all", "l", 5) == "OK" and direct.values[1] == digest(files["small"])


def test_a_lost_completion_is_looked_up(proxy, store, files):
    proxy.arm(drop_after, method="POST", text="uploadId", count=1)
    assert store("once", "l", files["large"]) == "OK"
    for key, said in (("m", error_text("InternalError")), ("n", b"<html>busy</html>")):
        proxy.arm(edited(lambda _, said=said: said), method="POST", text="uploadId")
        assert store("put", key, files["large"]) == "IN_DOUBT"
        assert store("once", key, files["large"]) == "OK"


def test_uploads_that_lie_are_refused(proxy, store, files):
    for call, text, lie in (("POST", "uploads=", b"<InitiateMultipartUploadResult/>"), ("GET", "uploads=", b"<a/>"),
                            ("POST", "uploads=", b"")):
        proxy.arm(edited(lambda _, lie=lie: lie), method=call, text=text)
        assert store("put", "l", files["large"]) == "CORRUPT"
    proxy.arm(edited(header=("ETag", "<Part>")), method="PUT", text="partNumber=1")
    assert store("put", "l", files["large"]) == "CORRUPT"
    assert store("once", "l", files["large"]) == "OK"


# --- the library ----------------------------------------------------------------------------------------------------

def test_a_missing_library_is_named(driver):
    paths = [f"/usr/lib/x86_64-linux-gnu/{name}" for name in ("libcurl-gnutls.so.4", "libcurl.so.4")]
    hidden = [path for path in paths if os.path.exists(path)]
    hide = "".join(f"mount --bind /dev/null {path} && " for path in hidden)
    command = ["unshare", "-m", "sh", "-c", f'{hide}exec "$0" s3://bucket/x', str(driver)]
    with contextlib.suppress(FileNotFoundError):
        done = subprocess.run(command, env=environment("http://127.0.0.1:1"), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)
        if done.returncode == 0:
            assert done.stdout.startswith(ERR + "UNSUPPORTED") and "install libcurl3-gnutls" in done.stdout
            return
    pytest.skip("hiding a file from a process needs root")


def test_no_program_needs_the_library_to_start():
    for name in ("bin/evlogd", "bin/evlog", "lib/libevlog.so.1"):
        needed = subprocess.run(["readelf", "-d", BIN.parent / name], check=True, capture_output=True, text=True).stdout
        assert "NEEDED" in needed and "curl" not in needed
