#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# tier: full
"""Every preset of up to 16 CPUs with both vendors; every kernel with every scenario; the large machine. One line a case.

A case that passed on this very program is not run again: its line is kept beside the logs. `KTSTR_LAB_AGAIN=1` runs all.
"""

import sys

import _labkit as kit
import lab_boots as boots


def preset_cases(world):
    out = []
    for shape in sorted(boots.presets(world), key=lambda p: -p["cpus"]):
        if shape["cpus"] <= 16:
            # Sixteen CPUs on the lab's one: a worker must have a share of a hundred milliseconds to be judged by.
            duration = "3s" if shape["cpus"] <= 8 else "10s"
            for vendor in ("intel", "amd"):
                out.append(boots.topology_case(shape["name"], vendor, "debian:7.3", duration))
    return out


def kernel_cases():
    return [boots.kernel_case(kernel, scenario) for kernel in kit.ALWAYS + kit.ROTATED + kit.OVER_PCI
            for scenario in ("steady", "cpuset-split", "oversubscribed")]


def large(kernel):
    def case(lane):
        boot = boots.passing(lane, "--kernel", kernel, "--topology", "2n4l2c2t", timeout=560)
        kit.expect(boot.report["machine"]["cpus"] == 16 and boot.report["machine"]["nodes"] == 2, boot.report["machine"])
        return boot.figure()
    return f"large.2n4l2c2t.{kernel.removeprefix('debian:')}", case


def all_cases(world):
    cases = [large("debian:7.3"), large("debian:6.12"), *preset_cases(world), *kernel_cases()]
    return [(name, kit.once(world, name, case)) for name, case in cases]


if __name__ == "__main__":
    sys.exit(kit.main("matrix", all_cases))
