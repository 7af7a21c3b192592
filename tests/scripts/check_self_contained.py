#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each header compiles alone, included twice, with all warnings as errors.

Usage: ROOT STAMPS [--key TEXT] -- COMPILER FLAG...
A header whose text and whose headers below it did not change since its last success is not compiled again; STAMPS is
the folder that remembers.
"""

import concurrent.futures
import hashlib
import os
import subprocess
import sys

import tree

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wold-style-cast", "-Werror",
            "-Wno-missing-field-initializers"]


def closure(root, header, seen):
    if header in seen or not os.path.exists(os.path.join(root, "include", header)):
        return
    seen.add(header)
    for name in tree.includes(root, header)[0]:
        closure(root, name, seen)


def fingerprint(root, header, command):
    seen = set()
    closure(root, header, seen)
    digest = hashlib.sha256("\0".join(command).encode())
    for name in sorted(seen):
        digest.update(name.encode() + b"\0" + tree.read(root, os.path.join("include", name)).encode() + b"\0")
    return digest.hexdigest()


def compile_one(root, stamps, header, command):
    key = fingerprint(root, header, command)
    stamp = os.path.join(stamps, header.replace("/", "_").replace(".", "_"))
    if os.path.exists(stamp) and open(stamp).read() == key:
        return None
    unit = f'#include "{header}"\n#include "{header}"\n'
    try:
        done = subprocess.run(command + ["-fsyntax-only", "-x", "c++", "-"], input=unit, capture_output=True, text=True,
                              timeout=120)
    except subprocess.TimeoutExpired:
        return f"{header}: the compiler took more than 120 s"
    if done.returncode != 0:
        first = next((l for l in done.stderr.splitlines() if "error" in l), done.stderr[:200])
        return f"{header}: {first.strip()}"
    os.makedirs(stamps, exist_ok=True)
    with open(stamp, "w") as f:
        f.write(key)
    return None


def main():
    split = sys.argv.index("--")
    root, stamps = tree.root_of(sys.argv[1]), sys.argv[2]
    compiler, flags = sys.argv[split + 1:], []
    while compiler[-1].startswith("-"):
        flags.insert(0, compiler.pop())
    command = compiler + WARNINGS + flags + ["-I", os.path.join(root, "include")]
    names = tree.headers(root)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        answers = list(pool.map(lambda h: compile_one(root, stamps, h, command), names))
    failed = 0
    for header, answer in zip(names, answers):
        if answer:
            failed += 1
            print(f"not ok header.alone.{header} {answer}")
        else:
            print(f"ok header.alone.{header}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
