# SPDX-License-Identifier: Apache-2.0
"""Users and rules as they lie on the disk and in the archive: sealed.

Goal: who reads the bucket, or a segment, finds neither a user's name nor what a password is checked with; with the key
all of it comes back in a restore, without it evlogd says what is missing and does not start as if nobody were there.
Method: a broker with an archive and users whose verifiers are known byte for byte; a reader of sealed records that
shares no code with evlog.
"""
import base64
import json
import os
import re
import shutil

import pytest

from cli_kit import evlog
from conftest import Broker, start_or_skip, wait_for
from kafka_wire import Connection, batch
from scram_user import make_user
from sealed_access import keys_of, open_name, open_value

PASSWORD = "Quitte=9"
NAMES = ("agnes-of-the-orchard", "benno-of-the-orchard")
TOPIC = "topic-of-the-orchard"
LISTENERS = "PLAINTEXT://127.0.0.1:0,SASL_PLAINTEXT://127.0.0.1:0"
SETTINGS = ["--authorizer=on", "--super-users=User:ANONYMOUS", "--archive-max-lag-ms=200ms"]
NO_AUDIT = "--evlog-audit-include=none"    # it names who did what, for all who may read it


class Orchard:
    """A broker with an archive, whose data directory may be lost."""

    def __init__(self, folder):
        self.folder = folder
        self.url = f"file://{folder / 'archive'}"
        self.data = folder / "data"
        self.copy = folder / "copy-of-access.key"
        self.broker = None

    def make(self, *args):
        return Broker(self.data, shards=2, listeners=LISTENERS, args=[f"--archive={self.url}", *SETTINGS, *args])

    def start(self, *args):
        self.broker = start_or_skip(self.make(*args))
        return self.broker

    def refused(self, *args):
        """What a start says that ends with exit code 2, and before it says that it is ready."""
        broker = self.make(*args)
        with pytest.raises(AssertionError, match=r"did not get ready \(exit 2\)"):
            broker.start()
        return "".join(broker.log)

    def stop(self):
        if self.broker is not None:
            assert self.broker.stop() == 0, "".join(self.broker.log[-30:])
            self.broker = None

    def run(self, *words, **options):
        return evlog(*words, bootstrap=f"127.0.0.1:{self.broker.ports['PLAINTEXT']}", expect=0, **options)

    def proves(self, name, expect=0):
        words = [f"security.protocol=sasl_plaintext sasl.mechanism=SCRAM-SHA-256 sasl.username={name} "
                 f"sasl.password={PASSWORD}"][0].split()
        return evlog("topics", "ls", *[part for word in words for part in ("-X", word)],
                     bootstrap=f"127.0.0.1:{self.broker.ports['SASL_PLAINTEXT']}", expect=expect)

    def populate(self):
        """Users, a rule, a quota. returns all bytes that nobody is to find"""
        secrets = [part for name in NAMES for part in make_user(self.broker.ports["PLAINTEXT"], name, PASSWORD)]
        self.run("acl", "allow", f"User:{NAMES[0]}", "read", "topic", TOPIC)
        self.run("quota", "set", "--user", NAMES[1], "producer_byte_rate=1MiB")
        return [*secrets, b"orchard"]

    def all_of_it(self):
        return [self.run(*words, "--json").out for words in (("user", "ls"), ("acl", "ls"), ("quota", "ls"))]

    def lose(self, keep=True):
        """Archive, stop, lose the disk; a copy of the file of keys is somewhere else."""
        self.run("archive", "now", "--wait")
        self.stop()
        if keep:
            shutil.copy(self.data / "keys" / "access.key", self.copy)
        shutil.rmtree(self.data)

    def restore(self, *words, expect=0):
        return evlog("archive", "restore", self.url, "--to", self.data, *words, expect=expect)


@pytest.fixture
def orchard(tmp_path):
    made = Orchard(tmp_path)
    yield made
    made.stop()


def key_id(orchard):
    return next(iter(keys_of(orchard.data / "keys" / "access.key"))).hex()


def said(broker, words):
    """The log has it, sooner or later."""
    wait_for(lambda: broker.log_lines(words), words, 60)


