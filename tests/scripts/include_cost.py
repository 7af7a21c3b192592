#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What including each header costs a translation unit at -O0, in milliseconds of CPU time; presets have a budget.

Usage: include_cost.py [ROOT] [HEADER...]. The median of three; a budget is compared with the cost above an empty unit.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile

import tree

# Milliseconds that a header may cost, and who pays: a harness includes the presets.
BUDGETS = {"ktstr/runner/presets.hpp": 4000, "ktstr/ktstr.hpp": 8000, "ktstr/base/error.hpp": 400}


def cost(root, text, temp, runs=3):
    unit = os.path.join(temp, "unit.cpp")
    with open(unit, "w", encoding="utf-8") as f:
        f.write(text)
    times = []
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(["g++", "-std=c++23", "-O0", "-I", os.path.join(root, "include"), "-c", unit, "-o",
                               os.path.join(temp, "unit.o")], capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            return None
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000)
    return statistics.median(times)


def main():
    root = tree.root_of(sys.argv[1] if len(sys.argv) > 1 else None)
    names = sys.argv[2:] or [h for h in tree.headers(root) if not tree.needs_library(root, h)]
    failed = 0
    with tempfile.TemporaryDirectory() as temp:
        empty = cost(root, "", temp)
        rows = []
        for name in names:
            ms = cost(root, f'#include "{name}"\n', temp, 3 if name in BUDGETS or len(names) < 20 else 1)
            rows.append((name, None if ms is None else ms - empty))
        harness = cost(root, tree.read(root, "tests/embed/scripted_harness.cpp"), temp)
    for name, ms in sorted(rows, key=lambda r: -(r[1] or 0)):
        budget = BUDGETS.get(name)
        if ms is None:
            failed += 1
            print(f"not ok cost.{name} does not compile")
        elif budget and ms > budget:
            failed += 1
            print(f"not ok cost.{name} {ms:.0f} ms, budget {budget} ms")
        else:
            print(f"ok cost.{name} # {ms:.0f} ms" + (f" of {budget}" if budget else ""))
    if harness is not None and harness <= 4000:
        print(f"ok cost.harness # {harness:.0f} ms of 4000 for a harness that includes the runner, -O0")
    else:
        failed += 1
        print(f"not ok cost.harness {harness or 0:.0f} ms, budget 4000 ms")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
