#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The documents agree with the tree: links, snippets, the layer table, exit codes. Usage: check_docs.py [ROOT] [--write]

A code block behind `<!-- snippet: FILE#MARK -->` equals the lines between `// [MARK]` and `// [/MARK]` of FILE;
behind `<!-- drawing: FILE -->` it equals the drawing (lines indented by four) in the first `///` comment of FILE.
--write puts the right text into such blocks.
"""

import os
import re
import sys

import tree

BLOCK = re.compile(r"<!-- (snippet|drawing): (\S+?)(?:#(\w+))? -->\n```(\w*)\n(.*?)```", re.S)


def wanted_block(root, kind, path, mark):
    try:
        text = tree.read(root, path)
    except OSError:
        return None
    if kind == "snippet":
        match = re.search(rf"^[ \t]*// \[{mark}\]\n(.*?)^[ \t]*// \[/{mark}\]", text, re.S | re.M)
        return match.group(1) if match else None
    lines = [l[len("///     "):] if l.startswith("///     ") else "" for l in text.splitlines() if l.startswith("///     ")]
    return "\n".join(lines) + "\n" if lines else None


def documents(root):
    out = ["README.md"] if os.path.exists(os.path.join(root, "README.md")) else []
    for folder, _, names in os.walk(os.path.join(root, "docs")):
        out += [os.path.relpath(os.path.join(folder, n), root) for n in names if n.endswith(".md")]
    return sorted(out)


def links(root):
    problems = []
    for name in documents(root):
        text = re.sub(r"```.*?```", "", tree.read(root, name), flags=re.S)
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            path = os.path.normpath(os.path.join(root, os.path.dirname(name), target))
            if not os.path.exists(path):
                problems.append(f"{name}: link to {target}, which is not there")
    return problems


def snippets(root, write=False):
    problems = []
    for name in documents(root):
        text = tree.read(root, name)

        def check(match, name=name):
            kind, path, mark, language, have = match.groups()
            want = wanted_block(root, kind, path, mark)
            if want is None:
                problems.append(f"{name}: nothing to show for {kind} {path}#{mark}")
                return match.group(0)
            if want != have:
                if not write:
                    problems.append(f"{name}: {kind} of {path} is out of date; run tests/scripts/check_docs.py --write")
                return match.group(0)[: match.start(5) - match.start(0)] + want + "```"
            return match.group(0)

        new = BLOCK.sub(check, text)
        if write and new != text:
            with open(os.path.join(root, name), "w", encoding="utf-8") as f:
                f.write(new)
    return problems


def layers(root):
    name = "docs/architecture/layers.md"
    if not os.path.exists(os.path.join(root, name)):
        return [f"{name} is missing"]
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", tree.read(root, name), re.M)
    told = [sorted(re.findall(r"`(\w+)/`", cell)) for _, cell in rows]
    real = [sorted(row) for row in tree.LAYERS]
    return [] if told[: len(real)] == real else [f"{name}: the table says {told}, tests/scripts/tree.py says {real}"]


def exit_codes(root):
    source = tree.read(root, "tools/support/problem.hpp")
    body = re.search(r"enum class exit_code[^{]*\{(.*?)\};", source, re.S)
    if not body:
        return ["tools/support/problem.hpp: no enum class exit_code"]
    real = {int(n) for n in re.findall(r"=\s*(\d+)\s*,", body.group(1))}
    told = {int(n) for n in re.findall(r"^\| (\d+) \|", tree.read(root, "docs/exit-codes.md"), re.M)}
    out = [f"docs/exit-codes.md: {n} is no exit_code" for n in sorted(told - real)]
    return out + [f"docs/exit-codes.md: lacks {n}" for n in sorted(real - told)]


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    root = tree.root_of(arguments[0] if arguments else None)
    if "--write" in sys.argv[1:]:
        snippets(root, write=True)
    code = 0
    for rule in (links, snippets, layers, exit_codes):
        code |= tree.report(f"docs.{rule.__name__}", rule(root))
    return code


if __name__ == "__main__":
    sys.exit(main())
