#!/usr/bin/env python3
"""docs/reliability.md names tests that there are, has a row for each fault and each entry of the catalogue, and each
row of a table has as many cells as the others.

usage: reliability_doc_test.py BUILD-FOLDER
"""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FAULTS = ["L1", "L2", *(f"F{n}" for n in range(1, 17) if n != 10)]
CATALOGUE = [*range(1, 4), *range(6, 9), *range(10, 21), 23, 24, 27, *range(40, 51), *range(54, 63), 64, 65, 66]
# Where the sources of a kind of test are; one file a test where the name says which.
SOURCES = {"unit": "tests/unit/{}.cpp", "integration": "tests/integration/{}.cpp", "embed": "tests/embed/{}.cpp",
           "memory": "tests/memory/{}.cpp", "fuzz": "tests/fuzz/{}_fuzz.cpp", "simulation": "tests/sim/scenarios/{}.cpp",
           "chaos": "tests/chaos/*", "population": "tests/population/{}.cpp"}
POPULATION = {"presence": "presence", "edge_ends_with_all_clients": "edge_kill", "judge": "verdict_test"}
TEST = re.compile(r"`((?:%s)(?:\.\w+)?)`" % "|".join([*SOURCES, "scripts"]))


def sources_of(test):
    kind, _, stem = test.partition(".")
    pattern = SOURCES.get(kind)
    if not pattern:
        return []
    if kind == "population":
        stem = POPULATION.get(stem, "router_faults")
    files = [f for f in ROOT.glob(pattern.format(stem)) if f.is_file()]
    if test == "chaos.idle_clients":
        return list((ROOT / "tests/idle").glob("*.cpp"))
    if kind == "chaos":  # the files that have to do with the scenario
        return [f for f in files if stem in f.read_text(errors="replace")]
    if stem:
        return files
    return list((ROOT / "tests/sim").glob("*.cpp"))  # the simulator itself


def has_tag(test, tag):
    scenario = re.search(rf'"{test.removeprefix("chaos.")}",(.*)', (ROOT / "tests/chaos/scenario.cpp").read_text())
    if test.startswith("chaos.") and scenario:  # all are in one table, each with its own tags
        return bool(re.search(rf"\b{tag}\b", scenario[1]))
    return any(re.search(rf"\b{tag}\b", f.read_text(errors="replace")) for f in sources_of(test))


def rows(text):
    """First cell to the whole line, of all tables."""
    found = {}
    for line in text.splitlines():
        cell = re.match(r"\| *(?:\*\*)?((?:F|L|CAT-)\d+)\b", line)
        if cell:
            found.setdefault(cell[1], line)
    return found


def uneven(text):
    out, columns = [], 0
    for number, line in enumerate(text.splitlines(), 1):
        bars = re.sub(r"\\\||`[^`]*`", "", line).count("|") if line.startswith("|") else 0
        if columns and bars not in (0, columns):
            out.append(f"line {number} has {bars - 1} cells, the table has {columns - 1}")
        columns = columns or bars if bars else 0
    return out


def problems(text, known):
    found = rows(text)
    out = uneven(text) + [f"it names the test {t}, which there is not" for t in sorted(set(TEST.findall(text)) - known)]
    for name in [*FAULTS, *(f"CAT-{n}" for n in CATALOGUE)]:
        tests = TEST.findall(found.get(name, ""))
        if not tests:
            out.append(f"no row of {name} that names a test")
        else:
            out += [f"{t} does not say {name}" for t in tests if not has_tag(t, name)]
    return out


def self_test(text, known):
    """What is broken on purpose is found."""
    broken = [(text.replace("| soak | what grows |", "| soak |"), "cells, the table has 3"),
              (text.replace("| CAT-12 ", "| CAT-12x "), "no row of CAT-12 "),
              (text.replace("`unit.", "`unit.no_such_"), "which there is not"),
              (re.sub(r"(\| F1 .*)", "| F1 | nothing |", text), "no row of F1 "),
              (re.sub(r"\| F7 \|(.*)`simulation\.\w+`", r"| F7 |\1`simulation.crowds`", text), "does not say F7"),
              (text.replace("`chaos.f3_edge_kill`", "`chaos.f9_takeovers`"), "chaos.f9_takeovers does not say F3"),
              (text.replace("`population.presence`", "`population.router_stopped`"), "population.router_stopped does not")]
    return [f"not found when it was broken: {what}" for changed, what in broken
            if not any(what in p for p in problems(changed, known))]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    told = subprocess.run(["ctest", "--test-dir", sys.argv[1], "--show-only=json-v1"], check=True, capture_output=True)
    known = {t["name"] for t in json.loads(told.stdout)["tests"]}
    text = (ROOT / "docs/reliability.md").read_text()
    wrong = problems(text, known) or self_test(text, known)
    for w in wrong:
        print(f"docs/reliability.md: {w}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
