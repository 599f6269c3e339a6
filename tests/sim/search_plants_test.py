#!/usr/bin/env python3
"""The exhaustive search finds planted bugs, and its replay command repeats what it found."""
import re
import subprocess
import sys

SEARCH = sys.argv[1]
# With one fault, or two, frames in order. (What the others need is not in this world: limits, time, more clients.)
ONE_FAULT = """duplicate_not_answered later_as_nobody number_restarts wrong_order link_down_forgets dedup_without_life
            kicked_stays_registered answer_when_forwarded no_reregistration collision_overwrites
            takeover_keeps_old""".split()
PLANTS = [(plant, 1) for plant in ONE_FAULT] + [("ack_before_deliver", 2)]


def run(*args):
    return subprocess.run([SEARCH, *args], text=True, capture_output=True, check=False)


def main():
    for plant, faults in PLANTS:
        print(f"{plant:26} ", end="", flush=True)
        found = run("--faults", str(faults), "--deviations", "0", "--seconds", "600", "--plant", plant, "--expect-failure")
        assert found.returncode == 0, f"{plant}: not found\n{found.stdout}{found.stderr}"
        broken = re.search(r"^  (\w+: .*)$", found.stdout, re.M).group(1)
        choices = re.search(r"--replay ([0-9,]+)$", found.stdout, re.M).group(1)
        promise = broken.split(":")[0]
        again = run("--plant", plant, "--replay", choices, "--expect-failure")
        assert again.returncode == 0 and f"\n{promise}:" in again.stdout, f"{plant}: {broken}\n{again.stdout[-500:]}"
        print(broken[:90])


if __name__ == "__main__":
    main()
