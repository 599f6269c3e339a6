#!/usr/bin/env python3
"""A seed that fails because of a planted bug is shrunk: the smaller run breaks the same promise, is much smaller, is the
same each time, and its replay command does what it says."""
import re
import subprocess
import sys

SIM = sys.argv[1]
DRAW = ("--generation", "3")  # how much smaller is a matter of the seed: these stay what they are
PLANTS = {"no_dedup": 0.5, "link_down_forgets": 0.5, "drain_forgets_recipients": 0.9}  # and at most that share of events


def run(*args):
    return subprocess.run([SIM, *args], text=True, capture_output=True, check=False)


def first_failing_seed(plant):
    out = run(*DRAW, "--plant", plant, "--seeds", "2000", "--expect-failure").stdout
    seed = re.search(r"^seed (\d+) FAILED", out, re.M)
    assert seed, f"{plant}: no seed fails"
    return seed.group(1)


def shrink(seed, plant):
    result = run(*DRAW, "--seed", seed, "--plant", plant, "--shrink", "--shrink-runs", "200", "--shrink-seconds", "600")
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def numbers(out, what):
    found = re.search(rf"^  {what} +(\d+) -> (\d+)$", out, re.M)
    assert found, f"no {what} in:\n{out}"
    return int(found.group(1)), int(found.group(2))


def main():
    for plant, share in PLANTS.items():
        seed = first_failing_seed(plant)
        out = shrink(seed, plant)
        events, fewer = numbers(out, "events")
        faults, fewer_faults = numbers(out, "faults")
        weight, less = numbers(out, "weight")
        assert fewer <= share * events and less < weight and fewer_faults <= faults, out
        was, now = re.search(r"  was: (\w+):", out).group(1), re.search(r"  is:  (\w+):", out).group(1)
        assert was == now, out
        command = re.search(r"^  replay: beeline-sim (.*) --trace$", out, re.M).group(1)
        replayed = run(*command.split())
        assert replayed.returncode == 1 and f"\n  {now}:" in replayed.stdout, replayed.stdout
        assert shrink(seed, plant) == out, "not the same twice"
        print(f"{plant}: seed {seed}, {events} events -> {fewer}, {faults} faults -> {fewer_faults}; {command}")


if __name__ == "__main__":
    main()
