#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# tier: full
"""Our ELF cores in drgn: it opens them, and what it finds is what the guest itself said. One line a case."""

import os
import subprocess
import sys

import _debuggers as debuggers
import _labkit as kit
from _labkit import expect

QUESTIONS = r"""
from drgn.helpers.linux import *
for t in for_each_task(prog):
    print("task", t.pid.value_(), t.comm.string_().decode())
for cpu in for_each_online_cpu(prog):
    print("cpu", cpu, cpu_curr(prog, cpu).comm.string_().decode())
print("release", prog["init_uts_ns"].name.release.string_().decode())
"""


def asked(core, release, folder):
    script = os.path.join(folder, "questions.py")
    with open(script, "w", encoding="utf-8") as file:
        file.write(QUESTIONS)
    done = subprocess.run([*debuggers.drgn(), "-c", core, "-s", debuggers.dwarf(release), script], capture_output=True,
                          text=True, timeout=300)
    expect(done.returncode == 0, f"drgn: {done.returncode}: {kit.tail(done.stderr.encode())}")
    rows = [line.split(" ", 2) for line in done.stdout.splitlines()]
    return {kind: [row[1:] for row in rows if row[0] == kind] for kind in ("task", "cpu", "release")}


def workers(lane, *words):
    boot = lane.boot("--kernel", "debian:7.3", "--topology", "tiny-1llc", "--duration", "6s", "--snapshots", "3",
                     "--snapshot-format", "core", "--snapshot-dir", os.path.join(lane.results(), "snapshots"), *words)
    boot.expect_ours().expect_code(0)
    release = boot.report["fingerprint"]["kernel"]["release"]
    rows = boot.report["snapshots"]
    expect(len(rows) == 3, f"{len(rows)} snapshots")
    wanted = {(w["pid"], f"{w['cgroup']}/{w['index']}") for w in boot.report["workers"]}
    for row in rows:
        found = asked(row["file"], release, boot.folder)
        tasks = {(int(pid), name) for pid, name in found["task"]}
        expect(wanted <= tasks, f"drgn misses workers: {sorted(wanted - tasks)} in {sorted(tasks)[-20:]}")
        expect(found["release"] == [[release]], f"release {found['release']}")
        running = {name for _, name in found["cpu"]}
        expect(len(found["cpu"]) == 4 and running & {name for _, name in wanted}, f"CPUs run {found['cpu']}")
    frozen = ", ".join(f"{row['frozen_ns'] / 1e6:.1f}" for row in rows)
    return f"{len(wanted)} workers by name and pid in each of 3 cores; frozen {frozen} ms; {boot.figure()}"


def all_cases(world):
    return [("drgn.workers", workers), ("drgn.workers.kaslr", lambda lane: workers(lane, "--kaslr", "on"))]


if __name__ == "__main__":
    sys.exit(kit.main("drgn", all_cases))
