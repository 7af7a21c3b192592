#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rules about files: size, licence line, no machine-specific text, a test for each header, spelling.

Usage: check_tree.py [ROOT]. Prints one result line a rule.
"""

import os
import re
import shutil
import subprocess
import sys

import tree

MAX_LINES, MAX_BYTES = 800, 40 * 1024
SOURCE = (".hpp", ".h", ".cpp", ".c", ".py", ".sh", ".S")
# Files that may be larger: tables of constants and texts that are not ours.
LARGE = {"LICENSE"}
# Headers that need no test file of their own, and why.
NO_TEST = {
    "ktstr/ktstr.hpp": "tests/headers/",
    "ktstr/version.hpp": "tests/headers/",
    "ktstr/base/fwd.hpp": "tests/headers/fwd_base.cpp",
    "ktstr/hv/exit.hpp": "plain data; every test of an exit policy fills it",
    "ktstr/hv/vcpu.hpp": "a concept; tests/suites/vcpu_suite.hpp is its suite",
    "ktstr/runner/vcpu_slot.hpp": "tests/runner/basic_runner_test.cpp, which owns the slots",
    "ktstr/runner/x86_64/linux_boot.hpp": "needs a kernel: tests/lab/lab_boots.py",
    "ktstr/runner/x86_64/pc_devices.hpp": "needs a kernel: tests/lab/lab_boots.py",
    "ktstr/runner/x86_64/vcpu_setup.hpp": "needs a kernel: tests/lab/lab_boots.py",
    "ktstr/runner/x86_64/virtio_wiring.hpp": "needs a kernel: tests/lab/lab_boots.py",
}
# A name in an apt configuration that says nothing about a machine.
PUBLIC_HOSTS = {"localhost"}


def is_text(path):
    with open(path, "rb") as f:
        return b"\0" not in f.read(8192)


def is_source(root, name):
    if name.endswith(SOURCE) or name in ("meson.build", "meson_options.txt"):
        return True
    if "." in os.path.basename(name) or name.startswith(("docs/", "tests/corpus/")):
        return False
    with open(os.path.join(root, name), "rb") as f:
        return f.read(2) == b"#!"


def size(root, names):
    problems = []
    for name in names:
        if name in LARGE or name.startswith("tests/corpus/") or not name.endswith(SOURCE + (".md",)):
            continue
        path = os.path.join(root, name)
        lines = sum(1 for _ in open(path, "rb"))
        if lines > MAX_LINES or os.path.getsize(path) > MAX_BYTES:
            problems.append(f"{name}: {lines} lines, {os.path.getsize(path)} bytes; at most {MAX_LINES} and {MAX_BYTES}")
    return problems


def licence(root, names):
    problems = []
    for name in names:
        if not is_source(root, name):
            continue
        head = open(os.path.join(root, name), encoding="utf-8", errors="replace").read(600)
        match = re.search(r"SPDX-License-Identifier: (.+)", head)
        if not match:
            problems.append(f"{name}: no SPDX-License-Identifier line")
            continue
        text = match.group(1).strip().removesuffix("*/").strip()
        allowed = {"Apache-2.0"} if not name.endswith((".bpf.c", ".bpf.h")) else {"GPL-2.0 OR Apache-2.0", "GPL-2.0"}
        if text not in allowed:
            problems.append(f"{name}: licence {text}, want one of {sorted(allowed)}")
    return problems


def file_comment(root, names):
    return [f"{n}: no `/// \\file` sentence and `#pragma once` at the top" for n in names
            if n.startswith("include/") and n.endswith(".hpp")
            and not {"/// \\file", "#pragma once"} <= {l.strip() for l in tree.read(root, n).splitlines()[:60]}]


def apt_hosts():
    """Host names of the package mirrors this machine is configured for."""
    hosts = set()
    folder = "/etc/apt"
    files = [os.path.join(folder, "sources.list")]
    for sub in ("sources.list.d", "apt.conf.d"):
        path = os.path.join(folder, sub)
        files += [os.path.join(path, n) for n in os.listdir(path)] if os.path.isdir(path) else []
    for path in files:
        try:
            hosts |= set(re.findall(r"https?://(?:[^@/\s]*@)?([A-Za-z0-9.-]+)", open(path, errors="replace").read()))
        except OSError:
            pass
    return hosts - PUBLIC_HOSTS


def machine(root, names):
    words = {f"/{'work'}/", "/tmp/" + "w/"} | apt_hosts()
    home = os.path.expanduser("~")
    if home.count("/") > 1:
        words.add(home + "/")
    problems = []
    for name in names:
        path = os.path.join(root, name)
        if not is_text(path):
            continue
        for number, line in enumerate(open(path, encoding="utf-8", errors="replace"), 1):
            problems += [f"{name}:{number}: names this machine: {w}" for w in words if w in line]
    return problems


def unfinished(root, names):
    """Marks of work left over. Spelled apart here, so that this file passes its own rule."""
    words = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b")
    problems = []
    for name in names:
        if not is_source(root, name) and not name.endswith(".md"):
            continue
        for number, line in enumerate(open(os.path.join(root, name), encoding="utf-8", errors="replace"), 1):
            if words.search(line):
                problems.append(f"{name}:{number}: {line.strip()[:100]}")
    return problems


def has_test(root, header, test_text):
    stem = header.removeprefix("ktstr/").removesuffix(".hpp")
    return os.path.exists(os.path.join(root, "tests", stem + "_test.cpp")) or f'"{header}"' in test_text


def tested(root, names):
    text = "".join(tree.read(root, n) for n in names if n.startswith("tests/") and n.endswith((".cpp", ".hpp")))
    return [f"{h}: no tests/{h.removeprefix('ktstr/').removesuffix('.hpp')}_test.cpp, and no test includes it"
            for h in tree.headers(root) if h not in NO_TEST and not has_test(root, h, text)]


def policies(root, names):
    """A header that declares a policy concept names its models and a suite, and the suite is there."""
    problems = []
    for header in tree.headers(root):
        text = tree.read(root, os.path.join("include", header))
        if not (re.search(r"^consteval bool explain_", text, re.M) and re.search(r"^concept [A-Z]|^template.*\nconcept [A-Z]", text, re.M)):
            continue
        suites = re.findall(r"Suite: (\S+?\.hpp)", text)
        if "Models:" not in text and "Models of" not in text:
            problems.append(f"{header}: a concept without a list `Models:`")
        if not suites:
            problems.append(f"{header}: a concept without `Suite: tests/suites/...`")
        problems += [f"{header}: {s} is not there" for s in suites if not os.path.exists(os.path.join(root, s))]
    return problems


def spelling(root, names):
    if not shutil.which("codespell"):
        return None
    files = [n for n in names if n.endswith(SOURCE + (".md", ".txt")) and not n.startswith("tests/corpus/")]
    done = subprocess.run(["codespell", "--ignore-words", os.path.join(root, "tests/scripts/codespell-ignore.txt")] + files,
                          cwd=root, capture_output=True, text=True, timeout=120)
    return [l for l in (done.stdout + done.stderr).splitlines() if l.strip()]


RULES = {"size": size, "licence": licence, "file_comment": file_comment, "machine": machine, "unfinished": unfinished,
         "tested": tested, "policies": policies, "spelling": spelling}


def main():
    root = tree.root_of(sys.argv[1] if len(sys.argv) > 1 else None)
    names = tree.tracked(root)
    code = 0
    for rule, check in RULES.items():
        problems = check(root, names)
        if problems is None:
            print(f"skip tree.{rule} codespell is not installed")
        else:
            code |= tree.report(f"tree.{rule}", problems)
    return code


if __name__ == "__main__":
    sys.exit(main())
