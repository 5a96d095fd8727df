# SPDX-License-Identifier: Apache-2.0
"""The same source makes the same bytes, wherever it is built: whoever doubts a release builds it and compares."""
import hashlib
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def build(folder):
    """The tracked files copied to folder and built there. Returns {name: digest} of what a package would hold."""
    folder.mkdir(parents=True)
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    with subprocess.Popen(["tar", "-c", "--null", "-T", "-"], cwd=ROOT, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as pack:
        unpack = subprocess.Popen(["tar", "-x", "-C", folder], stdin=pack.stdout)
        pack.stdin.write(files)
        pack.stdin.close()
        assert unpack.wait() == 0
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "OUT"))}
    subprocess.run(["make", "-s", "-j2", "all"], cwd=folder, check=True, env=environment | {"CCACHE_DISABLE": "1"},
                   stdout=subprocess.DEVNULL)
    built = [path for kind in ("bin/*", "lib/*.so.1", "lib/libevlog*.a") for path in (folder / "build").glob(kind)]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in built if path.is_file()}


def test_two_builds_in_two_places_are_equal(tmp_path):
    one = build(tmp_path / "one")
    other = build(tmp_path / "another" / "place")
    assert {"evlogd", "evlog", "evlog-audit", "libevlog.so.1"} <= set(one)
    assert one == other
