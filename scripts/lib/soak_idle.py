"""As many idle and slow MQTT clients as there are descriptors, over several edges, with churn: memory stays where it is
(scripts/soak --idle, docs/chaos.md).

One load process and one edge each have as many clients as they have descriptors to spare. Clients connect, ping, and
one in fifty is slow: it sends a message every 10 s and reads once a second. Phases: all connect; each sends to the next
one, so that all have what a session has that was ever used; churn, sampled; no churn, rest; all leave.

Exit codes: 0 all held, 1 not, 2 usage.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import time

import chaos_picture
import figures
from cluster import Cluster, Failure, check, eventually, get

SPARE = 500         # descriptors of an edge that are no clients, and ends of connections that wait to be closed
CHURN_LEAST = 0.8   # of those that were to leave
GROWTH_MAX = 1 << 20  # bytes, of the last third of the churn beyond the middle third
IDLE = {"router": ("queue_bytes", "socket_rest_bytes"),
        "edge": ("queue_bytes", "waiting_bytes", "pending_bytes", "unanswered_bytes", "prelogin_bytes",
                 "socket_rest_bytes")}


class Clients:
    """One process of idle clients, obeying lines."""

    def __init__(self, programs, number, count, edges):
        words = [os.path.join(programs, "beeline-idle-clients"), "--prefix", f"i{number}-", "--clients", str(count),
                 "--from", f"127.9.{number}.1"]
        for e in edges:
            words += ["--edge", f"127.0.0.1:{e}"]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self):
        line = self.process.stdout.readline()
        check(line, "a process of clients has ended")
        return line.strip()

    def tell(self):
        self.say("tell")
        return json.loads(self.hear())

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Server:
    def __init__(self, program, admin, mqtt=None):
        self.program, self.admin, self.mqtt = program, admin, mqtt
        self.name, self.kind = program.name, "edge" if mqtt else "router"

    def stats(self):
        return get(self.admin, "/stats")

    def rss(self):
        with open(f"/proc/{self.program.process.pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * resource.getpagesize()

    def idle_bytes(self):
        """The fewest of some looks: a heartbeat that is just being written has its chunk too."""
        looks = []
        for _ in range(10):
            totals = self.stats()["totals"]
            looks.append(sum(totals[field] for field in IDLE[self.kind]))
            time.sleep(0.03)
        return min(looks)

    def spare_descriptors(self):
        page = self.stats()
        return page["process"]["open_fds"] - page["totals"]["sockets"]


def start(cluster, edges):
    router = cluster.start("router", cluster.program("beeline-router"), "--listen", "127.0.0.1:0", "--shards", "2",
                           "--admin", "127.0.0.1:0", "--warm-up", "300ms")
    first = router.wait_for(r"shard 0 listening at (\S+)")[1]
    servers = [Server(router, int(router.wait_for(r"admin at http://\S+:(\d+)")[1]))]
    for k in range(1, edges + 1):
        e = cluster.start(f"e{k}", cluster.program("beeline-edge"), "--name", f"e{k}", "--router", first, "--mqtt",
                          "127.0.0.1:0", "--admin", "127.0.0.1:0", "--lanes", "1")
        mqtt = int(e.wait_for(r"listening for MQTT at \S+:(\d+)")[1])
        servers.append(Server(e, int(e.wait_for(r"admin at http://\S+:(\d+)")[1]), mqtt))
    eventually(lambda: all(s.stats()["ready"] for s in servers), "all are ready", 30)
    return servers


def online(servers):
    return sum(e["clients"] for e in get(servers[0].admin, "/edges")["edges"])


def highest(samples, name, from_, to):
    return max(s["rss_bytes"] for s in samples if s["name"] == name and from_ <= s["at_us"] / 1e6 <= to)


class Run:
    def __init__(self, o):
        self.o, self.samples, self.figures = o, [], []
        self.clock = time.monotonic()

    def at(self):
        return time.monotonic() - self.clock

    def figure(self, name, value, unit="", least=None, most=None):
        kept = (least is None or value >= least) and (most is None or value <= most)
        self.figures.append({"name": name, "value": value, "unit": unit, "least": least, "most": most, "kept": kept})

    def sample(self, servers):
        for s in servers:
            self.samples.append({"at_us": self.at() * 1e6, "name": s.name, "rss_bytes": s.rss(), "fds": 0})

    def go(self, cluster, crowds):
        o = self.o
        servers = start(cluster, o.edges)
        empty = {s.name: (s.rss(), s.idle_bytes(), s.spare_descriptors()) for s in servers}
        for k in range(o.edges):
            crowds.append(Clients(o.programs, k + 1, o.clients, [s.mqtt for s in servers[1:]]))
        begin = self.at()
        for c in crowds:
            check(c.hear() == "connected", "clients do not connect")
        wanted = o.clients * len(crowds)
        self.figure("clients", wanted)
        self.figure("connected within", self.at() - begin, "s")
        eventually(lambda: online(servers) == wanted, "the router knows all clients", 30)
        full = {s.name: (s.rss(), s.idle_bytes()) for s in servers}
        edges = sum(full[s.name][0] - empty[s.name][0] for s in servers[1:])
        self.figure("of an edge's memory, a client", edges / wanted, "B")
        for c in crowds:
            c.say("greet")
        for c in crowds:
            check(c.hear() == "greeted", "clients do not greet each other")
        used = sum(s.rss() - full[s.name][0] for s in servers[1:])
        self.figure("the same when each has sent and received a message", (edges + used) / wanted, "B")
        self.figure("of the router's memory, a client", (full["router"][0] - empty["router"][0]) / wanted, "B")
        self.churn(servers, crowds)
        self.rest(servers, crowds, full, empty, wanted)

    def churn(self, servers, crowds):
        o = self.o
        for c in crowds:
            c.say(f"churn {o.clients * o.churn / 100 / 60}")
            c.say("slow on")
        begin = self.at()
        while self.at() - begin < o.seconds:
            self.sample(servers)
            time.sleep(min(10, o.seconds / 30))
        third = o.seconds / 3
        for s in servers:
            middle = highest(self.samples, s.name, begin + third, begin + 2 * third)
            last = highest(self.samples, s.name, begin + 2 * third, self.at())
            self.figure(f"{s.name}: highest memory in the middle third", middle / (1 << 20), "MiB")
            self.figure(f"{s.name}: that of the last third, beyond it", max(0, last - middle) / (1 << 20), "MiB", None,
                        None if o.any_memory else GROWTH_MAX / (1 << 20))
        for c in crowds:
            c.say("churn 0")
            c.say("slow off")

    def rest(self, servers, crowds, full, empty, wanted):
        eventually(lambda: all(c.tell()["live"] == self.o.clients for c in crowds), "all are connected again", 30)
        eventually(lambda: online(servers) == wanted, "the router knows all clients again", 30)
        told = [c.tell() for c in crowds]
        self.figure("connections lost or refused", sum(t["lost"] + t["refused"] for t in told), "", None, 0)
        due = wanted * self.o.churn / 100 * self.o.seconds / 60
        self.figure("clients that left and came back", sum(t["left"] for t in told), "", CHURN_LEAST * due)
        self.figure("messages of slow clients", sum(t["published"] for t in told), "", 1)
        for t in told:
            if t["why"]:
                print("  lost or refused:", t["why"])
        for s in servers:
            eventually(lambda s=s: s.idle_bytes() == full[s.name][1],
                       lambda s=s: f"{s.name} has {s.idle_bytes()} B in queues and windows, {full[s.name][1]} before", 40)
        for c in crowds:
            c.say("end")
        for c in crowds:
            check(c.process.wait(60) == 0, "a process of clients ended badly")
        eventually(lambda: online(servers) == 0, "nobody is online when all have left", 30)
        for s in servers:
            eventually(lambda s=s: s.idle_bytes() == empty[s.name][1], f"{s.name} is as empty as at its start", 30)
            self.figure(f"{s.name}: descriptors beside its sockets", s.spare_descriptors(), "", empty[s.name][2],
                        empty[s.name][2])


def limit_of_descriptors():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def parse():
    p = argparse.ArgumentParser(prog="scripts/soak --idle")
    p.add_argument("--programs", required=True)
    p.add_argument("--seconds", type=float, default=1800, help="of churn")
    p.add_argument("--edges", type=int, default=3)
    p.add_argument("--clients", type=int, help="of each edge on average (default: what descriptors allow)")
    p.add_argument("--churn", type=float, default=5, help="percent of the clients that leave and come back in a minute")
    p.add_argument("--keep", metavar="DIR")
    p.add_argument("--any-memory", action="store_true", help="memory is not judged: a sanitizer keeps what is freed")
    o = p.parse_args()
    limit = limit_of_descriptors()
    # Edges are chosen at random: some get more than the average.
    o.clients = o.clients or int((limit - SPARE) * 0.98)
    if o.clients < 1:
        p.error(f"{limit} file descriptors are too few: {SPARE} are not for clients; raise the limit (ulimit -n)")
    return o


def main():
    o = parse()
    run, crowds = Run(o), []
    try:
        with Cluster(o.programs) as cluster:
            run.go(cluster, crowds)
    except (Failure, OSError) as e:
        print(f"FAILED: {e}")
        return 1
    finally:
        for c in crowds:
            c.stop()
        figures.show(run.figures)
        if o.keep:
            os.makedirs(o.keep, exist_ok=True)
            with open(os.path.join(o.keep, "idle.json"), "w", encoding="utf-8") as f:
                json.dump({"figures": run.figures, "samples": run.samples}, f)
            chaos_picture.write_memory(run.samples, os.path.join(o.keep, "idle.svg"))
    return 0 if all(f["kept"] for f in run.figures) else 1


if __name__ == "__main__":
    sys.exit(main())
