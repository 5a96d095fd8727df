#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves the tests: each patch here breaks one promise of the store, and the layer that it names must notice.

usage: run.py [--seeds N] [--out DIR] [--keep] [NAME...]

A patch is a unified diff below two header lines, "Layer:" (one or more of LAYERS; every one must fail) and "Breaks:".
The tree is copied, built once, and then for each patch: patched, built as far as needed, tested, patched back. A
patch that does not apply or does not compile has failed: it proves nothing any more. What the simulator shrinks a
failing seed to must fail as well when it is run alone. Closes with "N passed, N failed"; caught is passed.
"""
import argparse
import contextlib
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
FOLDERS = ["Makefile", "bench/bench.mk", "bench/peers/peers.mk", "bench/leases/leases.mk",
           "bench/project/project.mk", "bench/append_expected/append_expected.mk", "packaging/packaging.mk",
           "include", "client", "broker", "tests"]
SEEDS_STEP = 20
UNIT_TIME_MAX_S = 60     # an endless loop is a way to fail
EXHAUSTIVE_TIME_MAX_S = 600
SIM_TIME_MAX_S = 120     # of one step; a broken store may run in circles
SHRINK_S = "4"           # for each of at most three failing seeds of a step


def run(command, cwd, timeout_s):
    """(exit code, output); a command that does not end counts as failed, and ends with the processes that it began."""
    process = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return 124, "did not end"
    return process.returncode, output.decode(errors="replace")


def why(output):
    """The line that tells most of a failure."""
    for pattern in (r"^(.*: (?:fatal )?error: .*)$",
                    r"^  (?!again:)(\S.*)$", r"^\[  FAILED  \] (\S+)$", r"^(.*[Aa]ssert.*)$", r"^(in seed \d+)$"):
        found = re.search(pattern, output, re.MULTILINE)
        if found:
            return found.group(1)[:110]
    return (output.strip().splitlines() or ["no output"])[-1][:110]


def layer_unit(tree, layer, args):
    """Unit tests of a layer."""
    code, output = run([f"{args.out}/bin/{layer}"], tree, UNIT_TIME_MAX_S)
    return (why(output) if code != 124 else output) if code != 0 else None


def layer_sim(tree, layer, args):
    """Seeds of the simulator, until one fails."""
    mode = {"sim-broker": "broker", "sim-lease": "lease", "sim-stream": "stream",
            "sim-archive": "archive"}.get(layer, "store")
    for first in range(1, args.seeds + 1, SEEDS_STEP):
        command = [f"{args.out}/bin/evlog-sim", "--mode", mode, "--from", str(first), "--seeds", str(SEEDS_STEP)]
        code, output = run([*command, "--shrink-seconds", SHRINK_S], tree, SIM_TIME_MAX_S)
        if code != 0:
            return f"by seed {first + SEEDS_STEP - 1}: {why(output)}" if repeated(tree, args, code, output) else ""
    return None


def repeated(tree, args, code, output):
    """Does the smaller run that the simulator names fail as well?"""
    again = re.search(r"^  again: \S*evlog-sim (.+) -v$", output, re.MULTILINE)
    if again is None:
        return code == 124    # it never came to shrink anything
    return run([f"{args.out}/bin/evlog-sim", *again.group(1).split()], tree, SIM_TIME_MAX_S)[0] != 0


def layer_exhaustive(tree, _, args):
    """Crashes of workloads of one operation, then every 61st byte."""
    for space in (["crash", "--depth", "1"], ["rot", "--slice", "61"]):
        code, output = run([f"{args.out}/bin/evlog-exhaustive", *space], tree, EXHAUSTIVE_TIME_MAX_S)
        if code != 0:
            return f"{space[0]}: {why(output)}"
    return None


LAYERS = {"unit_storage": layer_unit, "unit_group": layer_unit, "unit_client": layer_unit, "unit_api": layer_unit,
          "unit_store": layer_unit, "unit_core": layer_unit, "unit_format": layer_unit, "sim": layer_sim,
          "sim-broker": layer_sim, "sim-lease": layer_sim, "sim-stream": layer_sim,
          "sim-archive": layer_sim, "unit_lease": layer_unit, "unit_net": layer_unit,
          "unit_stream": layer_unit, "unit_server": layer_unit, "unit_access": layer_unit, "unit_io": layer_unit,
          "unit_archive": layer_unit, "unit_http": layer_unit, "exhaustive": layer_exhaustive}
PROGRAMS = {"unit_storage": "unit_storage", "unit_group": "unit_group", "unit_client": "unit_client",
            "unit_api": "unit_api", "unit_store": "unit_store", "unit_core": "unit_core", "unit_format": "unit_format",
            "sim": "evlog-sim", "sim-broker": "evlog-sim", "sim-lease": "evlog-sim", "sim-stream": "evlog-sim",
            "sim-archive": "evlog-sim",
            "unit_lease": "unit_lease", "unit_stream": "unit_stream", "unit_server": "unit_server",
            "unit_access": "unit_access", "unit_net": "unit_net", "unit_http": "unit_http", "unit_io": "unit_io",
            "unit_archive": "unit_archive", "exhaustive": "evlog-exhaustive"}


def copy_tree(target):
    for name in FOLDERS:
        source = os.path.join(ROOT, name)
        if os.path.isdir(source):
            shutil.copytree(source, os.path.join(target, name), ignore=shutil.ignore_patterns("__pycache__"))
        else:
            os.makedirs(os.path.dirname(os.path.join(target, name)), exist_ok=True)
            shutil.copy2(source, os.path.join(target, name))


def build(tree, args, layers):
    programs = [f"{args.out}/bin/{PROGRAMS[layer]}" for layer in layers]
    return run(["make", "-j2", f"OUT={args.out}", *programs], tree, 1800)


def rebuild_patched(tree, args):
    """What an earlier run has left in a build folder that is kept is of patched files: these are newer."""
    for name in set(patched(tree, args).read_text().split()) if patched(tree, args).exists() else ():
        if Path(tree, name).exists():
            os.utime(Path(tree, name))


def patched(tree, args):
    """The file with the names of all files that were ever patched for this build folder."""
    return Path(tree, args.out, "patched")


@contextlib.contextmanager
def kept(tree, args, names):
    """These files are afterwards as they were, and newer than what was built of them."""
    texts = {name: Path(tree, name).read_bytes() for name in names}
    with open(patched(tree, args), "a", encoding="utf-8") as file:
        file.writelines(f"{name}\n" for name in names)
    try:
        yield
    finally:
        for name, text in texts.items():
            Path(tree, name).write_bytes(text)


def try_patch(tree, patch, args):
    """(caught, text)"""
    with open(patch, encoding="utf-8") as file:
        text = file.read()
    head = dict(re.findall(r"^(Layer|Breaks): (.+)$", text, re.MULTILINE))
    layers = head.get("Layer", "").split()
    if not layers or any(layer not in LAYERS for layer in layers) or "Breaks" not in head:
        return False, "its header lines are not Layer: and Breaks:"
    with kept(tree, args, re.findall(r"^--- a/(\S+)$", text, re.MULTILINE)):
        code, output = run(["patch", "-p1", "-s", "-f", "-F3", "-i", patch], tree, 60)
        if code != 0:
            return False, f"does not apply: {why(output)}"
        code, output = build(tree, args, layers)
        if code != 0:
            return False, f"does not compile: {why(output)}"
        found = []
        for layer in layers:
            reason = LAYERS[layer](tree, layer, args)
            if reason is None:
                return False, f"SURVIVED {layer}: {head['Breaks']}"
            if not reason:
                return False, f"{layer}: what the failing seed was shrunk to passes"
            found.append(f"{layer}: {reason}")
        return True, "; ".join(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seeds", type=int, default=1600, help="simulator seeds that a patch may survive at most")
    parser.add_argument("--out", help="build folder to use and keep; else a temporary one")
    parser.add_argument("--keep", action="store_true", help="keep the copy of the tree")
    parser.add_argument("names", nargs="*", help="patches, without .patch; all")
    args = parser.parse_args()
    patches = sorted(glob.glob(f"{HERE}/*.patch"))
    if args.names:
        patches = [p for p in patches if os.path.basename(p)[:-len(".patch")] in args.names]
    if not patches:
        sys.exit("sabotage: no such patch")
    tree = tempfile.mkdtemp(prefix="evlog-sabotage-")
    args.out = args.out or f"{tree}/build"
    try:
        copy_tree(tree)
        rebuild_patched(tree, args)
        code, output = build(tree, args, list(LAYERS))
        if code != 0:
            sys.exit(f"sabotage: the tree does not build:\n{output[-2000:]}")
        failed = 0
        for patch in patches:
            began = time.monotonic()
            caught, text = try_patch(tree, patch, args)
            failed += not caught
            name = os.path.basename(patch)[:-len(".patch")]
            print(f"{'caught' if caught else 'FAILED'}  {name:28} {time.monotonic() - began:5.0f} s  {text}",
                  flush=True)
        print(f"{len(patches) - failed} passed, {failed} failed")
        return 1 if failed else 0
    finally:
        if not args.keep:
            shutil.rmtree(tree, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