def found(folder, secrets):
    """Files of a folder that hold one of the secrets."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [(path, secret) for path in files for secret in secrets if secret in path.read_bytes()]


def test_bucket_and_disk_name_nobody_and_the_key_opens_all(orchard):
    broker = orchard.start(NO_AUDIT)
    secrets = orchard.populate()
    with Connection("127.0.0.1", broker.ports["PLAINTEXT"], 60) as conn:
        assert conn.create_topic("shown")[0] == 0
        assert conn.produce("shown", batch([b"this event is in the clear"]))[0] == 0
    before = orchard.all_of_it()
    assert all("orchard" in text for text in before)
    orchard.run("archive", "now", "--wait")
    orchard.stop()
    archive = orchard.folder / "archive"
    assert found(archive, [b"this event is in the clear"]), "else it would prove nothing that the others are not found"
    assert not found(archive, secrets) and not found(orchard.data, secrets)
    mode = (orchard.data / "keys" / "access.key").stat().st_mode & 0o777
    assert mode == 0o400
    keys = keys_of(orchard.data / "keys" / "access.key")
    exported = orchard.folder / "exported"
    evlog("archive", "export", orchard.url, "--topic", "__evlog_access", "--to", exported, expect=0)
    assert not found(exported, secrets)
    tail = evlog("archive", "tail", orchard.url, "--topic", "__evlog_access", "--json", expect=0)
    opened = {}
    for row in tail.lines():
        name, value = (base64.b64decode(row[part]) for part in ("key_base64", "data_base64"))
        opened[open_name(keys, name)] = open_value(keys, name, value)
    assert sorted(key[1] for key in opened) == [1, 2, 2, 3], "a rule, two users, a limit"
    text = b"".join(part for record in opened.items() for part in record)
    assert all(secret in text for secret in secrets)


def test_with_the_audit_log_names_are_told_and_verifiers_are_not(orchard):
    orchard.start()
    secrets = orchard.populate()
    orchard.run("archive", "now", "--wait")
    orchard.stop()
    assert found(orchard.folder / "archive", [b"orchard"]), "the audit log says who was made"
    assert not found(orchard.folder / "archive", secrets[:-1])


def test_a_restore_with_the_key_brings_users_and_rules_back(orchard):
    orchard.start()
    orchard.populate()
    before, wanted = orchard.all_of_it(), key_id(orchard)
    orchard.lose()
    told = orchard.restore("--access-key", orchard.copy, "--json").lines()[0]
    assert (told["access_unopened"], told["access_key"]) == (0, "")
    assert (orchard.data / "keys" / "access.key").stat().st_mode & 0o777 == 0o400
    assert key_id(orchard) == wanted
    orchard.start()
    assert orchard.all_of_it() == before
    orchard.proves(NAMES[0])


def test_a_restore_without_the_key_says_so_and_the_start_is_refused_until_it_comes(orchard):
    orchard.start()
    orchard.populate()
    orchard.run("topics", "create", "kept")
    before, wanted = orchard.all_of_it(), key_id(orchard)
    orchard.lose()
    told = orchard.restore()
    assert f"4 users, access rules and quotas are sealed by the key {wanted}, which was not given" in told.err
    assert not (orchard.data / "keys").exists()
    kept = {path: path.read_bytes() for path in orchard.data.rglob("*.seg")}
    for _ in range(2):
        log = orchard.refused()
        assert f"4 users, access rules or quotas are sealed by the key {wanted}" in log
        assert "--access-key FILE" in log and "--forget-access=true" in log
    assert not (orchard.data / "keys" / "access.key").exists(), "a refused start makes no key"
    assert kept == {path: path.read_bytes() for path in orchard.data.rglob("*.seg")}

    wrong = orchard.folder / "wrong.key"
    wrong.write_text(os.urandom(32).hex() + "\n")
    wrong.chmod(0o444)
    assert "can be read by everybody: chmod 400 it" in orchard.refused(f"--access-key={wrong}")
    wrong.chmod(0o400)
    assert f"are sealed by the key {wanted}" in orchard.refused(f"--access-key={wrong}")
    assert not (orchard.data / "keys" / "access.key").exists(), "nor does it take a wrong one over"
    short = orchard.folder / "short.key"
    short.write_text("0123456789abcdef\n")
    short.chmod(0o400)
    log = orchard.refused(f"--access-key={short}")
    assert "line 1 is no key" in log and "0123456789abcdef" not in log
    assert "No such file" in orchard.refused(f"--access-key={short}.gone")

    orchard.start(f"--access-key={orchard.copy}")
    assert orchard.all_of_it() == before and key_id(orchard) == wanted
    orchard.proves(NAMES[1])
    orchard.stop()
    orchard.start()    # the directory has it now
    assert orchard.all_of_it() == before
    assert "kept" in orchard.run("topics", "ls").out


def test_a_wrong_key_is_told_by_the_restore_and_not_taken_over(orchard):
    orchard.start()
    orchard.populate()
    wanted = key_id(orchard)
    orchard.lose()
    wrong = orchard.folder / "wrong.key"
    wrong.write_text(os.urandom(32).hex() + "\n")
    wrong.chmod(0o400)
    for name, words in (("gone", "No such file"), ("copy-of-access.key", "can be read by everybody")):
        orchard.copy.chmod(0o444)
        done = orchard.restore("--access-key", orchard.folder / name, expect=None)
        assert done.code != 0 and words in done.err and not orchard.data.exists()
    told = orchard.restore("--access-key", wrong)
    assert f"sealed by the key {wanted}, which the given file does not have" in told.err
    assert not (orchard.data / "keys").exists()


def test_a_start_from_the_archive_takes_the_key(orchard):
    orchard.start()
    orchard.populate()
    before, wanted = orchard.all_of_it(), key_id(orchard)
    orchard.lose()
    log = orchard.refused("--from-archive=true")
    assert "restored" in log and f"sealed by the key {wanted}" in log
    orchard.start("--from-archive=true", f"--access-key={orchard.copy}")
    assert orchard.all_of_it() == before and key_id(orchard) == wanted


def test_a_lost_key_can_be_given_up_and_costs_everybody(orchard):
    orchard.start()
    orchard.populate()
    before = orchard.all_of_it()
    orchard.stop()
    orchard.start("--forget-access=true")
    assert orchard.all_of_it() == before, "nothing is forgotten while all can be opened"
    orchard.stop()
    lost = orchard.data / "keys" / "access.key"
    lost.unlink()
    orchard.refused()
    broker = orchard.start("--forget-access=true")
    said(broker, "all 4 users, rules and quotas are forgotten")
    assert not any("orchard" in text for text in orchard.all_of_it())
    orchard.proves(NAMES[0], expect=4)
    orchard.populate()
    before = orchard.all_of_it()
    orchard.stop()
    orchard.start()
    assert orchard.all_of_it() == before
    orchard.proves(NAMES[0])


def test_a_new_key_seals_everything_anew_and_the_old_one_may_go(orchard):
    orchard.start()
    orchard.populate()
    before, old = orchard.all_of_it(), key_id(orchard)
    orchard.stop()
    new = orchard.folder / "new.key"
    new.write_text(os.urandom(32).hex() + "\n")
    new.chmod(0o400)
    broker = orchard.start(f"--access-key={new}")
    wanted = next(iter(keys_of(new))).hex()
    said(broker, f"4 users, rules and quotas are written again, sealed by the key {wanted}")
    keys = list(keys_of(orchard.data / "keys" / "access.key"))
    assert [key.hex() for key in keys] == [wanted, old]
    assert orchard.all_of_it() == before
    orchard.stop()
    broker = orchard.start(f"--access-key={new}")    # twice is once
    orchard.lose()
    assert not broker.log_lines("written again")
    assert orchard.restore("--access-key", new, "--json").lines()[0]["access_unopened"] == 0
    assert list(keys_of(orchard.data / "keys" / "access.key")) == keys[:1]
    orchard.start()
    assert orchard.all_of_it() == before
    orchard.proves(NAMES[1])


@pytest.mark.parametrize("spoil, words", [
    (lambda text: text[:100], "no key in it"),
    (lambda text: text[:-20], "line 3 is no key"),
    (lambda text: text + "z" * 64 + "\n", "line 4 is no key"),
    (lambda text: text * 40, "longer than a file of keys")])
def test_a_file_of_keys_that_is_damaged_is_refused(orchard, spoil, words):
    file = orchard.data / "keys" / "access.key"
    said(orchard.start(), "made the key")
    orchard.stop()
    text = file.read_text()
    file.unlink()
    file.write_text(spoil(text))
    file.chmod(0o400)
    log = orchard.refused()
    assert words in log and "access.key" in log and not re.search(r"[0-9a-f]{40}", log)
    file.unlink()
    file.write_text(text)
    file.chmod(0o644)
    assert "can be read by everybody" in orchard.refused()
    file.chmod(0o400)
    orchard.start()


def test_what_is_sealed_is_shown_sealed(orchard):
    orchard.start(NO_AUDIT)
    orchard.populate()
    orchard.run("archive", "now", "--wait")
    for words in (("archive", "tail", orchard.url, "--topic", "__evlog_access"),
                  ("replay", "__evlog_access", "--source", "archive", "--archive", orchard.url, "--archive-key",
                   orchard.data / "keys" / "archive.pub.pem")):
        done = evlog(*words, expect=0)
        assert done.out and "orchard" not in done.out
    assert json.loads(orchard.all_of_it()[0].splitlines()[0])["user"] == NAMES[0]
