# SPDX-License-Identifier: Apache-2.0
"""Reads what a test program printed into counted cases.

Kinds of programs: "doctest" (its summary is the truth), "lines" (one `ok NAME`, `not ok NAME WHY` or `skip NAME WHY`
a case), "exit" (the program is one case; 77 means skipped), "ratio" (a benchmark: one case, with figures). A program
that ends otherwise than it should is a failure of its own, whatever it printed.
"""

import re
from dataclasses import dataclass, field

SUMMARY = re.compile(r"^\[doctest\] test cases:\s*(\d+)\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed\s*\|\s*(\d+) skipped",
                     re.M)
LINE = re.compile(r"^(ok|not ok|skip) (\S+)(?: +(.*))?$")
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SKIPPED = 77


@dataclass
class Outcome:
    """What one program came to. `details` are lines for the reader; `figures` are (name, text) pairs of cases."""
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    details: list = field(default_factory=list)
    figures: list = field(default_factory=list)
    boots: int = 0
    seconds: float = 0.0

    def fail(self, why):
        self.failed += 1
        self.details.append("FAILED  " + why)

    def skip(self, why):
        self.skipped += 1
        self.details.append("skipped " + why)


def ending(code):
    if code < 0:
        return f"was ended by signal {-code}"
    return f"ended with exit code {code}"


def tail(text, lines=12):
    return [l for l in text.splitlines() if l.strip()][-lines:]


def judge_doctest(name, code, text):
    out = Outcome()
    found = SUMMARY.findall(text)
    if code == SKIPPED and not found:
        out.skip(f"{name}: {(tail(text, 1) or ['no reason given'])[0]}")
        return out
    if len(found) != 1:
        out.fail(f"{name}: {ending(code)} and printed {len(found)} summaries")
        out.details += ["        " + l for l in tail(text)]
        return out
    total, passed, failed, skipped = map(int, found[0])
    out.passed, out.failed = passed, failed
    if failed:
        out.details.append(f"FAILED  {name}: {failed} of {total} cases")
        out.details += ["        " + l for l in failures_of(text)]
    for _ in range(skipped):
        out.skip(f"{name}: a case is marked skip()")
    if total == 0 or passed + failed != total:
        out.fail(f"{name}: the summary does not add up: {found[0]}")
    if (code != 0) != (failed != 0):
        out.fail(f"{name}: {ending(code)} with {failed} failed cases")
        out.details += ["        " + l for l in tail(text)]
    return out


def failures_of(text, limit=40):
    """The blocks of doctest's console output that tell of errors."""
    lines = []
    for block in re.split(r"^={20,}$", text, flags=re.M):
        if "ERROR" in block or "FATAL" in block:
            lines += [l for l in block.splitlines() if l.strip()]
    return lines[:limit]


def judge_lines(name, code, text):
    out = Outcome()
    problems = 0
    for line in text.splitlines():
        match = LINE.match(ANSI.sub("", line))
        if not match:
            boots = re.match(r"^# boots (\d+)$", line)
            if boots:
                out.boots += int(boots.group(1))
            continue
        word, case, rest = match.group(1), match.group(2), (match.group(3) or "").strip()
        if word == "ok":
            out.passed += 1
            if rest.startswith("#"):
                out.figures.append((case, rest[1:].strip()))
        elif word == "skip":
            if rest:
                out.skip(f"{case}: {rest}")
            else:
                out.fail(f"{case}: skipped without saying why")
        else:
            problems += 1
            out.fail(f"{case}: {rest or 'no reason given'}")
    if out.passed + out.failed + out.skipped == 0:
        if code == SKIPPED:
            out.skip(f"{name}: {(tail(text, 1) or ['no reason given'])[0]}")
        else:
            out.fail(f"{name}: {ending(code)} without one result line")
            out.details += ["        " + l for l in tail(text)]
    elif code not in (0, SKIPPED) and problems == 0:
        out.fail(f"{name}: {ending(code)} after its last result line")
        out.details += ["        " + l for l in tail(text)]
    elif code == 0 and problems:
        out.details.append(f"        {name}: exit code 0 in spite of {problems} failures")
    return out


def judge_exit(name, code, text):
    out = Outcome()
    if code == 0:
        out.passed = 1
    elif code == SKIPPED:
        out.skip(f"{name}: {(tail(text, 1) or ['no reason given'])[0]}")
    else:
        out.fail(f"{name}: {ending(code)}")
        out.details += ["        " + l for l in tail(text)]
    return out


def judge_ratio(name, code, text):
    """A benchmark: each `ratio NAME VALUE ...` line is a figure; the exit code says whether the bounds hold."""
    out = judge_exit(name, code, text)
    out.figures = re.findall(r"^ratio (\S+) (.+)$", text, re.M)
    if code == 0 and not out.figures:
        out.passed = 0
        out.fail(f"{name}: printed no ratio")
    return out


JUDGES = {"ratio": judge_ratio, "doctest": judge_doctest, "lines": judge_lines, "exit": judge_exit}


def judge(kind, name, code, text, timed_out_after=None):
    """The Outcome of a program; `timed_out_after` is the limit in seconds if it was stopped for that."""
    text = ANSI.sub("", text)
    if timed_out_after is None:
        return JUDGES[kind](name, code, text)
    out = JUDGES["lines"](name, 0, text) if kind == "lines" and re.search(LINE.pattern, text, re.M) else Outcome()
    out.fail(f"{name}: did not end within {timed_out_after} s and was stopped")
    out.details += ["        " + l for l in tail(text)]
    return out
