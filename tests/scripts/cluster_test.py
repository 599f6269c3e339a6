"""scripts/cluster from the outside: what it starts, says, kills and leaves alone."""
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import types
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "scripts/lib"))
import cluster_command  # noqa: E402
PROGRAMS = sys.argv.pop(1)


class ClusterTest(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="beeline-cluster-")
        self.folder = os.path.join(self.temporary.name, "cluster")
        self.addCleanup(self.temporary.cleanup)
        self.addCleanup(self.run_it, "down")

    def command(self, *words):
        return [os.path.join(ROOT, "scripts/cluster"), *words, "--dir", self.folder, "--programs", PROGRAMS]

    def run_it(self, *words):
        return subprocess.run(self.command(*words), capture_output=True, text=True, timeout=90, check=False)

    def holds(self, *words):
        done = self.run_it(*words)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def fails(self, code, *words):
        """The one line that it says."""
        done = self.run_it(*words)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        return done.stderr

    def state(self):
        with open(os.path.join(self.folder, "cluster.json"), encoding="utf-8") as f:
            return json.load(f)

    def test_a_life(self):
        said = self.holds("up", "--routers", "2", "--edges", "2", "--shards", "1", "--port-base", "0")
        for role in ("router0", "router1", "edge0", "edge1"):
            self.assertIn(role, said)
        status = json.loads(self.holds("status", "--json"))
        self.assertEqual([s["stats"].get("slots") for s in status["servers"]], ["0-2047", "2048-4095", None, None])
        self.assertEqual(status["remarks"], [])
        self.assertRegex(self.fails(1, "up"), r"is up already in \S+; scripts/cluster down --dir \S+ ends it")
        admins = [r["admin"] for r in self.state().values()]
        self.assertEqual(self.holds("env"), f"export BEELINE_ADMIN={','.join(admins)}\n")

        self.assertIn("edge1 killed", self.holds("kill", "edge1"))
        self.assertIn("does not run", self.fails(1, "kill", "edge1"))
        status = self.run_it("status")
        self.assertEqual(status.returncode, 1)
        self.assertIn(f"{admins[3]} is not reachable", status.stdout)
        self.holds("restart", "edge1")
        pid = self.state()["router0"]["pid"]
        self.holds("restart", "router0")
        self.assertNotEqual(self.state()["router0"]["pid"], pid)
        self.holds("status")
        self.assertIn("ready", self.holds("logs", "edge1"))
        self.assertIn("edge0.log", self.holds("logs"))
        self.assertIn("there is no edge9", self.fails(1, "kill", "edge9"))

        pids = [r["pid"] for r in self.state().values()]
        self.holds("down")
        for pid in pids:
            self.assertFalse(runs(pid))
        self.assertIn("no cluster is up", self.fails(1, "down"))
        self.assertIn("no cluster is up", self.fails(1, "status"))

    def test_a_process_that_is_not_ours_is_left_alone(self):
        self.holds("up", "--edges", "1", "--port-base", "0")
        other = subprocess.Popen(["sleep", "60"])
        try:
            roles = self.state()
            pid = roles["edge0"]["pid"]
            roles["edge0"]["pid"] = other.pid  # as if the system had given the number to another
            with open(os.path.join(self.folder, "cluster.json"), "w", encoding="utf-8") as f:
                json.dump(roles, f)
            self.assertIn("does not run", self.fails(1, "kill", "edge0"))
            roles["edge0"]["pid"] = pid
            with open(os.path.join(self.folder, "cluster.json"), "w", encoding="utf-8") as f:
                json.dump(roles, f)
            self.holds("down")
            self.assertIsNone(other.poll())
        finally:
            other.kill()
            other.wait()

    def test_a_port_in_use_is_named_and_nothing_stays(self):
        for offset in (80, 1):  # of the router's statistics; of its second shard's link
            base = free_base()
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("127.0.0.1", base + offset))
                s.listen()
                self.assertIn(f"port {base + offset} is in use", self.fails(1, "up", "--port-base", str(base)))
            self.assertFalse(os.path.exists(os.path.join(self.folder, "cluster.json")))

    def test_a_program_that_ends_is_named_with_its_last_words(self):
        self.holds("up", "--edges", "1", "--port-base", "0")
        link = self.state()["router0"]["command"]
        link = int(link[link.index("--listen") + 1].rpartition(":")[2])
        self.holds("kill", "router0")
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", link))
            s.listen()
            said = self.fails(1, "restart", "router0")
            self.assertIn("router0 ended: ", said)
            self.assertIn("Address already in use", said)
        self.holds("restart", "router0")

    def test_a_command_that_has_to_wait_for_another_says_so(self):
        self.holds("up", "--edges", "1", "--port-base", "0")
        with open(os.path.join(self.folder, "lock"), "a+", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            waiting = subprocess.Popen(self.command("kill", "edge0"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.addCleanup(waiting.stdout.close)
            self.addCleanup(waiting.stderr.close)
            self.assertIn("waiting: up (pid ", waiting.stderr.readline())
            self.assertIsNone(waiting.poll())
        self.assertEqual(waiting.wait(30), 0)
        self.assertEqual(waiting.stdout.read(), "edge0 killed\n")

    def test_a_process_that_was_started_when_up_was_killed_is_found(self):
        # Killed with the process started, and its pid not written down yet.
        code = ("import os, sys; sys.path.insert(0, sys.argv.pop(1)); import cluster_command as c; "
                "c.began = lambda pid: os.kill(os.getpid(), 9); c.main()")
        done = subprocess.run([sys.executable, "-c", code, os.path.join(ROOT, "scripts/lib"), "--root", ROOT, "up", "--dir",
                               self.folder, "--programs", PROGRAMS, "--port-base", "0"], timeout=60, check=False)
        self.assertEqual(done.returncode, -signal.SIGKILL)
        role = self.state()["router0"]
        self.assertIsNone(role["pid"])
        self.assertIn("is up already", self.fails(1, "up"))
        started = [pid for pid in filter(str.isdigit, os.listdir("/proc")) if has_mark(pid, role["mark"])]
        self.assertEqual(len(started), 1)
        self.holds("down")
        self.assertFalse(runs(started[0]))

    def test_the_example_of_the_help_works(self):
        self.holds("up", "--port-base", "0")
        text = self.holds("up", "--help").partition("examples:\n")[2]
        lines = [line for line in text.splitlines() if "build/release/beeline " in line]
        self.assertEqual(len(lines), 3, text)
        script = "\n".join(lines + ["wait"]).replace("build/release/", PROGRAMS + "/")
        for number in (0, 1):
            self.assertIn(f"127.0.0.1:{1883 + number}", script)
            script = script.replace(f"127.0.0.1:{1883 + number}", self.state()[f"edge{number}"]["mqtt"])
        usual = {k: v for k, v in os.environ.items() if not k.startswith("BEELINE_")}
        done = subprocess.run(["bash", "-ec", script], capture_output=True, text=True, timeout=60, check=False,
                              env=usual | {"BEELINE_ADMIN": self.state()["router0"]["admin"]})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(": hello\n", done.stdout)

    def test_a_build_is_told_only_when_it_takes_work_or_fails(self):
        root = os.path.join(self.temporary.name, "root")
        os.makedirs(os.path.join(root, "scripts"))
        os.makedirs(os.path.join(root, "build/release"))
        shutil.copy(os.path.join(ROOT, "scripts/cluster"), os.path.join(root, "scripts"))
        os.symlink(os.path.join(ROOT, "scripts/lib"), os.path.join(root, "scripts/lib"))
        built = os.path.join(root, "scripts/build")
        asked = [os.path.join(root, "scripts/cluster"), "status", "--dir", self.folder]
        nothing = "[0/2] Re-checking globbed directories...\nninja: no work to do.\n"
        last = "scripts/build: release built in 1 s\n"
        work = "[1/2] Building CXX object x.o\n"
        for lines, code, told in ((nothing + last, 0, ""), (work + last, 0, work + last),
                                  (work + "FAILED: x.o\n", 1, work + "FAILED: x.o\n"),
                                  ("scripts/build: ninja is not installed\n", 1, "scripts/build: ninja is not installed\n")):
            with open(built, "w", encoding="utf-8") as f:
                f.write(f"#!/bin/sh\ncat <<'END'\n{lines}END\nexit {code}\n")
            os.chmod(built, 0o755)
            done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 1)  # no cluster is up
            self.assertEqual(done.stdout, "")
            said = "" if code else "scripts/cluster: no cluster is up; scripts/cluster up starts one\n"
            self.assertEqual(done.stderr, told + said)

    def test_mistakes(self):
        for words in (["up", "--edges", "x"], ["up", "--wrong"], ["kill"], ["up", "--routers", "16", "--shards", "16"]):
            self.fails(2, *words)
        for words in ([], ["wrong"]):
            done = subprocess.run([os.path.join(ROOT, "scripts/cluster"), *words], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2)
        self.assertIn("examples:", self.holds("up", "--help"))


def runs(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def free_base():
    return cluster_command.choose_base(types.SimpleNamespace(port_base=0, routers=1, shards=2, edges=2))


def has_mark(pid, mark):
    try:
        with open(f"/proc/{pid}/environ", "rb") as f:
            return mark.encode() in f.read()
    except OSError:
        return False


if __name__ == "__main__":
    unittest.main(verbosity=2)
