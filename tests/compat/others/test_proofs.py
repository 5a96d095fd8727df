# SPDX-License-Identifier: Apache-2.0
"""Trees, checkpoints and proofs of evlog are what the packages of Go's checksum database take; openssl takes the keys.

A small C program writes a log with libevlog; a Go program reads it with golang.org/x/mod/sumdb/{tlog,note}, every leaf
through tiles. Changed, the same files are refused.
"""
import base64
import hashlib
import pathlib
import subprocess

import pytest

import programs
from make_target import make_target

SIZES = [(1, 1), (2, 1), (255, 1), (256, 255), (257, 256), (1000, 700), (65537, 1000)]
EXAMPLE = (600, 500)


@pytest.fixture(scope="module")
def sumdb(tmp_path_factory):
    return programs.build_sumdb(tmp_path_factory.mktemp("sumdb"))


@pytest.fixture(scope="module")
def writer():
    return str(make_target("compat/proofs"))


@pytest.fixture(scope="module")
def example(writer, tmp_path_factory):
    return write(writer, tmp_path_factory.mktemp("example"), *EXAMPLE)


def write(writer, folder, leaves, old):
    programs.run(writer, str(folder), str(leaves), str(old), str(leaves // 2))
    return folder


def read(program, *words):
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout.strip()


def tree(sumdb, folder):
    return read(sumdb, "tree", folder, folder / "checkpoint", folder / "keys", folder / "old")


def proof(sumdb, folder):
    return read(sumdb, "proof", folder / "proof", folder / "keys", folder / "entry")


def changed(path, pos):
    """Changes one bit while the block runs."""
    class Change:
        def __enter__(self):
            self.before = path.read_bytes()
            after = bytearray(self.before)
            after[pos % len(after)] ^= 1
            path.write_bytes(after)

        def __exit__(self, *_):
            path.write_bytes(self.before)
    return Change()


def write_keys(folder, name):
    """The keys of a made archive as the Go program wants them."""
    ders = [base64.b64decode("".join(body.split("-----")[2].split())) for body in
            (folder / "key.pem").read_text().split("-----END PUBLIC KEY-----")[:-1]]
    lines = []
    for der in ders:
        if len(der) == 44:      # Ed25519
            key = b"\1" + der[12:]
            hashed = hashlib.sha256(name.encode() + b"\n" + key).hexdigest()[:8]
            lines.append(f"{name}+{hashed}+{base64.b64encode(key).decode()}")
        else:
            lines.append(f"{name} ecdsa {base64.b64encode(der).decode()}")
    (folder / "keys").write_text("\n".join(lines) + "\n")
    return folder / "keys"


@pytest.mark.parametrize("leaves,old", SIZES)
def test_trees_and_proofs_are_taken(sumdb, writer, tmp_path, leaves, old):
    folder = write(writer, tmp_path, leaves, old)
    code, said = tree(sumdb, folder)
    assert code == 0, said
    assert said.split()[0] == str(leaves)
    code, root = proof(sumdb, folder)
    assert code == 0, root
    assert root == said.split()[1]


def test_every_changed_tile_is_refused(sumdb, example):
    tiles = sorted(path for path in pathlib.Path(example, "tile").rglob("*") if path.is_file())
    assert len(tiles) == 4
    for path in tiles:
        for pos in (0, path.stat().st_size // 2, -1):
            with changed(path, pos):
                code, said = tree(sumdb, example)
                assert code == 1, f"{path} {pos}: {said}"
        path.rename(path.with_suffix(".away"))
        assert tree(sumdb, example)[0] == 1
        path.with_suffix(".away").rename(path)
    assert tree(sumdb, example)[0] == 0


def test_every_changed_byte_of_a_checkpoint_is_refused(sumdb, example):
    for name in ("checkpoint", "old"):
        # The last characters of a signature hold bits that Go's base64 passes over.
        passed_over = [pos for pos, char in enumerate((example / name).read_bytes()) if chr(char) == "="]
        for pos in range(0, (example / name).stat().st_size, 7):
            if pos + 1 in passed_over or pos + 2 in passed_over or pos in passed_over:
                continue
            with changed(example / name, pos):
                code, said = tree(sumdb, example)
                assert code == 1, f"{name} {pos}: {said}"


def test_a_changed_proof_or_entry_is_refused(sumdb, example):
    text = (example / "proof").read_text()
    for pos in (0, text.index("index") + 6, text.index("index") + 20, text.index("\n\n") + 5, -50):
        with changed(example / "proof", pos):
            assert proof(sumdb, example)[0] == 1, pos
    with changed(example / "entry", 0):
        assert proof(sumdb, example)[0] == 1
    assert proof(sumdb, example)[0] == 0


def test_openssl_verifies_a_signature_with_the_key(example, tmp_path):
    """And so does who has neither Go nor evlog: text, signature and key are cut out with nothing but base64."""
    programs.needs("openssl")
    note = (example / "checkpoint").read_text()
    signed, _, lines = note.rpartition("\n\n")
    name, _, key = (example / "keys").read_text().splitlines()[1].split()
    signature = base64.b64decode(lines.splitlines()[0].split()[2])
    assert lines.startswith(f"\N{EM DASH} {name} ")
    (tmp_path / "text").write_text(signed + "\n")
    (tmp_path / "key").write_bytes(base64.b64decode(key))
    (tmp_path / "signature").write_bytes(signature[4:])
    programs.run("openssl", "pkey", "-pubin", "-inform", "DER", "-in", str(tmp_path / "key"), "-out",
                 str(tmp_path / "pem"))
    assert "Verified OK" in programs.run("openssl", "dgst", "-sha256", "-verify", str(tmp_path / "pem"), "-signature",
                                         str(tmp_path / "signature"), str(tmp_path / "text"))


def test_trees_of_an_archive_are_taken(sumdb, tmp_path):
    """That of manifests, with an earlier root, and those of partitions."""
    programs.run(str(make_target("bin/make_archive")), str(tmp_path))
    trees = 0
    for base in sorted(path for path in (tmp_path / "archive").iterdir() if len(path.name) == 32):
        roots = sorted((base / "root").iterdir())
        keys = write_keys(tmp_path, "/".join(roots[-1].read_text().split("/")[:2]))
        code, said = read(sumdb, "tree", base, roots[-1], keys, roots[-2])
        assert code == 0, said
        assert said.split()[0] == str(len(roots))
        for checkpoint in sorted(base.glob("topics/*/*/checkpoint/*")):
            if len(checkpoint.read_text().rpartition("\n\n")[2].splitlines()) < 2:
                continue        # by the one key that there was before
            code, said = read(sumdb, "tree", checkpoint.parents[1], checkpoint, keys)
            assert code == 0, said
            assert int(said.split()[0]) == int(checkpoint.name)
            trees += 1
    assert trees > 0
