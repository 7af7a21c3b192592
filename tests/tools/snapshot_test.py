#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ktstr-run snapshot` from outside, on the seeds of the fuzz targets and damaged copies. Usage: snapshot_test.py PROGRAM.
Prints ok / not ok lines."""
import json
import os
import struct
import subprocess
import sys
import tempfile

program = sys.argv[1]
seeds = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "corpus")
copy = tempfile.TemporaryDirectory(prefix="ktstr-snapshot-")
corpus = copy.name
for each in ("core", "ktsnap"):  # a checkout has no holes, and a core has
    subprocess.run(["cp", "-r", "--sparse=always", os.path.join(seeds, each), corpus], check=True, timeout=60)
failed = 0


def run(*arguments):
    return subprocess.run([program, "snapshot", *arguments], capture_output=True, text=True, timeout=60)


def check(name, good, detail=""):
    global failed
    failed += not good
    print(f"{'ok' if good else 'not ok'} {name}" + (f" {detail}" if not good else ""), flush=True)


def refused(name, arguments, *texts):
    r = run(*arguments)
    wrong = [t for t in (*texts, "error: ", "remedy: ") if t not in r.stderr]
    check(name, r.returncode == 2 and not wrong and r.stdout == "",
          f"code {r.returncode}, missing {wrong}, stderr {r.stderr!r}, stdout {r.stdout!r}")


core, plain, packed = (os.path.join(corpus, n) for n in ("core/whole", "ktsnap/plain", "ktsnap/zstd"))
foreign = os.path.join(corpus, "core/foreign")

for path in (core, plain, packed):
    name = os.path.relpath(path, corpus)
    r = run("show", path)
    wanted = ("x86_64, 2 vCPUs", "cause request, name seed", "0xffffffff81000000", "cr3 0x0000000000001000", "8K of 12K in the file",
              "vCPU 1", "no registers", "kernel       7.3")
    check(f"show {name}", r.returncode == 0 and r.stderr == "" and all(w in r.stdout for w in wanted), r.stdout + r.stderr)
    r = run("show", path, "--json")
    d = json.loads(r.stdout)
    check(f"show {name} --json", d["schema"] == "ktstr.snapshot/1.0" and d["release"] == "7.3" and d["stored_pages"] == 2
          and d["vcpus"][0]["registers"]["general"]["rip"] == "0xffffffff81000000"
          and [x["start"] for x in d["ram"]] == ["0x1000", "0x100000"], r.stdout)
r = run("show", foreign, "--json")
d = json.loads(r.stdout)
check("show of a core that others wrote", not d["written_by_ktstr"] and d["vcpus"][0]["registers"]["general"]["rax"] == "0x1"
      and d["release"] == "7.3", r.stdout)

r = run("diff", plain, core)
check("diff across formats: nothing changed", r.returncode == 0 and "nothing changed" in r.stdout, r.stdout + r.stderr)
r = run("diff", packed, plain, "--json")
check("diff --json of the same", json.loads(r.stdout)["same"] is True, r.stdout)

with tempfile.TemporaryDirectory(prefix="ktstr-snapshot-") as folder:
    whole = open(core, "rb").read()

    def put(name, content):
        path = os.path.join(folder, name)
        with open(path, "wb") as f:
            f.write(content)
        return path

    # One byte of RAM and one register changed: the core has no checksum over them.
    at = whole.index(b"hello")
    changed = bytearray(whole)
    changed[at:at + 5] = b"HELLO"
    where = changed.rindex(struct.pack("<Q", 0xffffffff81000000))
    changed[where:where + 8] = struct.pack("<Q", 0xffffffff81000123)
    other = put("other", changed)
    r = run("diff", core, other)
    check("diff names the page and the register", r.returncode == 0 and "1 page (4K) in 1 range changed" in r.stdout
          and "0x0000000000001000-0x0000000000002000" in r.stdout
          and "0xffffffff81000000 -> 0xffffffff81000123" in r.stdout, r.stdout + r.stderr)
    d = json.loads(run("diff", plain, other, "--json").stdout)
    check("diff --json", not d["same"] and d["changed_pages"] == 1 and d["ranges"] == [{"start": "0x1000", "bytes": 4096}]
          and d["registers"] == [{"vcpu": 0, "name": "rip", "before": "0xffffffff81000000", "after": "0xffffffff81000123"}], d)

    ours = open(packed, "rb").read()
    refused("a cut file", ["show", put("cut", ours[:-1])], "truncated", "copy it again")
    damaged = bytearray(ours)
    damaged[4100] ^= 1
    refused("a damaged chunk", ["show", put("damaged", damaged)], "checksum", "damaged")
    newer = bytearray(ours)
    newer[8] = 9
    refused("a newer version", ["show", put("newer", newer)], "not supported", "newer ktstr-run")
    refused("an empty file", ["show", put("nothing", b"")], "empty")
    refused("text", ["show", put("text", b"hello" * 100)], "neither")
    refused("an ELF program", ["show", program], "no whole snapshot")
    refused("a core cut in its notes", ["show", put("cut-core", whole[:500])], "truncated")
    refused("another architecture", ["diff", core, os.path.join(corpus, "core/aarch64")], "different architectures")
    refused("a file that is not there", ["show", os.path.join(folder, "none")], "not found")
    refused("a folder", ["show", folder], "no file")
refused("no word", [], "needs to be told")
refused("a misspelt word", ["shoow", core], "did you mean 'show'")
refused("too many files", ["show", core, core], "takes one file, not 2")
refused("too few files", ["diff", core], "takes two files, not 1")
sys.exit(1 if failed else 0)
