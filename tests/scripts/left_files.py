#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A user left no file outside its own folder. Usage: UID HOME PLACE..."""

import os
import sys


def main():
    user, home = int(sys.argv[1]), os.path.realpath(sys.argv[2])
    found = []
    for place in sys.argv[3:]:
        for folder, folders, files in os.walk(place):
            folders[:] = [d for d in folders if os.path.realpath(os.path.join(folder, d)) != home]
            for name in folders + files:
                path = os.path.join(folder, name)
                try:
                    if os.lstat(path).st_uid == user:
                        found.append(path)
                except OSError:
                    pass
    for path in found:
        print(path)
    if found:
        print(f"not ok unprivileged.leaves_nothing {len(found)} files outside {home}, the first: {found[0]}")
        return 1
    print("ok unprivileged.leaves_nothing")
    return 0


if __name__ == "__main__":
    sys.exit(main())
