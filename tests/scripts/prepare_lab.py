#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Puts in place what the lab suites boot: the lab's image, and the kernels that this seed (or the full tier) asks for.

Asks the network only for what the caches lack. Prints one result line each.
"""

import os
import random
import re
import subprocess
import sys
import time

import tree


def series_wanted(root, seed, tier):
    """Debian series as the lab scripts name them; the choice of one is made as lab_boots.kernels makes it."""
    sys.path.insert(0, os.path.join(root, "tests/lab"))
    import _labkit
    if tier == "full":
        return _labkit.ALWAYS + _labkit.ROTATED
    import lab_boots
    world = type("Seeded", (), {"rng": lambda self, what: random.Random(f"{seed}/{what}")})()
    rotated = [re.match(r"kernel\.(\d+\.\d+)", name).group(1) for name, _ in lab_boots.kernels(world)]
    return list(dict.fromkeys(_labkit.ALWAYS + ["debian:" + r for r in rotated]))


def step(name, command, timeout):
    start = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        why = None if done.returncode == 0 else f"exit code {done.returncode}: {' '.join((done.stderr or done.stdout).split())[-300:]}"
    except (OSError, subprocess.SubprocessError) as problem:
        why = str(problem)
    print(f"not ok {name} {why}" if why else f"ok {name} # {time.monotonic() - start:.1f} s", flush=True)
    return why is None


def main():
    root = tree.root_of()
    run, lab = os.environ["KTSTR_RUN"], os.environ["KTSTR_LAB"]
    good = step("prepare.lab", [lab, "prepare"], 900)
    for kernel in series_wanted(root, os.environ["KTSTR_SEED"], os.environ.get("KTSTR_TIER", "ci")):
        name = "prepare.kernel." + kernel.removeprefix("debian:")
        if subprocess.run([run, "kernel", "path", kernel], capture_output=True, timeout=60).returncode == 0:
            print(f"ok {name} # in the store", flush=True)
        else:
            good &= step(name, [run, "kernel", "fetch", kernel], 600)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
