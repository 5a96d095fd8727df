# SPDX-License-Identifier: Apache-2.0
"""Runs the commands and programs that the documents show, as a reader would type them.

usage: blocks.py OUT [FILE...]       OUT is the build folder; FILE defaults to README.md and docs/**/*.md

Every sh, console, c and python block of README.md is run; in other documents those with a comment above them:

    <!-- block: run -->               run it (the default in README.md)
    <!-- block: skip: REASON -->      do not, and say why
    <!-- block: expect: TEXT -->      run it; TEXT must be in its output
    <!-- block: background: TEXT -->  start it, wait for TEXT in its output, leave it running until the document's end

The blocks of one document share a fresh folder with a link "build" to OUT, and run in order in a network of their own
where that is permitted, so that the default ports are free. In console blocks the lines after "$ " are run. evlog is
installed to a folder first, so the installed names are tested too. Links between documents are checked as well.

Nothing that a document starts outlives it, not even a server with a session of its own and when the run is aborted.
"""
import ctypes
import fcntl
import glob
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import namedtuple

BLOCK_LIMIT_S = 60
BACKGROUND_LIMIT_S = 30
STOP_LIMIT_S = 3
PR_SET_CHILD_SUBREAPER = 36
RUNNABLE = ("sh", "bash", "console", "c", "python")
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

Block = namedtuple("Block", "path line language text directives")


def blocks_of(path, text):
    """The fenced blocks of a document with the directives that stand above them."""
    directives, fence = [], None
    for number, line in enumerate(text.splitlines(), 1):
        opening = re.match(r"^```(\w*)\s*$", line)
        directive = re.match(r"^<!-- block: (\w+)(?:: (.*?))? -->$", line.strip())
        if fence is not None and line.startswith("```"):
            yield Block(path, fence[0], fence[1], "\n".join(fence[2]) + "\n", directives)
            directives, fence = [], None
        elif fence is not None:
            fence[2].append(line)
        elif opening:
            fence = (number, opening.group(1), [])
        elif directive:
            directives.append(directive.groups())
        elif line.strip():
            directives = []


