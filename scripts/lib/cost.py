"""What a message costs: see scripts/cost."""
import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import Cluster, Failure, get, run  # noqa: E402

MESSAGES = 64000
# A step: what it is, and the functions whose inclusive instructions it is made of (less those of others).
STEPS = [
    ("origin: PUBLISH decoded", ["mqtt::decode_publish"], []),
    ("origin: address, frame, window, stamp, queue (on_publish without decoding)", ["lane::on_publish"],
     ["mqtt::decode_publish"]),
    ("shard: parse, look up, patch, queue; pass the answer on", ["router::shard::on_bytes"], []),
    ("owner: frame to session, identity (on_message without delivering)", ["endpoint<beeline::edge::lane>::on_message"],
     ["lane::deliver("]),
    ("owner: PUBLISH to the client", ["lane::deliver("], []),
    ("origin: answer to message, PUBACK", ["outbox::on_answer(", "lane::on_outcome("], []),
    ("owner: PUBACK of the recipient", ["lane::on_puback("], []),
    ("all of both lanes", ["lane::on_bytes("], []),
    ("all of the shard", ["router::shard::on_bytes"], []),
]


def profile(program, qos, messages):
    """Inclusive instructions by function."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=" + out, program, str(qos), str(messages)],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        text = subprocess.run(["callgrind_annotate", "--inclusive=yes", "--show-percs=no", "--threshold=100", out],
                              check=True, stdout=subprocess.PIPE, text=True).stdout
    cost = {}
    for line in text.splitlines():
        if found := re.match(r"\s*([\d,]+)\s+\S*?:(.*)$", line):
            name = found[2].split(" [")[0]
            cost[name] = max(cost.get(name, 0), int(found[1].replace(",", "")))
    return cost


def documented(path):
    """The table of docs/performance.md: instructions by step, at QoS 0 and 1."""
    with open(path, encoding="utf-8") as f:
        rows = re.findall(r"^\| ([^|]+?) \| ([\d,]+|–) \| ([\d,]+) \|$", f.read(), re.M)
    return {step: [int(v.replace(",", "").replace("–", "0")) for v in cells] for step, *cells in rows}


def check(measured, path):
    """What has grown by more than a twentieth since it was written down."""
    known = documented(path)
    grown = []
    for step, values in measured.items():
        name = re.sub(r" \(.*\)$", "", step)
        if name not in known:
            raise Failure(f"{path} has no row '{name}'")
        for qos, (new, old) in enumerate(zip(values, known[name])):
            if new > 1.05 * old + 2:
                grown.append(f"{name}, QoS {qos}: {new:.0f} instructions, {old} in {path}")
    return grown


def instructions(program):
    table = {}
    for qos in (0, 1):
        long, short = profile(program, qos, 2 * MESSAGES), profile(program, qos, MESSAGES)

        def spent(name):
            if name.startswith("mqtt::"):  # also used by the client of the test: only the server's share
                return sum(v for k, v in long.items() if "beeline::" + name in k) / 2 / MESSAGES / 1.0
            return sum(v - short.get(k, 0) for k, v in long.items() if "beeline::" in k and name in k) / MESSAGES

        def decode():  # the client of the test decodes each message too
            whole = spent("mqtt::decode_publish")
            client = sum(v for k, v in long.items() if "beeline::test::decode_publish" in k) / 2 / MESSAGES
            return whole - client

        for step, plus, minus in STEPS:
            value = sum(decode() if "decode_publish" in n else spent(n) for n in plus)
            value -= sum(decode() if "decode_publish" in n else spent(n) for n in minus)
            table.setdefault(step, []).append(value)
    print("| instructions a message | QoS 0 | QoS 1 |\n| --- | --- | --- |")
    for step, (q0, q1) in table.items():
        print(f"| {step} | {q0:.0f} | {q1:.0f} |")
    return table


def cpu(stats):
    return stats["process"]["cpu_user_seconds"] + stats["process"]["cpu_system_seconds"]


SCRAPER = """
import os, re, socket, sys, time
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
to = [socket.create_connection(("127.0.0.1", int(p)), 5) for p in sys.argv[1:]]
buffer = memoryview(bytearray(1 << 20))
def take(c):
    have, wanted = 0, None
    while wanted is None or have < wanted:
        n = c.recv_into(buffer[have:])
        if n == 0: sys.exit("a server closed the connection")
        have += n
        if wanted is None and (end := bytes(buffer[:min(have, 1024)]).find(b"\\r\\n\\r\\n")) >= 0:
            head = bytes(buffer[:end])
            if not head.startswith(b"HTTP/1.1 200"): sys.exit(head.decode())
            wanted = end + 4 + int(re.search(rb"Content-Length: (\\d+)", head)[1])
