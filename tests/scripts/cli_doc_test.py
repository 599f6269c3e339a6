"""docs/cli.md against the tool: runs what its console blocks show on a cluster, and compares the shape of the outputs.

A block is ```console, or ```console if /PAGE: that one is passed over when the servers have no such page. Lines that
begin with "$ " are commands; what follows is their output. A command that ends in & goes on in the background until
the end of the page; what it prints is shown when the next command has printed its own. Times, random ids, the widths
of columns and numbers that differ from run to run do not count; EXACT and EXACT_COLUMNS say which numbers do. A command that
only looks is asked again for a while when it shows something else: what it looks at may be about to come. --update writes today's outputs into the page,
of a cluster at the usual ports.
"""
import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(ROOT, "docs/cli.md")
PATIENCE = 20

# What the page's addresses are on a cluster with other ports, by role and kind; see scripts/cluster --help.
ADDRESSES = {"127.0.0.1:7480": ("router0", "admin"), "127.0.0.1:7481": ("edge0", "admin"),
             "127.0.0.1:7482": ("edge1", "admin"), "127.0.0.1:1883": ("edge0", "mqtt"), "127.0.0.1:1884": ("edge1", "mqtt")}

MASKS = [
    (r"\b\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
    (r"\bcli-[0-9a-f]{16}\b", "cli-ID"),
    (r"\b\d+ (min|h|d) \d+ (s|min|h)\b", "#"),
    (r"\b\d+(\.\d+)? ([KMGT]i)?B(?!\w)", "#"),
    (r"\b\d+(\.\d+)? (us|ms|s)\b", "#"),
    (r"\b\d+(\.\d+)?([kM]\b|%)?", "#"),
    (r"(?<!\S)-(?!\S)", "#"),  # a number that a server does not tell
    (r"(#\.)*#:#", "#"),       # addresses
    (r"\bpid #", "#"),
    (r"[ \t]+", " "),
]


# Numbers that do count, because they are the same at each run: codes, counts that a judge gives, places that follow
# from the id and the shape of the cluster.
EXACT = [
    r"0x[0-9A-F]{2}\b", r"exit code \d+", r"^\d$", r"QoS \d", r"MQTT \d\.\d",
    r'"(code|qos|bytes|slot|shard|lane)": ?\d+',
    r"slot is \d+", r"(shard|lane) \d+", r"\d+ of at most \d+ messages", r"\d+ waiting \(\d+ B\)", r"\d+ B that", r"\d+ of its own",
    r"^\d+ clients?$",
    r"^(accepted_not_delivered|clients|damaged|delivered|disconnects|duplicates|edges|misdelivered|nobody_but_delivered|"
    r"payload|published|qos|reordered|unanswered) +\d+$",
    r'^answers +\{.*\}$',
]
# Columns whose numbers do count, by their heads. Numbers end where the head ends.
EXACT_COLUMNS = {"CLIENTS", "COPIES", "REFUSED", "REFUSED/S", "DROPS", "DROPS/S", "LANE", "SHARD", "MQTT",
                 "IN FLIGHT", "PENDING", "UNSENT"}


def kept(text):
    """With letters for digits, which no mask touches."""
    return re.sub(r"\d", lambda m: "abcdefghij"[int(m[0])], text)


def keep_columns(lines):
    """Keeps the cells of exact columns in tables: lines below a line of heads, until an empty one."""
    columns, out = [], []
    for line in lines:
        cells = list(re.finditer(r"\S+(?: \S+)*", line))
        if len(cells) > 3 and cells[0][0] in ("SERVER", "EDGE", "ID"):
            columns = [h.span() for h in cells if h[0] in EXACT_COLUMNS]
        elif not line:
            columns = []
        else:
            for cell in cells:
                if any(cell.end() == end or cell.start() == start for start, end in columns):
                    line = line[:cell.start()] + kept(cell[0]) + line[cell.end():]
        out.append(line)
    return out


def shape(text):
    text = "\n".join(keep_columns(text.split("\n")))
    for pattern in EXACT:
        text = re.sub(pattern, lambda m: kept(m[0]), text, flags=re.M)
    for pattern, mask in MASKS:
        text = re.sub(pattern, mask, text)
    return [line.rstrip() for line in text.rstrip("\n").split("\n")]


def self_test():
    """What the shape must see, and what it must not."""
    table = "SERVER    ADMIN  STATE  CLIENTS  COPIES  ROUND TRIP\nedge e1   -      ready        7    1.00       85 us\n"
    for before, after, differ in [("7 ", "8 ", True), ("1.00", "2.00", True), ("85 us", "9.1 ms", False)]:
        assert (shape(table) != shape(table.replace(before, after))) == differ, (before, after)
    for before, after, differ in [("delivered   20000", "delivered   19999", True), ("duplicates  0", "duplicates  1", True),
                                  ("answer_p50_us  10", "answer_p50_us  11", False), ('"code":16', '"code":0', True),
                                  ("1 client", "2 clients", True), ("pid 12", "pid 13", False)]:
        assert (shape(before) != shape(after)) == differ, (before, after)


class Background:
    def __init__(self, command, environment):
        self.process = subprocess.Popen(["bash", "-c", "exec " + command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, env=environment)
        self.lines, self.shown = [], 0
        self.changed = threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line)
                self.changed.notify_all()

    def take(self, wanted):
        """The lines not shown yet, when there are as many as wanted or time has passed."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.lines) - self.shown >= wanted, PATIENCE)
            out, self.shown = self.lines[self.shown:], len(self.lines)
        return "".join(out)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Runner:
    def __init__(self, programs, folder, usual_ports):
        self.usual_ports = usual_ports
        self.cluster = [os.path.join(ROOT, "scripts/cluster")]
        self.options = ["--dir", folder, "--programs", programs]
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("BEELINE_")}
        self.environment["PATH"] = programs + ":" + self.environment["PATH"]
        self.map, self.code, self.background = {}, 0, []

    def call(self, *words):
        done = subprocess.run([*self.cluster, *words, *self.options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=90, check=False)
        return done.returncode, done.stdout

    def cluster_command(self, words):
        if words[0] == "up" and not self.usual_ports:
            words = [*words, "--port-base", "0"]
        self.code, out = self.call(*words)
        out = out.replace(self.options[1], "build/cluster")
        if words[0] == "up" and self.code == 0:
            self.learn_addresses(out)
        return out

    def learn_addresses(self, said):
        roles = {line.split()[0]: line for line in said.splitlines()}
        for address, (role, kind) in ADDRESSES.items():
            self.map[address] = re.search(kind + r" (\S+?),", roles[role], re.I)[1]
        self.environment["BEELINE_ADMIN"] = ",".join(self.map[a] for a, (_, kind) in ADDRESSES.items() if kind == "admin")

    def run(self, command, documented):
        """What the command prints, with what those in the background do; `documented` is what the page shows."""
        if command == "echo $?":
            return f"{self.code}\n"
        words = shlex.split(command)
        if words[0] == "scripts/cluster":
            return self.cluster_command(words[1:])
        if words[0] == "eval":
            return ""  # done by `up`
        for address, actual in self.map.items():
            command = command.replace(address, actual)
        if words[0] == "beeline" and words[1] in ("send", "listen") and "--edge" not in words:
            at = command.index(words[1]) + len(words[1])
            command = f"{command[:at]} --edge {self.map['127.0.0.1:1883']}{command[at:]}"
        if command.endswith("&"):
            self.background.append(Background(command[:-1], self.environment))
            return self.background[-1].take(1)
        done = subprocess.run(["bash", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=90, env=self.environment, check=False)
        self.code = done.returncode
        missing = len(documented) - done.stdout.count("\n")
        return done.stdout + "".join(b.take(max(0, missing)) for b in self.background)

    def has(self, page):
        """Do the router and the edges know the page?"""
        for address in ("127.0.0.1:7480", "127.0.0.1:7481"):
            if page == "/clients" and address.endswith("7480"):
                continue  # a page of edges
            try:
                urllib.request.urlopen(f"http://{self.map[address]}{page}", timeout=10).close()
            except urllib.error.HTTPError as e:
                if e.code == 404:
                    return False
        return True

    def stop(self):
        for b in self.background:
            b.stop()
        self.call("down")


LOOKS = re.compile(r"beeline (status|where|explain|clients|drops|top)\b")


def blocks(text):
    """(start, end, condition) of the inside of each console block."""
    for m in re.finditer(r"^```console(?: if (\S+))?\n(.*?)^```$", text, re.S | re.M):
        yield m.start(2), m.end(2), m[1]


def steps(block):
    """(command, lines of output) of a block."""
    found = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def same(documented, printed):
    if shape("\n".join(documented)) == shape(printed):
        return True
    # "..." on a line of its own stands for lines left out.
    if "..." not in documented:
        return False
    at = documented.index("...")
    lines = printed.splitlines()
    tail = documented[at + 1:]
    return shape("\n".join(documented[:at])) == shape("\n".join(lines[:at])) and (
        not tail or shape("\n".join(tail)) == shape("\n".join(lines[-len(tail):])))


def check(runner, text):
    wrong = passed = skipped = 0
    for start, end, condition in blocks(text):
        if condition and not runner.has(condition):
            skipped += 1
            continue
        for command, documented in steps(text[start:end]):
            printed = runner.run(command, documented)
            patience = time.monotonic() + (PATIENCE if LOOKS.match(command) else 0)
            while not same(documented, printed) and time.monotonic() < patience:
                time.sleep(0.1)
                printed = runner.run(command, documented)
            if same(documented, printed):
                passed += 1
                continue
            wrong += 1
            print(f"$ {command}\n-- docs/cli.md shows:\n" + "\n".join(documented) + f"\n-- it prints:\n{printed}\n")
    print(f"docs/cli.md: {passed} commands print what the page shows, {wrong} do not; {skipped} blocks passed over")
    return 1 if wrong or passed == 0 else 0


def update(runner, text):
    out, at = "", 0
    for start, end, condition in blocks(text):
        out += text[at:start]
        at = end
        if condition and not runner.has(condition):
            out += text[start:end]
            continue
        for command, documented in steps(text[start:end]):
            printed = runner.run(command, documented)
            if "..." in documented:
                head = documented.index("...")
                lines = printed.splitlines()
                tail = len(documented) - head - 1
                printed = "\n".join([*lines[:head], "...", *lines[len(lines) - tail:]]) + "\n"
            out += f"$ {command}\n{printed}"
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(out + text[at:])
    return 0


def main():
    p = argparse.ArgumentParser()
    p.add_argument("programs")
    p.add_argument("--update", action="store_true")
    a = p.parse_args()
    self_test()
    with open(PAGE, encoding="utf-8") as f:
        text = f.read()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="beeline-doc-") as folder:
        runner = Runner(os.path.abspath(a.programs), os.path.join(folder, "cluster"), a.update)
        try:
            return (update if a.update else check)(runner, text)
        finally:
            runner.stop()
            print(f"took {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    sys.exit(main())
