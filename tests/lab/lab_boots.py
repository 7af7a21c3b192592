#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real kernels under our VMM: the demo, the three ends, topologies, kernels, placement and x2APIC. One line a case."""

import json
import re
import subprocess
import sys

import _labkit as kit
from _labkit import expect

# A kernel that panics says where it was placed.
OFFSET = re.compile(r"Kernel Offset: (0x[0-9a-f]+) from (0x[0-9a-f]+)|Kernel Offset: disabled")


def passing(lane, *words, **more):
    """A run that must pass, with our machine proven and the guest's own look at its topology without a complaint."""
    boot = lane.boot(*words, **more).expect_code(0, "pass").expect_ours()
    expect(boot.check("topology")["state"] == "pass", f"topology: {boot.check('topology')}")
    return boot


def demo(lane):
    """No option but the kernel: the lab is chosen by the probe, and the text says what the report says."""
    boot = lane.boot("--kernel", "debian:7.3", "--seed", "1", own_lab=True)
    boot.expect_code(0, "pass").expect_ours()
    text = boot.out.decode()
    expect(text.startswith("PASS: "), f"the verdict does not come first: {text[:80]!r}")
    expect(f"{boot.runs()} KVM_RUN calls" in text, "the text does not show the KVM_RUN calls of the report")
    expect("7.3." in boot.report["fingerprint"]["kernel"]["release"], "another kernel ran")
    expect(boot.report["fingerprint"]["kernel"]["scheduler"] == "default", "another scheduler ran")
    expect(boot.report["machine"]["ended_by"] == "reset through the i8042", boot.report["machine"]["ended_by"])
    expect(len(boot.report["workers"]) == 4 and all(w["work_units"] > 0 for w in boot.report["workers"]),
           "not every worker of two cgroups on two CPUs did some work")
    return boot.figure()


def end_by(letter, name):
    def case(lane):
        boot = passing(lane, "--kernel", "debian:7.3", "--topology", "single", "--duration", "2s", "--reboot", letter)
        expect(boot.report["machine"]["ended_by"] == name, f"the machine ended by {boot.report['machine']['ended_by']}")
        expect(f"end of the machine: {name}, " in boot.out.decode(), "the text does not name the end")
        return boot.figure()
    return case


def topology_case(name, vendor, kernel, duration="3s"):
    def case(lane):
        boot = passing(lane, "--kernel", kernel, "--topology", name, "--cpu-vendor", vendor, "--duration", duration)
        return boot.figure()
    return f"topology.{name}.{vendor}", case


def topologies(world):
    """Three presets: one with nodes and SMT, two from the small ones; both vendors among them. By seed."""
    rng = world.rng("topologies")
    shapes = {p["name"]: p for p in presets(world)}
    small = [n for n, p in shapes.items() if 1 < p["cpus"] <= 8]
    numa = [n for n, p in shapes.items() if p["nodes"] > 1 and p["threads"] > 1 and p["cpus"] <= 8]
    chosen = [rng.choice(numa)]
    chosen += rng.sample([n for n in small if n not in chosen], 2)
    vendors = ["intel", "amd", rng.choice(["intel", "amd"])]
    rng.shuffle(vendors)
    return [topology_case(n, v, "debian:7.3") for n, v in zip(chosen, vendors)]


def presets(world):
    """The presets as `ktstr-run presets --json` lists them, with nodes, threads and cpus as numbers."""
    done = subprocess.run([world.run, "presets", "--json"], capture_output=True, timeout=60, check=True)
    rows = json.loads(done.stdout)
    rows = rows.get("presets", rows) if isinstance(rows, dict) else rows
    out = []
    for row in rows:
        nodes, llcs, cores, threads = map(int, re.fullmatch(r"(\d+)n(\d+)l(\d+)c(\d+)t", row["topology"]).groups())
        out.append({"name": row["name"], "nodes": nodes, "threads": threads, "cpus": llcs * cores * threads})
    return out


