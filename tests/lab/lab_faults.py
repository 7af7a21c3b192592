#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every planted fault ends in the verdict that is its own. One line a case; the panic is in lab_boots.py."""

import sys

import _labkit as kit
from _labkit import expect


def planted(fault, code, status, check=None, words=("--topology", "pair"), more=None):
    """The run with `fault` ends so; `check` is the one that failed, `more(boot)` looks further."""
    def case(lane):
        boot = lane.boot("--kernel", "debian:7.3", "--duration", "2s", "--fault", fault, *words, retry=code != 3)
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
    expect(boot.report["messages"]["undecodable"] > 0 or boot.report["messages"].get("skipped_bytes", 0) > 0,
           f"the rubbish was not noticed: {boot.report['messages']}")


def one_worker_only(boot):
    """The planted starvation hit one worker; the others had their share."""
    expect("cg_0 worker 0" in boot.check("starvation").get("subject", ""), boot.check("starvation"))


CASES = [
    planted("hang", 124, "guest_hang", words=("--topology", "single")),
    planted("oom", 1, "fail", "memory"),
    # Four vCPUs on the lab's one CPU: a worker that gets nothing is found although every CPU is late.
    planted("stop", 1, "fail", "starvation", words=("--topology", "tiny-1llc"), more=one_worker_only),
    planted("weight", 1, "fail", "starvation", words=("--topology", "single"), more=one_worker_only),
    planted("rt-hog", 1, "fail"),
    planted("leave-cpuset", 1, "fail", "isolation", words=("cpuset-split", "--topology", "pair")),
    planted("agent-abort", 99, "agent_crash"),
    planted("garbage", 0, "pass", more=garbage_was_seen),
    planted("worker-exit", 1, "fail", "lifetime"),
    planted("oops-line", 1, "fail", "kernel-log"),
]

if __name__ == "__main__":
    sys.exit(kit.main("faults", lambda world: CASES))
