#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# tier: full
"""Fifty runs of `steady` at 1x, 4x and 16x oversubscription: at least 45 pass and none fails. Ten runs of a planted
starvation at 4x: all fail. One line a series, with its counts; each boot, of ten runs, is a line of its own in the log.

A series that is interrupted goes on where it stopped. `KTSTR_LAB_RUNS` makes the series shorter, for a quick look; a short
series says so in its name.
"""

import json
import os
import sys
import time

import _labkit as kit
from _labkit import expect

SERIES = 50
PLANTED = 10
CHUNK = 10  # runs a boot: what is calibrated is the verdict on a run, and a boot for each would cost an hour
WORDS = ("pass", "inconclusive", "fail")


def runs_of(standard):
    return int(os.environ.get("KTSTR_LAB_RUNS") or standard)


def one_boot(lane, runs, words):
    """The counts of `runs` runs in one boot; a boot that does not show all of them counts what is missing as `other`."""
    many = ["--repeat", str(runs)] if runs > 1 else []
    boot = lane.boot("--kernel", "debian:7.3", "--duration", "3s", *many, *words, retry=False)
    boot.expect_ours()
    row = {"seconds": round(boot.seconds, 1), "reason": boot.reason()}
    counts = boot.report.get("repeats") if runs > 1 else {boot.status(): 1}
    for word in WORDS:
        row[word] = (counts or {}).get(word, 0)
    row["runs"] = runs
    row["other"] = runs - sum(row[word] for word in WORDS)
    said = ", ".join(f"{row[word]} {word}" for word in (*WORDS, "other") if row[word])
    print(f"# {lane.case}: {said}; {row['reason']} ({row['seconds']} s)", flush=True)
    return row


def series(name, count, words, judge):
    """What a series has is kept beside the logs, so that an interruption costs one boot."""
    def case(lane):
        path = lane.world.state(name + ".boots.json")
        rows = []
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                rows = json.load(file)
        begun = time.monotonic()
        while (left := count - sum(row["runs"] for row in rows)) > 0:
            rows.append(one_boot(lane, min(CHUNK, left), words))
            with open(path + ".new", "w", encoding="utf-8") as file:
                json.dump(rows, file)
            os.replace(path + ".new", path)
        counts = {word: sum(row[word] for row in rows) for word in (*WORDS, "other")}
        said = f"{count} runs: " + ", ".join(f"{counts[word]} {word}" for word in (*WORDS, "other"))
        judge(counts, count, said)
        return (f"{said}; {len(rows)} boots of {sum(row['seconds'] for row in rows) / len(rows):.1f} s"
                f" ({time.monotonic() - begun:.0f} s in this session)")
    return name if count in (SERIES, PLANTED) else f"{name}.short", case


def steady(level, topology):
    def judge(counts, count, said):
        expect(counts["fail"] == 0 and counts["pass"] * 50 >= count * 45
               and counts["pass"] + counts["inconclusive"] == count, said)
    return series(f"calibration.steady.{level}x", runs_of(SERIES), ("steady", "--topology", topology), judge)


def planted(fault):
    def judge(counts, count, said):
        expect(counts["fail"] == count, said)
    count = min(runs_of(PLANTED), PLANTED)
    return series(f"calibration.starved.{fault}.4x", count, ("steady", "--topology", "tiny-1llc", "--fault", fault), judge)


# The lab has one CPU, so the number of vCPUs is the oversubscription.
def all_cases(world):
    return [steady(16, "2n4l2c2t"), steady(4, "tiny-1llc"), steady(1, "single"), planted("stop"), planted("weight")]


if __name__ == "__main__":
    sys.exit(kit.main("calibration", all_cases))