def broken_links(path, text):
    """Relative links of a document that lead nowhere."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if not re.match(r"^(\w+:|#)", target):
            if not os.path.exists(os.path.join(os.path.dirname(path), target.split("#")[0])):
                yield target


def is_run(block):
    if block.language not in RUNNABLE:
        return False
    return bool(block.directives) or os.path.relpath(block.path, ROOT) == "README.md"


def command_of(block, folder):
    """The command that runs a block in the folder."""
    if block.language in ("sh", "bash"):
        return ["bash", "-euo", "pipefail", "-c", block.text]
    if block.language == "console":
        typed = "\n".join(line[2:] for line in block.text.splitlines() if line.startswith("$ "))
        return ["bash", "-euo", "pipefail", "-c", typed]
    if block.language == "python":
        return [os.path.join(ROOT, "build/venv/bin/python"), "-c", block.text]
    name = os.path.join(folder, f"block_{block.line}")
    with open(f"{name}.c", "w", encoding="utf-8") as file:
        file.write(block.text)
    return ["bash", "-euc", f"cc -Wall -o {name} {name}.c $(pkg-config --cflags --libs evlog) && {name}"]


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


class Session:
    """One document's folder and environment."""

    def __init__(self, folder, environment, out):
        self.folder, self.environment = folder, environment
        os.symlink(out, os.path.join(folder, "build"))

    def start(self, block):
        log = os.path.join(self.folder, f"block_{block.line}.log")
        with open(log, "wb") as output:
            process = subprocess.Popen(command_of(block, self.folder), cwd=self.folder, env=self.environment,
                                       stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
        return process, log

    def run(self, block):
        """None, or what went wrong."""
        wanted = [text for word, text in block.directives if word == "expect"]
        awaited = [text for word, text in block.directives if word == "background"]
        process, log = self.start(block)
        if awaited:
            deadline = time.monotonic() + BACKGROUND_LIMIT_S
            while time.monotonic() < deadline and process.poll() is None:
                if awaited[0] in read(log):
                    return None
                time.sleep(0.02)
            return f"'{awaited[0]}' did not appear\n{read(log)}"
        deadline = time.monotonic() + BLOCK_LIMIT_S
        while process.poll() is None:
            if time.monotonic() > deadline:
                return f"still running after {BLOCK_LIMIT_S} s\n{read(log)}"
            children(process.pid)    # a block may wait for the end of what it has killed, and that is a child by now
            time.sleep(0.02)
        code = process.returncode
        missing = [text for text in wanted if text not in read(log)]
        if code != 0 or missing:
            return f"exit code {code}; not in the output: {missing}\n{read(log)}"
        return None

    @staticmethod
    def close():
        """End all that the document has started."""
        told, began = set(), time.monotonic()
        while children() and time.monotonic() - began < 2 * STOP_LIMIT_S:
            late = time.monotonic() - began > STOP_LIMIT_S
            for pid in children():
                if late or pid not in told:
                    told.add(pid)
                    end(pid, signal.SIGKILL if late else signal.SIGTERM)
            time.sleep(0.01)


def children(kept=None):
    """Processes whose parent is this one. Those that have ended are not among them; but for `kept` they go now."""
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            pid, state, parent = re.match(r"(\d+) \(.*\) (\S) (\d+)", read(path), re.DOTALL).groups()
        except OSError:
            continue    # it is gone
        if int(parent) == os.getpid() and state == "Z":
            if int(pid) != kept:
                os.waitpid(int(pid), 0)
        elif int(parent) == os.getpid():
            found.append(int(pid))
    return found


def end(pid, number):
    try:
        group = os.getpgid(pid)
        if group == os.getpgid(0):
            os.kill(pid, number)
        else:
            os.killpg(group, number)
    except ProcessLookupError:
        pass


def adopt_and_clean_up():
    """Be told to stop like this: what blocks have left behind, in a session of its own, is a child of this process, and
    ends with it."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def stop(number, _):
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)

    for number in numbers:
        signal.signal(number, stop)


def run_document(path, text, environment, out):
    """(passed, failed, skipped) of a document."""
    counts = [0, 0, 0]
    dead = list(broken_links(path, text))
    counts[1 if dead else 0] += 1
    for target in dead:
        print(f"{path}: link to {target} leads nowhere")
    with tempfile.TemporaryDirectory(prefix="evlog-docs-") as folder:
        session = Session(folder, {**environment, "HOME": folder}, out)
        try:
            for block in filter(is_run, blocks_of(path, text)):
                reasons = [reason for word, reason in block.directives if word == "skip"]
                if reasons:
                    print(f"{path}:{block.line}: skipped: {reasons[0]}")
                    counts[2] += 1
                    continue
                wrong = session.run(block)
                counts[1 if wrong else 0] += 1
                if wrong:
                    print(f"{path}:{block.line}: {block.language} block failed: {wrong}")
        finally:
            session.close()
    return counts


def installed(out, prefix):
    """The environment of somebody who has installed evlog."""
    subprocess.run(["make", "--no-print-directory", "-C", ROOT, f"OUT={os.path.relpath(out, ROOT)}",
                    f"PREFIX={prefix}", "install"], check=True, stdout=subprocess.DEVNULL)
    path = f"{prefix}/bin:{os.path.join(ROOT, 'build/venv/bin')}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "LD_LIBRARY_PATH": f"{prefix}/lib",
            "PKG_CONFIG_PATH": f"{prefix}/lib/pkgconfig"}


def own_network():
    """Start again in a new network namespace when that is permitted; there, bring the loopback device up."""
    if os.environ.get("EVLOG_DOCS_NETWORK") != "own":
        if shutil.which("unshare") and subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode == 0:
            os.environ["EVLOG_DOCS_NETWORK"] = "own"
            os.execvp("unshare", ["unshare", "-n", sys.executable, *sys.argv])
        return
    set_flags, up_running, name = 0x8914, 0x41, b"lo"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh22x", name, up_running))


def main():
    out = os.path.abspath(sys.argv[1])
    paths = [os.path.abspath(path) for path in sys.argv[2:]]
    own_network()
    adopt_and_clean_up()
    if not paths:
        paths = [os.path.join(ROOT, "README.md"), *sorted(glob.glob(f"{ROOT}/docs/**/*.md", recursive=True))]
    totals = [0, 0, 0]
    with tempfile.TemporaryDirectory(prefix="evlog-prefix-") as prefix:
        environment = installed(out, prefix)
        for path in paths:
            counts = run_document(path, read(path), environment, out)
            totals = [total + count for total, count in zip(totals, counts)]
    print(f"{totals[0]} passed, {totals[1]} failed, {totals[2]} skipped")
    sys.exit(1 if totals[1] else 0)


if __name__ == "__main__":
    main()
