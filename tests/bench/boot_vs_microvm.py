#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Races our boot against QEMU's microvm in the lab's virtual time: same kernel, same initramfs, same run.

usage: boot_vs_microvm.py KTSTR_RUN KTSTR_LAB BOOT_RACE [--kernel SPEC] [--rounds N] [--pci] [--lab NAME]
Prints boot_race's lines; `--pci` races QEMU against itself too, virtio-mmio against virtio-pci, for the choice of transport.
"""
import argparse
import glob
import os
import pathlib
import re
import subprocess
import sys

FIRMWARE = ("bios-microvm.bin", "bios-256k.bin", "linuxboot_dma.bin", "pvh.bin", "kvmvapic.bin")


def libraries(program):
    """The shared libraries of `program` and its loader."""
    text = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return sorted(set(re.findall(r"(/\S+)\s+\(0x", text)))


def find_firmware(name, folders):
    for folder in folders:
        path = pathlib.Path(folder) / name
        if path.exists():
            return path.resolve()
    sys.exit(f"{name} is not in {', '.join(folders)}: install seabios and qemu-system-data")


def main():
    parser = argparse.ArgumentParser()
    for name in ("ktstr_run", "ktstr_lab", "boot_race"):
        parser.add_argument(name)
    parser.add_argument("--kernel", default="debian:6.12")
    parser.add_argument("--rounds", default="5")
    parser.add_argument("--pci", action="store_true")
    parser.add_argument("--lab")
    args = parser.parse_args()
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "ktstr"
    bases = sorted(glob.glob(str(cache / "lab" / "base-*" / "qemu")))
    if not bases:
        sys.exit("the lab is not prepared: run `ktstr-lab prepare`")
    qemu = bases[-1]
    folders = [str(pathlib.Path(qemu).parent / "firmware"), "/usr/share/seabios", "/usr/share/qemu"]
    kernel = subprocess.run([args.ktstr_run, "kernel", "path", args.kernel], check=True, capture_output=True,
                            text=True).stdout.strip()
    entry = pathlib.Path(kernel)
    entry = entry if entry.is_dir() else entry.parent
    carried = []
    for path in libraries(qemu):
        carried += ["--in", f"{os.path.realpath(path)}:{path}"]
    for name in FIRMWARE:
        carried += ["--in", f"{find_firmware(name, folders)}:/usr/share/qemu/{name}"]
    carried += ["--in", f"{qemu}:/usr/bin/qemu", "--in", f"{entry}:/in/kernel",
                "--in", f"{args.ktstr_run}:/in/ktstr-run", "--in", f"{args.boot_race}:/in/boot_race"]
    ours = ["/in/ktstr-run", "run", "--machine", "host", "--kernel", "/in/kernel", "--topology", "1n1l1c1t",
            "--memory", "512M"]
    common = ["/usr/bin/qemu", "-L", "/usr/share/qemu", "-accel", "kvm", "-cpu", "host", "-m", "512", "-nodefaults",
              "-no-user-config", "-display", "none",
              # Without a serial port its guest never gets to its init in virtual time.
              "-serial", "null", "-append",
              "console=ttyS0 quiet panic=-1 reboot=t ktstr.role=agent", "-chardev",
              "socket,id=m,path=/tmp/boot-race.sock"]
    port = ["-device", "virtserialport,chardev=m,name=ktstr.msg,nr=1"]
    mmio = [*common, "-M", "microvm", "-device", "virtio-serial-device", *port]
    pci = [*common, "-M", "microvm,pcie=on", "-device", "virtio-serial-pci", *port]
    start = [args.ktstr_lab, "exec", args.lab] if args.lab else [args.ktstr_lab, "run", "--time", "virtual"]
    done = subprocess.run([*start, "--limit", "1500", *carried, "--", "/in/boot_race", args.rounds,
                           "/in/kernel", "/in/ktstr-run", *ours, "--", *mmio]).returncode
    if done == 0 and args.pci:
        print("and QEMU with virtio-pci instead of virtio-mmio:", flush=True)
        done = subprocess.run([*start, "--limit", "1500", *carried, "--", "/in/boot_race", args.rounds,
                               "/in/kernel", "/in/ktstr-run", *ours, "--", *pci]).returncode
    sys.exit(done)


if __name__ == "__main__":
    main()
