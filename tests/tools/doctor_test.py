#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs `ktstr-run doctor` on this machine, whoever runs it. Prints ok / not ok lines."""
import json
import os
import subprocess
import sys
import tempfile
import time

program = sys.argv[1]
failed = 0


def check(name, good, detail=""):
    global failed
    failed += not good
    print(f"{'ok' if good else 'not ok'} doctor.{name}" + (f": {detail}" if not good else ""), flush=True)


with tempfile.TemporaryDirectory(prefix="ktstr-doctor-") as home:
    env = {"HOME": home, "PATH": os.environ["PATH"], "LANG": "C"}

    def run(*arguments):
        return subprocess.run([program, "doctor", *arguments], capture_output=True, text=True, timeout=60, env=env)

    start = time.monotonic()
    r = run("--json")
    took = time.monotonic() - start
    try:
        report = json.loads(r.stdout)
    except ValueError:
        report = {}
    check("json", report.get("schema") == "ktstr.doctor/1.1", f"code {r.returncode}, {r.stdout[:200]!r} {r.stderr!r}")
    check("time", took < 30, f"{took:.1f} s")
    verdict, kvm = report.get("verdict"), report.get("kvm", {})
    if not os.path.exists("/dev/kvm"):
        check("verdict", verdict == "absent" and "errno" in kvm, verdict)
    elif not os.access("/dev/kvm", os.R_OK | os.W_OK):
        check("verdict", verdict == "no permission" and "errno" in kvm, verdict)
    else:
        check("verdict", verdict in ("native", "emulated") and kvm.get("api_version") == 12, f"{verdict} {kvm}")
        stubs = kvm.get("stubs", {})
        check("stubs", stubs.get("loop", {}).get("outcome") == "works" and stubs.get("exits", {}).get("outcome") == "works", stubs)
        check("watchpoint", stubs.get("watchpoint", {}).get("outcome") in ("works", "wrong result"), stubs)
        # The two halves of the verdict agree.
        slow = kvm.get("kernel_loop_ps", 0) > 300000
        check("reason", verdict == "emulated" or not slow, kvm.get("kernel_loop_ps"))
    check("code", r.returncode == (0 if report.get("can_boot") else 77), r.returncode)
    check("auto", report.get("machine_auto") == ("host" if verdict == "native" else "lab"), report.get("machine_auto"))
    ids = {c["id"] for c in report.get("checks", [])}
    check("checks", {"kvm", "lab", "memory", "hugepages", "cgroup", "limits.nofile", "limits.memlock", "limits.rtprio", "disk",
                     "program"} <= ids, ids)
    check("remedies", all(c.get("remedy") for c in report.get("checks", []) if c["status"] == "bad" and not c["id"].startswith("kvm")))

    r = run()
    check("text", r.stdout.startswith(f"{verdict}: ") and "--machine auto" in r.stdout + "--machine auto" * (r.returncode == 77), r.stdout[:200])
    check("no_colour", "\033" not in r.stdout)
    check("leaves_nothing", os.listdir(home) == [], os.listdir(home))
sys.exit(failed != 0)
