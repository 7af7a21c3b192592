#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""clang-tidy 19 over every header of the library, one folder at a time; .clang-tidy says what it looks for. Usage: ROOT"""

import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile

import tree


def tidy(root, folder, names, temp):
    unit = os.path.join(temp, (folder or "top") + ".cpp")
    with open(unit, "w", encoding="utf-8") as f:
        f.write("".join(f'#include "{n}"\n' for n in names))
    command = ["clang-tidy-19", "--quiet", "--config-file=" + os.path.join(root, ".clang-tidy"),
               f"--header-filter=include/ktstr/{folder}/.*" if folder else "--header-filter=include/ktstr/[^/]*$", unit, "--",
               "-std=c++23", "-I", os.path.join(root, "include")]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    except subprocess.TimeoutExpired:
        return ["took more than 900 s"]
    found = sorted(set(l for l in done.stdout.splitlines() if re.search(r": (error|warning): ", l)))
    if done.returncode != 0 and not found:
        found = [f"exit code {done.returncode}: {done.stderr.strip()[:200]}"]
    return found


def main():
    root = tree.root_of(sys.argv[1] if len(sys.argv) > 1 else None)
    if not shutil.which("clang-tidy-19"):
        print("clang-tidy-19 is not installed")
        return 77
    folders = {}
    for header in tree.headers(root):
        if header != "ktstr/ktstr.hpp":
            folders.setdefault(tree.folder_of(header), []).append(header)
    code = 0
    with tempfile.TemporaryDirectory() as temp, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {f: pool.submit(tidy, root, f, names, temp) for f, names in folders.items()}
        for folder, job in jobs.items():
            code |= tree.report(f"tidy.{folder or 'top'}", job.result())
    return code


if __name__ == "__main__":
    sys.exit(main())
