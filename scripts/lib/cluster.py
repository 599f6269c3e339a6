"""A cluster on loopback for scripts: starts programs, waits for what they print, reads their statistics.

Every process that it starts it ends itself, by pid, however the script ends.
"""
import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request


class Failure(Exception):
    """What went wrong, in one line."""


def check(true, what):
    if not true:
        raise Failure(what)


def eventually(f, what, seconds=20):
    """What f returned, once that is true."""
    end = time.monotonic() + seconds
    while not (found := f()):
        check(time.monotonic() < end, "it did not come to be: " + (what() if callable(what) else what))
        time.sleep(0.05)
    return found


class Program:
    """A process whose output is kept; `ports` are what it printed of where it listens."""

    def __init__(self, name, command, log_folder):
        self.name = name
        self.lines = []
        self.log = open(os.path.join(log_folder, name + ".log"), "w")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.log.write(line)
            self.log.flush()
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.lines.append(None)
            self.changed.notify_all()

    def wait_for(self, pattern, seconds=20):
        """The match of the first line with the pattern."""
        end = time.monotonic() + seconds
        at = 0
        with self.changed:
            while True:
                for line in self.lines[at:]:
                    if line is None:
                        raise Failure(f"{self.name} ended early; see {self.log.name}")
                    if found := re.search(pattern, line):
                        return found
                at = len(self.lines)
                if not self.changed.wait(max(0, end - time.monotonic())) and time.monotonic() >= end:
                    raise Failure(f"{self.name} did not print '{pattern}' in {seconds} s; see {self.log.name}")

    def stop(self, how=signal.SIGTERM, seconds=10):
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode


class Cluster:
    def __init__(self, programs):
        self.programs = programs
        self.folder = tempfile.mkdtemp(prefix="beeline-")
        self.started = []

    def start(self, name, *command):
        p = Program(name, list(command), self.folder)
        self.started.append(p)
        return p

    def program(self, name):
        return os.path.join(self.programs, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for p in reversed(self.started):
            p.stop()


def once(pairs):
    """An object of JSON, whose keys must differ: a parser would silently take the last."""
    page = dict(pairs)
    if len(page) != len(pairs):
        raise Failure("told twice in one object: " + ", ".join({k for k, _ in pairs if [p for p, _ in pairs].count(k) > 1}))
    return page


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return json.load(answer, object_pairs_hook=once)


def run(*command, seconds=30):
    """Output of a command, standard error with it."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds)
    return done.returncode, done.stdout