def kernel_case(kernel, scenario):
    def case(lane):
        boot = passing(lane, scenario, "--kernel", kernel, "--topology", "pair", "--duration", "2s")
        series = kernel.removeprefix("debian:")
        expect(boot.report["fingerprint"]["kernel"]["release"].startswith(series + "."), "another kernel ran")
        if kernel in kit.OVER_PCI:
            expect(re.search(r"virtio-pci 0000:00:01\.0: enabling device", boot.log()), "virtio was not behind PCI")
        return boot.figure()
    return f"kernel.{kernel.removeprefix('debian:')}.{scenario}", case


def kernels(world):
    rng = world.rng("kernels")
    scenarios = ["cpuset-split", "oversubscribed", "steady"]
    rng.shuffle(scenarios)
    return [kernel_case(k, s) for k, s in
            zip([kit.ALWAYS[1], rng.choice(kit.ROTATED), rng.choice(kit.OVER_PCI)], scenarios)]


def place_of(boot):
    found = OFFSET.search(boot.log())
    expect(found, f"the panic does not say where the kernel was: {kit.tail(boot.log())}")
    return int(found.group(1), 16) if found.group(1) else 0


def kaslr_places(lane):
    """Equal seeds place the kernel equally, another seed elsewhere, and none at its link address."""
    first = lane.world.rng("kaslr").randrange(1, 10**6)
    places = []
    for seed in (first, first, first + 1):
        boot = lane.boot("--kernel", "debian:7.3", "--topology", "single", "--kaslr", "on", "--seed", str(seed),
                         "--duration", "1s", "--fault", "panic").expect_code(255, "guest_panic").expect_ours()
        places.append(place_of(boot))
    expect(all(p != 0 and p % 0x200000 == 0 for p in places), f"offsets {[hex(p) for p in places]}")
    expect(places[0] == places[1], f"one seed, two places: {[hex(p) for p in places]}")
    expect(places[0] != places[2], f"two seeds, one place ({hex(places[0])})")
    return f"offsets {hex(places[0])} twice, {hex(places[2])}"


def kaslr_symbols(lane):
    """What the kernel itself says of where its text is; without the option it is where it was linked to be."""
    script = 'while read -r a t n r; do [ "$n" = _text ] && echo "$a" && exit 0; done < /proc/kallsyms; exit 9'
    boot = lane.execute(["--kernel", "debian:6.12", "--kaslr", "on"], ["sh", "-c", script])
    boot.expect_code(0).expect_ours()
    place = int(boot.out.split()[0], 16)
    expect(place % 0x200000 == 0 and 0xffffffff81000000 < place < 0xffffffffc0000000, f"_text is at {hex(place)}")
    return f"_text at {hex(place)}; {boot.figure()}"


def x2apic(lane):
    """Four CPUs whose ids go beyond what eight bits can say: all come online, in x2APIC mode."""
    boot = passing(lane, "--kernel", "debian:7.3", "--topology", "tiny-1llc", "--apic-stride", "128", "--duration", "3s")
    log = boot.log()
    expect(re.search(r"smp: Brought up \d+ nodes?, 4 CPUs", log), "not all four CPUs came up")
    expect("x2apic" in log.lower(), "the kernel says nothing of x2APIC")
    expect(sorted({c for w in boot.report["workers"] for c in w["cpus_used"]}) == [0, 1, 2, 3], "a CPU ran no worker")
    return boot.figure()


def all_cases(world):
    return [("kaslr.places", kaslr_places), *topologies(world), ("x2apic.sparse_ids", x2apic), ("demo", demo), *kernels(world),
            ("kaslr.symbols", kaslr_symbols), ("end.acpi", end_by("a", "ACPI reset")),
            ("end.triple_fault", end_by("t", "triple fault"))]


if __name__ == "__main__":
    sys.exit(kit.main("boots", all_cases))
