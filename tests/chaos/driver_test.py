#!/usr/bin/env python3
"""What the driver of chaos runs leaves behind when it is killed (nothing), and what its parts say to misuse.

usage: driver_test.py BUILD_FOLDER
"""
import os
import signal
import subprocess
import sys
import tempfile
import time

PROGRAMS = os.path.abspath(sys.argv[1])
DRIVER, CHECKER = (os.path.join(PROGRAMS, name) for name in ("beeline-chaos", "beeline-chaos-check"))
SOAK = os.path.join(os.path.dirname(__file__), "..", "..", "scripts", "soak")
SCRIPT = os.path.join(os.path.dirname(__file__), "..", "..", "scripts", "lib", "chaos.py")


def expect(true, what):
    if not true:
        sys.exit("FAILED: " + what)
    print("ok:", what)


def run(*words):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    return done.returncode, done.stdout


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return [int(word) for word in f.read().split()]
    except FileNotFoundError:
        return []


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(f, seconds):
    end = time.monotonic() + seconds
    while not f() and time.monotonic() < end:
        time.sleep(0.05)
    return f()


def killed_driver_leaves_nothing(folder):
    driver = subprocess.Popen([DRIVER, "--programs", PROGRAMS, "--out", folder, "--seconds", "60", "--rate", "100",
                               "--faults", "0"])
    try:
        expect(eventually(lambda: len(children(driver.pid)) == 4, 60), "a router and three edges are started")
        started = children(driver.pid)
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
        expect(eventually(lambda: not any(alive(p) for p in started), 10), "they end with a driver that is killed")
    finally:
        if driver.poll() is None:
            driver.kill()
            driver.wait()


def misuse(folder):
    expect(run(DRIVER)[0] == 2, "the driver without options says usage")
    unknown = run(DRIVER, "--programs", PROGRAMS, "--out", folder, "--only", "no_such_fault")
    expect(unknown[0] == 2, "an unknown fault too")
    unknown = run(DRIVER, "--programs", PROGRAMS, "--out", folder, "--scenario", "no_such_scenario")
    expect(unknown[0] == 2 and "no scenario" in unknown[1], "an unknown scenario too")
    expect("f3_edge_kill" in run(DRIVER, "--list-scenarios")[1], "the driver lists its scenarios")
    expect(run(SOAK, "--no-such-option")[0] == 2, "the soak says usage")
    expect(run(CHECKER)[0] == 2, "the checker without a folder says usage")
    expect(run(CHECKER, os.path.join(folder, "nothing"))[0] == 2, "a folder without a run cannot be judged")
    expect(run(sys.executable, SCRIPT, "--programs", PROGRAMS, "--no-such-option")[0] == 2, "the script says usage")


def too_little_load_is_void(folder):
    # A turn of the driver tries a twentieth of a second's messages, up to eight times each: at a higher rate it reads
    # nothing for seconds under TSan.
    code, said = run(DRIVER, "--programs", PROGRAMS, "--out", folder, "--seconds", "2", "--rate", "1000000",
                     "--clients", "4", "--faults", "0")
    expect(code == 0, f"a run without faults is written {said}")
    code, said = run(CHECKER, folder)
    expect(code == 3 and "too little load" in said, "what nobody can answer in time makes it void: " + said.strip())


with tempfile.TemporaryDirectory(prefix="beeline-chaos-test-") as top:
    misuse(top)
    killed_driver_leaves_nothing(os.path.join(top, "killed"))
    too_little_load_is_void(os.path.join(top, "void"))
