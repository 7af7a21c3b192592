#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Watchpoints where they fire: the KVM test program of this machine, with its libraries, run in the lab. One line a case."""

import os
import re
import subprocess
import sys

import _labkit as kit
from _labkit import expect


def program(world):
    """The test program, from the build that the unit tests use or the one of ktstr-run."""
    build = os.environ.get("KTSTR_BUILD") or ""
    beside = os.path.dirname(os.path.dirname(os.path.dirname(world.run)))
    for folder in (build, os.path.join(build, "build-test"), os.path.join(kit.ROOT, "build-test"), beside):
        path = os.path.join(folder, "tests", "kvm-watch")
        if os.access(path, os.X_OK):
            return path
    raise kit.Failure("the test program kvm-watch is not built")


def libraries(path):
    done = subprocess.run(["ldd", path], capture_output=True, text=True, timeout=60, check=False)
    return [word for word in re.findall(r"(/\S+) \(0x", done.stdout)]


def hardware(lane):
    """The self-test says that they fire, and every case behind it runs and passes; figures from the program's own words."""
    path = program(lane.world)
    words = [lane.world.lab, "run", "--smp", "2", "--limit", "300", "-n", "--in", path]
    for library in libraries(path):
        words += ["--inject", library]
    done = lane.call(*words, "--", "kvm-watch", timeout=420)
    text = done.stdout.decode("utf-8", "replace")
    expect(done.returncode == 0, f"exit code {done.returncode}: {kit.tail(text + done.stderr.decode('utf-8', 'replace'))}")
    expect("hardware watchpoints fire here" in text, "the lab's watchpoints do not fire")
    expect("shown in the lab" not in text, "a case was left out")
    hits = re.search(r"(\d+) hits, (\d+) ns each", text)
    expect(hits, f"no figure: {kit.tail(text)}")
    return f"{int(hits[2]) / 1000:.0f} us a hit with a false predicate"


if __name__ == "__main__":
    sys.exit(kit.main("watch", lambda world: [("watch.hardware", hardware)]))
