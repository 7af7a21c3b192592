#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every planted fault ends in the verdict that is its own. One line a case; the panic is in lab_boots.py."""

import sys

import _labkit as kit
from _labkit import expect


def planted(fault, code, status, check=None, words=("--topology", "pair"), more=None):
    """The run with `fault` ends so; `check` is the one that failed, `more(boot)` looks further."""
    def case(lane):
        duration = [] if "--duration" in words else ["--duration", "2s"]
        boot = lane.boot("--kernel", "debian:7.3", "--fault", fault, *duration, *words)
        boot.expect_ours().expect_code(code, status)
        if check is not None:
            row = boot.check(check)
            expect(row["state"] == "fail", f"check '{check}' says {row['state']}, the run: {boot.reason()}")
            expect(boot.reason().startswith(check + ":"), f"another check decided: {boot.reason()}")
        if more is not None:
            more(boot)
        return f"{boot.reason()}; {boot.figure()}"
    return f"fault.{fault}", case


def garbage_was_seen(boot):
    seen = boot.report["messages"]
    expect(seen["garbage_bytes"] >= 60_000, f"the rubbish did not come through: {seen}")


def one_worker_is_named(boot):
    """The planted starvation hit one worker, and it is the one that the verdict names; how it shows may differ."""
    expect(boot.reason().startswith(("starvation: cg_0 worker 0", "progress: cg_0 worker 0", "gap: cg_0 worker 0")), boot.reason())


CASES = [
    planted("hang", 124, "guest_hang", words=("--topology", "single")),
    planted("oom", 1, "fail", "memory", words=("--topology", "single", "--duration", "20s")),
    # Four vCPUs on the lab's one CPU: a worker that gets nothing is found although every CPU is late.
    planted("stop", 1, "fail", words=("--topology", "tiny-1llc", "--duration", "5s"), more=one_worker_is_named),
    planted("weight", 1, "fail", words=("--topology", "pair", "--duration", "5s"), more=one_worker_is_named),
    planted("rt-hog", 1, "fail", words=("--topology", "pair", "--duration", "5s")),
    planted("leave-cpuset", 1, "fail", "isolation", words=("cpuset-split", "--topology", "pair")),
    planted("agent-abort", 99, "agent_crash"),
    planted("garbage", 0, "pass", more=garbage_was_seen),
    planted("worker-exit", 1, "fail", "lifetime"),
    planted("oops-line", 1, "fail", "kernel-log"),
]

if __name__ == "__main__":
    sys.exit(kit.main("faults", lambda world: CASES))
