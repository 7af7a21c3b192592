#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Includes point downward only, are spelled from the include root, and heavy headers stay where they may be."""

import sys

import tree


def check(root):
    problems = []
    graph = {}
    for header in tree.headers(root):
        folder = tree.folder_of(header)
        quoted, angled = tree.includes(root, header)
        graph[header] = quoted
        if not folder:
            continue
        if folder not in tree.RANK:
            problems.append(f"{header}: folder {folder} has no layer (tests/scripts/tree.py)")
            continue
        rank = tree.RANK[folder]
        for name in quoted:
            if not name.startswith("ktstr/"):
                problems.append(f'{header}: "{name}" is not spelled "ktstr/folder/file.hpp"')
                continue
            other = tree.folder_of(name)
            if not other:
                if name != "ktstr/version.hpp":
                    problems.append(f"{header}: includes {name}, which is for users only")
            elif other != folder and tree.RANK.get(other, 99) >= rank:
                problems.append(f"{header}: {folder} (layer {rank}) must not include {other} "
                                f"(layer {tree.RANK.get(other, '?')}): {name}")
        for name in angled:
            if name.startswith("ktstr/"):
                problems.append(f"{header}: <{name}> must be quoted")
            if name in tree.HEAVY and rank < tree.HEAVY_ALLOWED_FROM:
                problems.append(f"{header}: <{name}> is too heavy below layer {tree.HEAVY_ALLOWED_FROM}")
            if name.startswith("boost/") and rank < tree.HEAVY_ALLOWED_FROM:
                problems.append(f"{header}: <{name}>: Boost below layer {tree.HEAVY_ALLOWED_FROM}")
        if header.endswith("/fwd.hpp") and (set(angled) - {"cstdint"} or quoted):
            problems.append(f"{header}: a fwd.hpp includes <cstdint> at most")

    state = {}

    def visit(header, path):
        if state.get(header) == "done" or header not in graph:
            return
        if state.get(header) == "open":
            problems.append("include cycle: " + " -> ".join(path[path.index(header):] + [header]))
            return
        state[header] = "open"
        for name in graph[header]:
            visit(name, path + [header])
        state[header] = "done"

    for header in graph:
        visit(header, [])
    return problems


def main():
    return tree.report("headers.layers", check(tree.root_of(sys.argv[1] if len(sys.argv) > 1 else None)))


if __name__ == "__main__":
    sys.exit(main())
