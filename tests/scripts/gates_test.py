#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each gate fails when it should: plants one violation at a time into a small tree. Usage: COMPILER FLAG..."""

import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
GOOD = "// SPDX-License-Identifier: Apache-2.0\n/// \\file\n/// A header.\n#pragma once\n"


def write(root, name, text):
    path = os.path.join(root, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def plant(root):
    write(root, "include/ktstr/base/a.hpp", GOOD + "inline int a() { return 1; }\n")
    write(root, "include/ktstr/sys/b.hpp", GOOD + '#include "ktstr/base/a.hpp"\ninline int b() { return a(); }\n')
    write(root, "tests/base/a_test.cpp", '// SPDX-License-Identifier: Apache-2.0\n#include "ktstr/base/a.hpp"\n')
    write(root, "tests/sys/b_test.cpp", '// SPDX-License-Identifier: Apache-2.0\n#include "ktstr/sys/b.hpp"\n')
    write(root, "tests/scripts/codespell-ignore.txt", "\n")
    write(root, "tests/compile_fail/c.cpp", "// SPDX-License-Identifier: Apache-2.0\n// EXPECT: cannot convert\n#ifdef KTSTR_EXPECT_FAIL\nint* p = 1.5;\n#endif\n")
    run(root, ["gen_umbrella.py", root])


def run(root, arguments):
    done = subprocess.run([sys.executable, os.path.join(HERE, arguments[0])] + arguments[1:], capture_output=True,
                          text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def cases(compiler):
    def layers(root):
        return ["check_layers.py", root]

    def files(root):
        return ["check_tree.py", root]

    def umbrella(root):
        return ["gen_umbrella.py", "--check", root]

    def alone(root):
        return ["check_self_contained.py", root, os.path.join(root, "build-stamps"), "--"] + compiler

    def fails(root):
        return ["check_compile_fail.py", root, os.path.join(root, "tests/compile_fail"), "--"] + compiler

    def listed(root):
        return ["check_headers_list.py", root] + [os.path.join(root, "include/ktstr", h)
                                                  for h in ("ktstr.hpp", "base/a.hpp", "sys/b.hpp")]

    x, y = "include/ktstr/base/x.hpp", "include/ktstr/sys/y.hpp"
    return [
        ("upward include", layers, {x: GOOD + '#include "ktstr/sys/b.hpp"\n'}, "must not include sys"),
        ("neighbour include", layers, {"include/ktstr/abi/x.hpp": GOOD + '#include "ktstr/sys/b.hpp"\n'}, "must not include sys"),
        ("unknown folder", layers, {"include/ktstr/misc/x.hpp": GOOD}, "has no layer"),
        ("relative include", layers, {x: GOOD + '#include "a.hpp"\n'}, "is not spelled"),
        ("heavy header", layers, {x: GOOD + "#include <iostream>\n"}, "too heavy"),
        ("include cycle", layers, {x: GOOD + '#include "ktstr/base/z.hpp"\n',
                                   "include/ktstr/base/z.hpp": GOOD + '#include "ktstr/base/x.hpp"\n'}, "include cycle"),
        ("fat fwd.hpp", layers, {"include/ktstr/base/fwd.hpp": GOOD + "#include <string>\n"}, "fwd.hpp includes"),
        ("header in no list", listed, {x: GOOD}, "in no meson.build list"),
        ("stale umbrella", umbrella, {x: GOOD}, 'lacks: #include "ktstr/base/x.hpp"'),
        ("not self-contained", alone, {y: GOOD + "inline std::string y() { return {}; }\n"}, "not ok header.alone.ktstr/sys/y.hpp"),
        ("warning", alone, {y: GOOD + "inline int y(long n) { return n; }\n"}, "conversion"),
        ("no include guard", alone, {y: "struct y {};\n"}, "redefinition"),
        ("good half broken", fails, {"tests/compile_fail/d.cpp": "// EXPECT: x\nint* p = 1.5;\n"}, "good half does not compile"),
        ("bad half compiles", fails, {"tests/compile_fail/d.cpp": "// EXPECT: x\n"}, "bad half compiles"),
        ("other error text", fails, {"tests/compile_fail/d.cpp": "// EXPECT: moon\n#ifdef KTSTR_EXPECT_FAIL\nint* p = 1.5;\n#endif\n"},
         "fails without saying: moon"),
        ("no expectation", fails, {"tests/compile_fail/d.cpp": "int d;\n"}, "has no `// EXPECT: ` line"),
        ("too many lines", files, {y: GOOD + "//\n" * 800}, "not ok tree.size"),
        ("no licence", files, {y: "/// \\file\n#pragma once\n"}, "no SPDX"),
        ("wrong licence", files, {"tools/p.bpf.c": "// SPDX-License-Identifier: Apache-2.0\n"}, "not ok tree.licence"),
        ("no file sentence", files, {y: "// SPDX-License-Identifier: Apache-2.0\n#pragma once\n"}, "not ok tree.file_comment"),
        ("machine path", files, {"docs/a.md": "see /wo" + "rk/main\n"}, "not ok tree.machine"),
        ("left over work", files, {y: GOOD + "// TO" + "DO: later\n"}, "not ok tree.unfinished"),
        ("no test", files, {x: GOOD}, "no tests/base/x_test.cpp"),
        ("concept without suite", files, {y: GOOD + "concept Y = true;\nconsteval bool explain_y() { return true; }\n"}, "a concept without `Suite:"),
        ("suite not there", files, {y: GOOD + "// Models: y. Suite: tests/suites/y.hpp\nconcept Y = true;\nconsteval bool explain_y() { return true; }\n"},
         "tests/suites/y.hpp is not there"),
        ("misspelling", files, {"docs/a.md": "te" + "h end\n"}, "not ok tree.spelling"),
    ]


def main():
    compiler = sys.argv[1:] or ["g++", "-std=c++23"]
    failed = 0
    with tempfile.TemporaryDirectory() as root:
        plant(root)
        for gate in {c[1](root)[0]: c[1](root) for c in cases(compiler) if c[1](root)[0] != "check_headers_list.py"}.values():
            code, output = run(root, gate)
            name = f"gates.accepts.{gate[0]}"
            if code != 0:
                failed += 1
                print(f"not ok {name} {' | '.join(l for l in output.splitlines() if not l.startswith('ok')) or code}")
            else:
                print(f"ok {name}")
    for title, gate, files, text in cases(compiler):
        with tempfile.TemporaryDirectory() as root:
            plant(root)
            for name, content in files.items():
                write(root, name, content)
            code, output = run(root, gate(root))
            name = "gates.fail." + title.replace(" ", "_")
            if code == 0 or text not in output:
                failed += 1
                print(f"not ok {name} exit code {code}, wanted the text: {text}; got: {' | '.join(output.split(chr(10))[:4])}")
            else:
                print(f"ok {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
