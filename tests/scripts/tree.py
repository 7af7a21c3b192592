# SPDX-License-Identifier: Apache-2.0
"""What the checks know about the tree: its root, its headers, their includes, and the layers."""

import os
import re
import subprocess

# One row a layer, lowest first; a folder may include only folders of lower rows (docs/architecture/layers.md).
LAYERS = [
    ["base"],
    ["sys", "abi"],
    ["mem", "wire", "topo"],
    ["scenario", "arch", "hv"],
    ["kvm", "dev", "boot", "firmware", "agent"],
    ["virtio", "run", "snapshot", "introspect"],
    ["freeze"],
    ["runner"],
    ["store", "lab", "probe"],
]
RANK = {folder: rank for rank, row in enumerate(LAYERS) for folder in row}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)

# Includes that cost more than half a second a translation unit (docs/architecture/layers.md).
HEAVY = {"iostream", "regex", "filesystem", "functional", "ranges"}
HEAVY_ALLOWED_FROM = 5
# A library beyond the C++ standard library, libc and the kernel's headers.
LIBRARY = re.compile(r"^(zstd|lzma|lz4\w*|zlib|nlohmann/.*|fmt/.*|boost/.*)(\.h|\.hpp)?$")


def root_of(argument=None):
    """The checkout: the argument, or the folder two levels above this file."""
    return os.path.realpath(argument or os.path.join(os.path.dirname(__file__), "..", ".."))


def headers(root):
    """All header files under include/ktstr, relative to include/, sorted."""
    out = []
    base = os.path.join(root, "include")
    for folder, _, names in os.walk(os.path.join(base, "ktstr")):
        out += [os.path.relpath(os.path.join(folder, n), base) for n in names if n.endswith((".hpp", ".h"))]
    return sorted(out)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        return f.read()


def includes(root, header):
    """(quoted, angled) includes of a header, in order."""
    quoted, angled = [], []
    for kind, name in INCLUDE.findall(read(root, os.path.join("include", header))):
        (quoted if kind == '"' else angled).append(name)
    return quoted, angled


def folder_of(header):
    """The folder below include/ktstr that decides the layer, or "" for ktstr.hpp and version.hpp."""
    parts = header.split("/")
    return parts[1] if len(parts) > 2 else ""


def needs_library(root, header, seen=None):
    """Whether a header includes a library's header, itself or through another of ours."""
    seen = seen if seen is not None else set()
    if header in seen or not os.path.exists(os.path.join(root, "include", header)):
        return False
    seen.add(header)
    quoted, angled = includes(root, header)
    return any(LIBRARY.match(a) for a in angled) or any(needs_library(root, q, seen) for q in quoted)


def tracked(root, new_too=True):
    """Files under version control, and new ones that are not ignored; all files when there is no git."""
    try:
        done = subprocess.run(["git", "-c", "safe.directory=*", "-C", root, "ls-files"]
                              + (["-co", "--exclude-standard"] if new_too else []), capture_output=True,
                              text=True, timeout=60, check=True)
        names = done.stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        names = []
    if not names:
        for folder, folders, files in os.walk(root):
            folders[:] = [d for d in folders if not d.startswith((".git", "build", "__pycache__"))]
            names += [os.path.relpath(os.path.join(folder, f), root) for f in files]
    return sorted(n for n in set(names) if os.path.isfile(os.path.join(root, n)))


def report(name, problems):
    """Prints one result line of a check, each problem on a line of its own before it; returns the exit code."""
    for problem in problems:
        print(problem)
    if problems:
        print(f"not ok {name} {len(problems)} problem(s), the first: {problems[0]}")
        return 1
    print(f"ok {name}")
    return 0
