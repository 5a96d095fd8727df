# SPDX-License-Identifier: Apache-2.0
"""Shows that the runners report what they should: tests/check, tests/fuzz/run.py, tests/docs/blocks.py.

Goal: a failing, hanging, dying or silent layer never counts as passed. Method: feed each runner small outcomes.
"""
import contextlib
import importlib.machinery
import importlib.util
import io
import os
import signal
import subprocess
import sys
import tempfile
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def load(name, path):
    loader = importlib.machinery.SourceFileLoader(name, os.path.join(TESTS, path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


CHECK = load("check", "check")
FUZZ = load("fuzz_run", "fuzz/run.py")
BLOCKS = load("blocks", "docs/blocks.py")

# (exit code, output, limit or None) -> passed, failed, skipped
VERDICTS = [
    ((0, "3 passed, 0 failed\n", None), (3, 0, 0)),
    ((0, "unit: 3 passed, 0 failed, 2 skipped\n", None), (3, 0, 2)),
    ((0, "a: 3 passed, 0 failed\nb: 4 passed, 0 failed\n", None), (7, 0, 0)),
    ((1, "3 passed, 2 failed\n", None), (3, 2, 0)),
    ((0, "3 passed, 2 failed\n", None), (3, 2, 0)),
    ((1, "3 passed, 0 failed\n", None), (3, 1, 0)),
    ((0, "0 passed, 0 failed\n", None), (0, 1, 0)),
    ((0, "compiled\n", None), (1, 0, 0)),
    ((2, "error\n", None), (0, 1, 0)),
    ((-11, "3 passed, 0 failed\n", None), (3, 1, 0)),
    ((0, "3 passed, 0 failed\n", 60), (3, 1, 0)),
    ((77, "SKIP: no such device\n", None), (0, 0, 1)),
    ((0, "SKIP: no such device\n", None), (0, 0, 1)),
    ((77, "", None), (0, 1, 0)),
    ((0, "5 passed, 1 skipped in 0.32s\n", None), (5, 0, 1)),
    ((1, "=== 1 failed, 5 passed, 1 error in 61.32s (0:01:01) ===\n", None), (5, 2, 0)),
    ((5, "no tests ran in 0.01s\n", None), (0, 1, 0)),
    ((0, "    3 passed, 0 failed\n", None), (1, 0, 0)),
]

DOCUMENT = """
<!-- block: expect: hello -->
```sh
echo hello
```

```sh
exit 1
```

<!-- block: skip: needs a moon -->
```sh
exit 1
```

<!-- block: expect: absent -->
```console
$ echo shown
shown
```
[here](other.md) [there](#anchor) [away](absent.md)
"""


def verdict_cases():
    for arguments, wanted in VERDICTS:
        found = tuple(CHECK.verdict_of(*arguments))[:3]
        yield f"verdict of {arguments}", None if found == wanted else f"{found}, expected {wanted}"


def layer_cases():
    """A layer that hangs is ended at its limit together with what it started, and counts as failed."""
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        layer = CHECK.Layer("hang", "", 1, set())
        began = time.monotonic()
        verdict, _ = CHECK.run_layer(layer, "sleep 60 & echo '2 passed, 0 failed'; wait", log)
        good = (verdict.passed, verdict.failed) == (2, 1) and time.monotonic() - began < 50
        yield "a hanging layer fails", None if good else str(verdict)
        verdict, _ = CHECK.run_layer(layer, "exit 3", log)
        yield "a failing layer fails", None if (verdict.passed, verdict.failed) == (0, 1) else str(verdict)


# Layers of two lanes, told to stop while both are at work.
STOPPED = """
import importlib.machinery, os, sys
check = importlib.machinery.SourceFileLoader("check", sys.argv[1]).load_module()
check.OUT = sys.argv[2]
check.signal.signal(check.signal.SIGTERM, lambda *_: sys.exit(143))
sleeps = "sleep 1000 & echo $! >{0}/{1}; wait"
check.Run([check.Layer(how, sleeps.format(sys.argv[2], how), 60, set(), how=how) for how in ("computes", "waits")],
          {}).go(beside=True)
"""


def written(path):
    return os.path.exists(path) and os.path.getsize(path) > 0


def lane_cases():
    """What computes runs beside what follows, in turn, and what is alone waits for it; no failure is lost."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        os.mkdir(os.path.join(folder, "check"))
        out, CHECK.OUT = CHECK.OUT, folder
        meets = "for i in $(seq 600); do test -e {0}/{2} && break; sleep 0.05; done; touch {0}/{1}; test -e {0}/{2}"
        layers = [CHECK.Layer(name, command.replace("DIR", folder), 60, set(), how=how) for name, command, how in [
            ("first", "touch DIR/a; " + meets.format("DIR", "met", "b"), CHECK.COMPUTES),
            ("second", "test -e DIR/met && exit 3", CHECK.COMPUTES),
            ("low", "test $(nice) -ge 15", CHECK.COMPUTES),
            ("beside", "touch DIR/b; " + meets.format("DIR", "also", "met"), None),
            ("alone", "test -e DIR/done", CHECK.ALONE)]]
        layers.insert(3, CHECK.Layer("last", f"sleep 0.3; touch {folder}/done", 60, set(), how=CHECK.COMPUTES))
        rows = {name: (verdict.passed, verdict.failed) for name, _, verdict in CHECK.Run(layers, {}).go(beside=True)}
        CHECK.OUT = out
    wanted = dict.fromkeys(("first", "low", "last", "beside", "alone"), (1, 0)) | {"second": (0, 1)}
    yield "layers run beside each other", None if rows == wanted else str(rows)
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "check"))
        run = subprocess.Popen([sys.executable, "-W", "ignore", "-c", STOPPED, CHECK.__file__, folder])
        notes = [os.path.join(folder, name) for name in ("computes", "waits")]
        deadline = time.monotonic() + 20
        while not all(map(written, notes)) and time.monotonic() < deadline:
            time.sleep(0.01)
        begun = [int(BLOCKS.read(note)) for note in notes if written(note)]
        run.send_signal(signal.SIGTERM)
        code = run.wait(30)
        left, deadline = begun, time.monotonic() + 10    # whoever inherits a process may take a moment to forget it
        while left and time.monotonic() < deadline:
            left = [number for number in left if os.path.exists(f"/proc/{number}")]
    good = (code, len(begun), left) == (143, 2, [])
    yield "a run that is stopped leaves nothing", None if good else f"exit code {code}, begun {begun}, left {left}"


def fuzz_cases():
    found = (1, "ERROR: AddressSanitizer: heap-buffer-overflow")
    for name, program, outcome, wanted in [
            ("a canary that is caught passes", "fuzz_canary", found, True),
            ("a canary that lives fails", "fuzz_canary", (0, "ok"), False),
            ("a canary that only exits fails", "fuzz_canary", (2, "no such file"), False),
            ("a finding fails", "fuzz_batch", found, False),
            ("a hang fails", "fuzz_batch", (None, ""), False),
            ("a clean target passes", "fuzz_batch", (0, "9 inputs"), True)]:
        yield name, None if FUZZ.judged(program, outcome)[0] is wanted else "judged the other way"


def block_cases():
    with tempfile.TemporaryDirectory() as folder:
        open(os.path.join(folder, "other.md"), "w", encoding="utf-8").close()
        blocks = list(BLOCKS.blocks_of("x.md", DOCUMENT))
        languages = [block.language for block in blocks]
        yield "blocks are found", None if languages == ["sh", "sh", "sh", "console"] else str(languages)
        dead = list(BLOCKS.broken_links(os.path.join(folder, "x.md"), DOCUMENT))
        yield "a dead link is found", None if dead == ["absent.md"] else str(dead)
        session = BLOCKS.Session(folder, dict(os.environ), folder)
        results = [session.run(block) is None for block in blocks]
        session.close()
        yield "blocks fail and pass", None if results == [True, False, False, False] else str(results)


# Runs a document as blocks.py does; the server in it has a session of its own, and the shell that began it has ended.
ABORTED = """
import importlib.machinery, os, sys
blocks = importlib.machinery.SourceFileLoader("blocks", sys.argv[1]).load_module()
blocks.adopt_and_clean_up()
text = "<!-- block: run -->\\n```sh\\nsetsid sleep 1000 & echo $! >pid; echo $PWD/pid >{0}\\n```\\n"
text += "<!-- block: run -->\\n```sh\\nsleep 1000\\n```\\n"
blocks.run_document("x.md", text.format(sys.argv[2]), dict(os.environ), "/")
"""


def aborted_block_cases():
    """A server that a block has started ends when the run is told to stop."""
    for number in (signal.SIGTERM, signal.SIGINT):
        with tempfile.TemporaryDirectory() as folder:
            note = os.path.join(folder, "note")
            run = subprocess.Popen([sys.executable, "-W", "ignore", "-c", ABORTED, BLOCKS.__file__, note])
            deadline = time.monotonic() + 10
            while not (os.path.exists(note) and os.path.getsize(note)) and time.monotonic() < deadline:
                time.sleep(0.01)
            with open(BLOCKS.read(note).strip(), encoding="ascii") as file:
                server = int(file.read())
            run.send_signal(number)
            code = run.wait(20)
            left = os.path.exists(f"/proc/{server}")
            yield f"an aborted document leaves nothing, {number.name}", \
                None if (code, left) == (128 + number, False) else f"exit code {code}, server is there: {left}"


def main():
    passed = failed = 0
    for cases in (verdict_cases, layer_cases, lane_cases, fuzz_cases, block_cases, aborted_block_cases):
        for name, wrong in cases():
            passed, failed = passed + (wrong is None), failed + (wrong is not None)
            if wrong is not None:
                print(f"runner selftest: {name}: {wrong}")
    print(f"runners: {passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
