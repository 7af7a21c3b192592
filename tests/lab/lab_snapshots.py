#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Snapshots of a real kernel: periodic, at a time, at a watched store, at its death; and what is in them. One line a case."""

import json
import os
import subprocess
import sys

import _labkit as kit
from _labkit import expect


def shown(lane, path):
    """What `snapshot show` says of a file; reading it checks every checksum in it."""
    done = subprocess.run([lane.world.run, "snapshot", "show", "--json", path], capture_output=True, timeout=120)
    expect(done.returncode == 0, f"snapshot show {path}: {done.returncode}: {kit.tail(done.stderr)}")
    return json.loads(done.stdout)


def check_files(lane, boot, tags):
    rows = {row["tag"]: row for row in boot.report.get("snapshots", [])}
    expect(set(rows) == set(tags), f"snapshots {sorted(rows)}, wanted {sorted(tags)}")
    for tag, row in rows.items():
        expect("lost" not in row and "degraded" not in row, f"{tag}: {row}")
        expect(os.path.isfile(row["file"]), f"{tag}: no {row['file']}")
        expect(0 < row["to_quiesced_ns"] <= row["to_parked_ns"] <= row["frozen_ns"], f"{tag}: times {row}")
        told = shown(lane, row["file"])
        text = json.dumps(told)
        expect(boot.report["fingerprint"]["kernel"]["release"] in text, f"{tag}: the kernel's release is not in it")
        expect(row["clocks_held"]["kvm_clock"], f"{tag}: the clock ran on")
    left = [n for n in os.listdir(os.path.dirname(row["file"])) if n.startswith(".")]
    expect(not left, f"left over: {left}")
    return rows


def everything(lane):
    """One run with each cause: nothing is lost, the guest passes, and its own clock saw no gap worth a name."""
    folder = os.path.join(lane.results(), "snapshots")
    boot = lane.boot("--kernel", "debian:7.3", "--topology", "tiny-1llc", "--duration", "5s", "--snapshots", "2", "--freeze-at", "500ms",
                     "--watch", "total_forks:8>0", "--watch", "jiffies_64:8==1", "--snapshot-format", "ktstr",
                     "--snapshot-dir", folder, "--kaslr", lane.world.rng("snapshots").choice(["on", "off"]))
    boot.expect_ours().expect_code(0)
    watches = {w["tag"]: w for w in boot.report["watches"]}
    forked = watches["total_forks"]["snapshots"]  # a kernel that forks nothing any more stores nothing either
    rows = check_files(lane, boot, {"at-1", "periodic_000", "periodic_001"} | ({"total_forks"} if forked else set()))
    never = watches["jiffies_64"]
    expect(never["stores"] > 0 and never["suppressed"] == never["stores"] and never["hits"] == 0, f"jiffies_64: {never}")
    frozen = ", ".join(f"{row['frozen_ns'] / 1e6:.1f}" for row in rows.values())
    return f"{never['stores']} stores suppressed; frozen {frozen} ms; {boot.figure()}"


def panic(lane):
    """A guest that panics leaves a core of its death."""
    folder = os.path.join(lane.results(), "snapshots")
    boot = lane.boot("--kernel", "debian:6.12", "--topology", "pair", "--duration", "2s", "--fault", "panic", "--death-snapshot",
                     "--snapshot-dir", folder, retry=False)
    boot.expect_ours().expect_code(255)
    rows = boot.report["snapshots"]
    expect([row["tag"] for row in rows] == ["death"] and "lost" not in rows[0], f"snapshots {rows}")
    text = json.dumps(shown(lane, rows[0]["file"]))
    expect("error exit" in text, "the cause is not in the file")
    return boot.figure()


def all_cases(world):
    return [("snapshots.everything", everything), ("snapshots.panic", panic)]


if __name__ == "__main__":
    sys.exit(kit.main("snapshots", all_cases))
