#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes include/ktstr/ktstr.hpp, which includes every header that needs no library.

--check only compares; --committed leaves out what is not under version control yet.
"""

import os
import sys

import tree

HEAD = """// SPDX-License-Identifier: Apache-2.0
/// \\file
/// Every header of the library that needs nothing but libc, for users in a hurry and for the test that two translation
/// units with all of it link. Headers that name a library (compression, JSON, Boost) are included by their own name.
/// Written by tests/scripts/gen_umbrella.py; a test fails when it is out of date.
#pragma once

"""


def text(root, committed=False):
    own = [h for h in tree.headers(root) if h != "ktstr/ktstr.hpp" and not tree.needs_library(root, h)]
    if committed:
        names = tree.tracked(root, new_too=False)
        own = [h for h in own if f"include/{h}" in names or h == "ktstr/version.hpp"]
    own.sort(key=lambda h: (tree.RANK.get(tree.folder_of(h), -1), h))
    out, last = HEAD, None
    for header in own:
        folder = tree.folder_of(header)
        if last is not None and folder != last:
            out += "\n"
        out += f'#include "{header}"\n'
        last = folder
    return out


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    root = tree.root_of(arguments[0] if arguments else None)
    path = os.path.join(root, "include/ktstr/ktstr.hpp")
    want = text(root, "--committed" in sys.argv[1:])
    if "--check" in sys.argv[1:]:
        have = open(path, encoding="utf-8").read() if os.path.exists(path) else ""
        missing = sorted(set(want.splitlines()) - set(have.splitlines()))
        extra = sorted(set(have.splitlines()) - set(want.splitlines()))
        problems = [f"ktstr.hpp lacks: {line}" for line in missing] + [f"ktstr.hpp has too much: {line}" for line in extra]
        if not problems and have != want:
            problems = ["ktstr.hpp: run tests/scripts/gen_umbrella.py"]
        return tree.report("headers.umbrella", problems)
    with open(path, "w", encoding="utf-8") as f:
        f.write(want)
    return 0


if __name__ == "__main__":
    sys.exit(main())
