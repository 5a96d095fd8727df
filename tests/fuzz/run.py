# SPDX-License-Identifier: Apache-2.0
"""Runs fuzz programs over their committed corpora, tests/fuzz/corpus/<target>/.

usage: run.py replay PROGRAM...                 corpus and fixed mutations of it
       run.py fuzz --seconds N PROGRAM...       libFuzzer, two at a time; new inputs stay beside the programs

The canary must be caught, every other target must not fail. The failing input is kept and named.
"""
import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

MUTATIONS = 5000
REPLAY_LIMIT_S = 60
HERE = os.path.dirname(os.path.abspath(__file__))
CORPUS = os.path.join(HERE, "corpus")
DICTIONARIES = os.path.join(HERE, "dictionary")     # <target>.dict, where words help libFuzzer
CANARY = "canary"
ALLOCATION_MIB_MAX = 64     # of one allocation: a target that asks for more has believed a number in its input
SANITIZERS = {
    "ASAN_OPTIONS": f"max_allocation_size_mb={ALLOCATION_MIB_MAX}:detect_leaks=1:abort_on_error=0",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
}


def target_of(program):
    return os.path.basename(program).removeprefix("fuzz_")


def corpus_of(target):
    folder = os.path.join(CORPUS, target)
    return folder if os.path.isdir(folder) and os.listdir(folder) else None


def call(command, limit_s, extra=None):
    """(exit code, output); code None when the time was up."""
    try:
        done = subprocess.run(command, env={**os.environ, **SANITIZERS, **(extra or {})}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit_s)
        return done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as late:
        return None, (late.stdout or b"").decode(errors="replace")


def replay(program, _seconds):
    target = target_of(program)
    corpus = corpus_of(target)
    kept = f"{program}.input"
    if corpus is None:
        return 1, f"no input in tests/fuzz/corpus/{target}"
    code, output = call([program, "--mutations", str(MUTATIONS), corpus], REPLAY_LIMIT_S)
    if code != 0 and target != CANARY:
        # The second run writes each input down before it is tried; the draw is fixed, so it fails at the same one.
        call([program, "--mutations", str(MUTATIONS), corpus], 4 * REPLAY_LIMIT_S, {"EVLOG_FUZZ_INPUT": kept})
        output += f"\ninput kept in {kept}"
    return code, output


def fuzz(program, seconds):
    target = target_of(program)
    found = f"{program}.corpus"
    os.makedirs(found, exist_ok=True)
    command = [program, f"-max_total_time={seconds}", f"-artifact_prefix={program}-", "-timeout=10",
               f"-malloc_limit_mb={ALLOCATION_MIB_MAX}", "-print_final_stats=1", found]
    words = os.path.join(DICTIONARIES, f"{target}.dict")
    if os.path.exists(words):
        command.append(f"-dict={words}")
    corpus = corpus_of(target)
    return call(command + ([corpus] if corpus else []), 2 * seconds + 60)


def judged(program, outcome):
    """(passed, sentence) for one target."""
    target = target_of(program)
    code, output = outcome
    if target == CANARY:
        if code not in (0, None) and "AddressSanitizer" in output:
            return True, "caught, as it must be"
        return False, f"not caught: this run would not notice a finding\n{output[-2000:]}"
    if code == 0:
        counts = re.findall(r"^\d+ files, \d+ inputs$|^Done \d+ runs.*$", output, re.MULTILINE)
        return True, counts[-1] if counts else "ok"
    if code is None:
        return False, f"time is up\n{output[-4000:]}"
    return False, f"exit code {code}\n{output[-6000:]}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=("replay", "fuzz"))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("programs", nargs="+")
    args = parser.parse_args()
    work = {"replay": replay, "fuzz": fuzz}[args.mode]
    passed = failed = 0
    if CANARY not in map(target_of, args.programs):
        print("fuzz: the canary is not among the programs")
        failed += 1
    with ThreadPoolExecutor(max_workers=2) as pool:
        outcomes = pool.map(lambda program: work(program, args.seconds), args.programs)
        for program, outcome in zip(args.programs, outcomes):
            good, sentence = judged(program, outcome)
            passed, failed = passed + good, failed + (not good)
            print(f"{'ok    ' if good else 'FAILED'} {target_of(program)}: {sentence}", flush=True)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
