# SPDX-License-Identifier: Apache-2.0
"""Writes docs/measured/<date>-<machine>.md after a full run: what ran, when, where, and every figure it printed."""

import datetime
import os
import platform
import re
import subprocess



def first(path, pattern, default="unknown"):
    try:
        match = re.search(pattern, open(path, encoding="utf-8", errors="replace").read(), re.M)
    except OSError:
        return default
    return match.group(1).strip() if match else default


def kvm_kind(context):
    """What `ktstr-run doctor` says of /dev/kvm, in one word."""
    run = context.env()["KTSTR_RUN"]
    try:
        done = subprocess.run([run, "doctor", "--json"], capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.SubprocessError):
        return "not probed"
    match = re.search(r'"verdict": *"(\w+)"', done.stdout)
    return match.group(1) if match else "not probed"


def machine_lines(context):
    memory = int(first("/proc/meminfo", r"^MemTotal:\s+(\d+)", "0")) // 1024
    processor = first("/proc/cpuinfo", r"^model name\s*: (.+)$")
    system = first("/etc/os-release", r'^PRETTY_NAME="?([^"\n]+)')
    return [
        f"- processor: {processor}, {os.cpu_count()} CPUs",
        f"- memory: {memory} MiB",
        f"- system: {system}, kernel {platform.release()}",
        f"- /dev/kvm: {kvm_kind(context)}",
    ]


def write(context, options, results, seconds):
    now = datetime.datetime.now(datetime.timezone.utc)
    machine = re.sub(r"[^a-z0-9]+", "-", f"{platform.machine()}-{os.cpu_count()}cpu-{kvm_kind(context)}".lower()).strip("-")
    name = f"docs/measured/{now:%Y-%m-%d}-{machine}.md"
    commit = subprocess.run(["git", "-c", "safe.directory=*", "-C", context.root, "rev-parse", "--short=12", "HEAD"],
                            capture_output=True, text=True, timeout=30).stdout.strip()
    lines = [f"# Full run of {now:%Y-%m-%d %H:%M} UTC", "", "Written by `tools/run-tests --full`.", "",
             f"- commit: {commit or 'none'}, seed {options.seed}, {seconds / 60:.0f} minutes in this session", *machine_lines(context),
             f"- cases: {results.total('passed')} passed, {results.total('failed')} failed, {results.total('skipped')} skipped",
             "", "| program | passed | failed | skipped | seconds |", "| --- | --- | --- | --- | --- |"]
    for key, o in sorted(results.outcomes.items()):
        lines.append(f"| {key} | {o.passed} | {o.failed} | {o.skipped} | {o.seconds:.1f} |")
    figures = [(key, case, text) for key, o in sorted(results.outcomes.items()) for case, text in map(tuple, o.figures)]
    if figures:
        lines += ["", "| case | figure |", "| --- | --- |"]
        lines += [f"| {case} | {text.replace('|', '/')} |" for _, case, text in figures]
    troubles = [d for o in results.outcomes.values() for d in o.details if d.startswith(("FAILED", "skipped"))]
    if troubles:
        lines += ["", "Failed and skipped:", ""] + [f"- {d}" for d in troubles]
    path = os.path.join(context.root, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    os.replace(path + ".new", path)
    return name