work = [(c, page) for page in (b"/stats", b"/metrics") for c in to]
at, k = time.monotonic(), 0
asked = None
while True:
    if asked: take(asked)  # came long ago
    asked, page = work[k % len(work)]
    asked.sendall(b"GET " + page + b" HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    k, at = k + 1, at + 0.1 / len(work)
    time.sleep(max(0, at - time.monotonic()))
"""


class Scraper:
    """Asks for /stats and /metrics of each program ten times a second, one page after the other. It stands for one on
    a machine of its own, and only what it causes in the servers should count: so it runs only when nothing else wants
    the processor, and does next to nothing (a loop of 2 ms ten times a second alone moves the p99 by a third)."""

    def __init__(self, admins):
        self.command = [sys.executable, "-c", SCRAPER, *map(str, admins)]

    def __enter__(self):
        self.process = subprocess.Popen(self.command)

    def __exit__(self, *_):
        ended = self.process.poll() is not None
        self.process.kill()
        self.process.wait()
        if ended:
            raise Failure("the scraper ended early")


def under_load(programs, qos, rate, runs, scraped=False):
    rows = []
    for _ in range(runs):
        with Cluster(programs) as c:
            router = c.start("router", c.program("beeline-router"), "--listen", "127.0.0.1:0", "--shards", "1", "--admin",
                             "127.0.0.1:0", "--warm-up", "200ms")
            first = router.wait_for(r"shard 0 listening at (\S+)")[1]
            admins = [int(router.wait_for(r"admin at http://\S+:(\d+)")[1])]
            edges = []
            for k in (1, 2):
                e = c.start(f"edge{k}", c.program("beeline-edge"), "--name", f"e{k}", "--lanes", "1", "--router", first,
                            "--mqtt", "127.0.0.1:0", "--admin", "127.0.0.1:0")
                edges += ["--edge", e.wait_for(r"listening for MQTT at (\S+)")[1]]
                admins.append(int(e.wait_for(r"admin at http://\S+:(\d+)")[1]))
            while get(admins[0], "/stats")["totals"]["warming_up"]:
                time.sleep(0.05)
            before = [cpu(get(a, "/stats")) for a in admins]
            messages = 400_000 if rate == 0 else rate * 5
            with Scraper(admins) if scraped else contextlib.nullcontext():
                code, out = run(c.program("beeline"), "bench", *edges, "--clients", "200", "--window", "16", "--qos", str(qos),
                                "--messages", str(messages), "--rate", str(rate), "--other-edges-only", "--json",
                                seconds=120)
            if code:
                raise Failure("the load did not hold: " + out)
            r = json.loads(out)
            after = [cpu(get(a, "/stats")) for a in admins]
            used = [(b - a) * 1e6 / messages for a, b in zip(before, after)]
            rows.append([r["messages_per_second"], used[0], used[1] + used[2], r["delivery_p50_us"] / 1000,
                         r["delivery_p99_us"] / 1000])
    return [statistics.median(column) for column in zip(*rows)]


def scraping(programs, pairs):
    """The same load with and without a scraper, in turns, so that what the machine does besides meets both."""
    quiet, scraped = [], []
    for k in range(pairs):
        for on in (False, True) if k % 2 == 0 else (True, False):
            row = under_load(programs, 1, 20_000, 1, on)
            (scraped if on else quiet).append(row)
    print(f"QoS 1, 20 k/s; /stats and /metrics of router and two edges, each 10 times a second; medians of {pairs}\n")
    print("| | p50 ms | p99 ms | least and most p99 | CPU µs a message |\n| --- | --- | --- | --- | --- |")
    for name, rows in (("not asked", quiet), ("asked", scraped)):
        p99 = sorted(r[4] for r in rows)
        median = [statistics.median(column) for column in zip(*rows)]
        print(f"| {name} | {median[3]:.3f} | {median[4]:.3f} | {p99[0]:.3f}, {p99[-1]:.3f} | {median[1] + median[2]:.1f} |")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--check", metavar="FILE", help="only the instructions, and whether they have grown beyond those in FILE")
    p.add_argument("--scraping", type=int, metavar="PAIRS", default=0)
    p.add_argument("--programs", required=True)
    p.add_argument("--runs", type=int, default=3)
    a = p.parse_args()
    if a.scraping:
        scraping(a.programs, a.scraping)
        return 0
    table = instructions(os.path.join(a.programs, "beeline-path"))
    if a.check:
        grown = check(table, a.check)
        for line in grown:
            print("grown by more than 5 %: " + line, file=sys.stderr)
        return 1 if grown else 0
    print(f"\nmedians of {a.runs} runs: 200 clients on two edges of one lane, one shard, payload 100 bytes\n")
    print("| load | messages/s | router µs | both edges µs | all µs | p50 ms | p99 ms |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for qos, rate in ((0, 50_000), (1, 20_000), (1, 50_000), (1, 0)):
        rps, router, edges, p50, p99 = under_load(a.programs, qos, rate, a.runs)
        name = f"QoS {qos}, " + (f"{rate // 1000} k/s" if rate else "flat out")
        print(f"| {name} | {rps:.0f} | {router:.2f} | {edges:.2f} | {router + edges:.2f} | {p50:.2f} | {p99:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
