#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The runner counts right: what each kind of program can print, and how it can end."""

import sys

from case_results import judge

GOOD = "[doctest] test cases:  3 |  3 passed | 0 failed | 0 skipped\n[doctest] Status: SUCCESS!\n"
BAD = ("=" * 30 + "\na_test.cpp:3:\nTEST CASE:  x\na_test.cpp:5: ERROR: CHECK( a == b ) is NOT correct!\n" + "=" * 30
       + "\n[doctest] test cases: 3 | 2 passed | 1 failed | 0 skipped\n")

# title, kind, exit code, output, time-out, (passed, failed, skipped), text that the details must have
CASES = [
    ("doctest_passes", "doctest", 0, GOOD, None, (3, 0, 0), ""),
    ("doctest_coloured", "doctest", 0, "\x1b[0;36m" + GOOD.replace("passed", "passed\x1b[0m"), None, (3, 0, 0), ""),
    ("doctest_fails", "doctest", 1, BAD, None, (2, 1, 0), "CHECK( a == b ) is NOT correct"),
    ("doctest_crashes", "doctest", -11, "TEST CASE: x\n", None, (0, 1, 0), "signal 11"),
    ("doctest_silent", "doctest", 0, "", None, (0, 1, 0), "0 summaries"),
    ("doctest_no_case", "doctest", 0, GOOD.replace("3", "0"), None, (0, 1, 0), "does not add up"),
    ("doctest_two_summaries", "doctest", 0, GOOD + GOOD, None, (0, 1, 0), "2 summaries"),
    ("doctest_dies_at_exit", "doctest", -6, GOOD, None, (3, 1, 0), "signal 6"),
    ("doctest_lies", "doctest", 0, BAD, None, (2, 2, 0), "exit code 0 with 1 failed"),
    ("doctest_skips_all", "doctest", 77, "no /dev/kvm here\n", None, (0, 0, 1), "no /dev/kvm here"),
    ("doctest_skips_one", "doctest", 0, GOOD.replace("0 skipped", "1 skipped"), None, (3, 0, 1), "marked skip()"),
    ("doctest_hangs", "doctest", -9, GOOD, 5, (0, 1, 0), "within 5 s"),
    ("lines_pass", "lines", 0, "ok a\nnoise\nok b # 3.2 s\n", None, (2, 0, 0), ""),
    ("lines_fail", "lines", 1, "ok a\nnot ok b it broke\n", None, (1, 1, 0), "it broke"),
    ("lines_fail_with_exit_0", "lines", 0, "not ok b it broke\n", None, (0, 1, 0), "it broke"),
    ("lines_crash_later", "lines", -11, "ok a\n", None, (1, 1, 0), "signal 11"),
    ("lines_none", "lines", 0, "hello\n", None, (0, 1, 0), "without one result line"),
    ("lines_skip", "lines", 0, "ok a\nskip b no such kernel\n", None, (1, 0, 1), "no such kernel"),
    ("lines_skip_unexplained", "lines", 0, "skip b\n", None, (0, 1, 0), "without saying why"),
    ("lines_skip_all", "lines", 77, "no network\n", None, (0, 0, 1), "no network"),
    ("lines_hang", "lines", -9, "ok a\n", 5, (1, 1, 0), "within 5 s"),
    ("lines_lookalike", "lines", 0, "okay then\nnot okay\nok a\n", None, (1, 0, 0), ""),
    ("ratio_passes", "ratio", 0, "ratio exit.loop 0.99 [0.98, 1.00] wanted 0.98\n", None, (1, 0, 0), ""),
    ("ratio_misses", "ratio", 1, "ratio exit.loop 0.90 [0.89, 0.91] wanted 0.98\n", None, (0, 1, 0), "0.90"),
    ("ratio_silent", "ratio", 0, "done\n", None, (0, 1, 0), "no ratio"),
    ("exit_passes", "exit", 0, "", None, (1, 0, 0), ""),
    ("exit_fails", "exit", 1, "why\n", None, (0, 1, 0), "why"),
    ("exit_skips", "exit", 77, "no clang\n", None, (0, 0, 1), "no clang"),
    ("exit_hangs", "exit", -9, "", 5, (0, 1, 0), "within 5 s"),
]


def main():
    failed = 0
    for title, kind, code, text, limit, counts, wanted in CASES:
        out = judge(kind, "name", code, text, limit)
        got = (out.passed, out.failed, out.skipped)
        if got != counts or wanted not in "\n".join(out.details):
            failed += 1
            print(f"not ok runner.{title} counted {got}, wanted {counts}; details: {out.details}")
        else:
            print(f"ok runner.{title}")
    figures = judge("lines", "name", 0, "ok a # 3.2 s\n# boots 4\n# boots 2\n").figures
    boots = judge("lines", "name", 0, "ok a # 3.2 s\n# boots 4\n# boots 2\n").boots
    ok = figures == [("a", "3.2 s")] and boots == 6
    print("ok runner.figures" if ok else f"not ok runner.figures {figures} {boots}")
    return 1 if failed or not ok else 0


if __name__ == "__main__":
    sys.exit(main())
