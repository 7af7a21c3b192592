#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every symbol that we decode from a kernel's image is where the running guest says it is. One line a kernel.

The guest is moved by KASLR, so that a constant slide and the symbols that do not take part in it are seen too. In the CI
tier one of the kernels that are there anyway, by the seed; in the full tier all, those that cannot boot without a comparison.
"""

import os
import re
import subprocess
import sys
import time

import _labkit as kit
import lab_boots as boots
from _labkit import expect

ALIGNMENT, LIMIT = 0x200000, 0x40000000


def parse(text):
    """(address, type, name) of each line, without what modules, BPF programs and ftrace add."""
    rows = []
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3:
            rows.append((int(words[0], 16), words[1], words[2]))
    return rows


def decoded(world, kernel):
    begun = time.monotonic()
    done = subprocess.run([world.run, "kernel", "symbols", kernel], capture_output=True, timeout=120, env=world.env, check=False)
    expect(done.returncode == 0, f"kernel symbols {kernel}: {done.returncode}: {kit.tail(done.stderr)}")
    return parse(done.stdout.decode("utf-8", "replace")), time.monotonic() - begun


def case_of(kernel):
    def case(lane):
        lane.world.kernel(kernel)
        ours, seconds = decoded(lane.world, kernel)
        boot = lane.execute(["--kernel", kernel, "--topology", "single", "--kaslr", "on"],
                            ["cat", "/proc/kallsyms"])
        boot.expect_code(0).expect_ours()
        theirs = parse(boot.out.decode("utf-8", "replace"))
        expect(len(ours) > 50000, f"only {len(ours)} symbols were decoded")
        expect(len(ours) == len(theirs), f"{len(ours)} symbols decoded, the guest has {len(theirs)}")
        place = {name: address for address, _, name in theirs}
        linked = {name: address for address, _, name in ours}
        slide = place["_text"] - linked["_text"]
        expect(0 < slide < LIMIT and slide % ALIGNMENT == 0, f"_text was moved by {hex(slide)}")
        fixed = 0
        for number, (our, their) in enumerate(zip(ours, theirs)):
            absolute = our[0] >> 63 == 0
            fixed += absolute
            wanted = (our[0] + (0 if absolute else slide), our[1], our[2])
            expect(wanted == their, f"symbol {number}: {wanted} decoded and moved by {hex(slide)}, the guest has {their}")
        return f"{len(ours)} symbols equal, {fixed} of them per-CPU offsets, slide {hex(slide)}, listed in {seconds:.2f} s; {boot.figure()}"
    return f"symbols.{kernel.removeprefix('debian:')}", case


def cases(world):
    if os.environ.get("KTSTR_TIER") == "full" or len(sys.argv) > 1:
        return [case_of(kernel) for kernel in kit.ALWAYS + kit.ROTATED + kit.OVER_PCI]
    there = kit.ALWAYS + ["debian:" + re.match(r"kernel\.(\d+\.\d+)", boots.kernels(world)[1][0]).group(1)]
    return [case_of(world.rng("symbols").choice(there))]


if __name__ == "__main__":
    sys.exit(kit.main("symbols", cases))
