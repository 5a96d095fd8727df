#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the same seeds in several builds of evlog-sim and compares their trace hashes.

usage: hashes.py [--mode store|broker|lease] [--seeds N] [--from S] PROGRAM PROGRAM...

The first program runs twice, the second time with heap memory that is never zero at first. Closes with
"N passed, N failed" over the seeds; a seed has passed when all its hashes are equal.
"""
import argparse
import os
import subprocess
import sys


def hashes(program, mode, first, count, environment):
    """{seed: hash and number of events}"""
    command = [program, "--mode", mode, "--from", str(first), "--seeds", str(count), "--hash"]
    done = subprocess.run(command, stdout=subprocess.PIPE, env={**os.environ, **environment}, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}")
    return {words[0]: " ".join(words[1:]) for words in map(str.split, done.stdout.decode().splitlines())
            if len(words) == 3 and words[0].isdigit() and words[2].isdigit()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--mode", default="store")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--from", type=int, default=1, dest="first")
    parser.add_argument("programs", nargs="+")
    args = parser.parse_args()
    runs = [(program, {}) for program in args.programs] + [(args.programs[0], {"MALLOC_PERTURB_": "165"})]
    found = [hashes(program, args.mode, args.first, args.seeds, environment) for program, environment in runs]
    failed = 0
    for seed in map(str, range(args.first, args.first + args.seeds)):
        texts = [one.get(seed, "no hash") for one in found]
        if len(set(texts)) > 1 or texts[0] == "no hash":
            failed += 1
            print(f"seed {seed}: " + "; ".join(f"{run[0]}: {text}" for run, text in zip(runs, texts)))
            print(f"  to see where they part, compare the outputs of: evlog-sim --mode {args.mode} --seed {seed} "
                  "--trace")
    print(f"{args.seeds - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
