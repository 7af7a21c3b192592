#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The lists of headers in meson.build files equal the files on disk. Usage: ROOT HEADER..."""

import os
import sys

import tree


def main():
    root = tree.root_of(sys.argv[1])
    listed = [os.path.relpath(os.path.realpath(p), os.path.join(root, "include")) for p in sys.argv[2:]]
    disk = tree.headers(root)
    problems = [f"{h}: on disk, in no meson.build list" for h in sorted(set(disk) - set(listed))]
    problems += [f"{h}: listed, not on disk" for h in sorted(set(listed) - set(disk))]
    problems += [f"{h}: listed twice" for h in sorted({h for h in listed if listed.count(h) > 1})]
    return tree.report("headers.list", problems)


if __name__ == "__main__":
    sys.exit(main())
