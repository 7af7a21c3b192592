#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The doctor inside the lab says native, in real and in virtual time. Prints ok / not ok lines."""
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RUN = os.environ.get("KTSTR_RUN") or os.path.join(ROOT, "build-release/tools/ktstr-run/ktstr-run")
LAB = os.environ.get("KTSTR_LAB") or os.path.join(ROOT, "build-release/tools/ktstr-lab/ktstr-lab")
failed = 0
for time in ("real", "virtual"):
    r = subprocess.run([LAB, "run", "-n", "--time", time, "--limit", "120", "--inject", RUN, "--", RUN, "doctor", "--json"],
                       capture_output=True, text=True, timeout=600)
    try:
        report = json.loads(r.stdout)
    except ValueError:
        report = {}
    kvm = report.get("kvm", {})
    works = all(s.get("outcome") == "works" for s in kvm.get("stubs", {"none": {}}).values())
    good = r.returncode == 0 and report.get("verdict") == "native" and works and 0 < kvm.get("kernel_loop_ps", 0) <= 300000
    failed += not good
    print(f"{'ok' if good else 'not ok'} doctor_in_lab.{time}"
          + (f" # {kvm['kernel_loop_ps'] / 1000:.1f} ns a loop iteration, exit {kvm['exit_round_trip_ns'] / 1000:.1f} us" if good
             else f": code {r.returncode}, {report.get('verdict')} {report.get('reason')}, {r.stdout[:300]!r} {r.stderr[-300:]!r}"), flush=True)
sys.exit(failed != 0)
