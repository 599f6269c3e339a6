"""What messages cost, side by side with the floor and the peers: see scripts/bench."""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from bench_picture import write_bars  # noqa: E402
from bench_systems import OURS, PEERS, BeelineAlone, is_there  # noqa: E402
from cluster import Failure  # noqa: E402


class Figure:
    """A figure to reach: at most (or, `least`, at least) so much, or within a ratio to the floor of the same run."""

    def __init__(self, key, unit, reach, least=False, floor=None, scale=1.0):
        self.key, self.unit, self.reach, self.least, self.floor, self.scale = key, unit, reach, least, floor, scale

    def of(self, figures):
        return figures[self.key] / self.scale


class Workload:
    def __init__(self, name, words, options, figures, qos=0, alone=False, payload=100):
        self.name, self.words, self.figures, self.qos, self.alone = name, words, figures, qos, alone
        self.options = [*options, "--qos", str(qos), "--payload", str(payload)]


def us(reach, floor=None):
    return Figure("server_us", "µs", reach, floor=floor)


def per_second(reach, floor=None):
    return Figure("messages_per_second", "/s", reach, least=True, floor=floor)


def ms(key, reach):
    return Figure(key, "ms", reach, scale=1000)


TRUNK = ["--workload", "trunk"]
CROWD = ["--workload", "crowd"]
WORKLOADS = [
    Workload("trunk", "trunk, 100 B", TRUNK, [us(0.30, 2.0), per_second(4e6)]),
    Workload("trunk-16", "trunk, 16 B", TRUNK, [us(0.22, 3.2), per_second(5e6)], payload=16),
    Workload("trunk-1k", "trunk, 1 KiB", TRUNK, [us(1.5, 1.5)], payload=1024),
    Workload("trunk-q1", "trunk, QoS 1, 1,024 in flight a pair", [*TRUNK, "--window", "1024"], [us(0.8)], qos=1),
    Workload("trunk-q1-64", "trunk, QoS 1, 64 in flight a pair", [*TRUNK, "--window", "64"], [us(3.0)], qos=1),
    Workload("crowd", "crowd, 100,000/s", [*CROWD, "--rate", "100000"], [us(11, 1.25), ms("p99_us", 40)]),
    Workload("crowd-50k", "crowd, 50,000/s", [*CROWD, "--rate", "50000"],
             [us(22, 1.2), ms("p50_us", 0.5), ms("p99_us", 5)]),
    Workload("crowd-q1", "crowd, QoS 1, 20,000/s", [*CROWD, "--rate", "20000"], [us(55), ms("p99_us", 5)], qos=1),
    Workload("steady", "steady, 1,000/s", ["--workload", "steady"],
             [Figure("p50_us", "µs", 130, floor=1.12), Figure("p99_us", "µs", 210, floor=1.12)]),
    Workload("ping-pong", "ping-pong", ["--workload", "ping-pong"], [per_second(9300, 0.9)]),
    Workload("storm", "connect storm, 19,000 clients", ["--workload", "storm"],
             [Figure("connects_per_second", "/s", 15000, least=True), Figure("connect_us", "µs", 70)]),
    Workload("idle", "idle, 19,000 clients", ["--workload", "idle", "--time", "3s"],
             [Figure("bytes_per_client edge1", "B", 735)], alone=True),
]
# What is measured of others, where they can do it at all.
WITHOUT_LOAD = ("storm", "idle")


SMALL = {"--rate": "2000", "--senders": "100", "--receivers": "100", "--clients": "500", "--window": "256", "--time": "1s"}


def smaller(workload):
    out = Workload(workload.name, workload.words, workload.options, workload.figures, workload.qos, workload.alone)
    out.options = list(workload.options)
    for name, value in SMALL.items():
        if name in out.options:
            out.options[out.options.index(name) + 1] = value
        elif name != "--time" and (name != "--rate" or "crowd" in out.options):
            out.options += [name, value]
    return out


def number(v):
    return f"{v:,.0f}" if abs(v) >= 1000 else f"{v:.0f}" if abs(v) >= 100 else f"{v:.1f}" if abs(v) >= 10 else f"{v:.2f}"


def drive(programs, make, workload, seconds, warm_up, seed):
    """One run in servers of its own. The figures, or why there are none."""
    with make(programs) as system:
        command = [os.path.join(programs, "beeline-bench"), *system.arguments(), *workload.options, "--runs", "1", "--json",
                   "--warm-up", warm_up, "--seed", str(seed)]
        if "--time" not in workload.options:
            command += ["--time", seconds]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=180, check=False)
    if not done.stdout:
        raise Failure(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "beeline-bench said nothing")
    return json.loads(done.stdout)["runs"][0]


def can(make, workload):
    if workload.name in WITHOUT_LOAD:
        return make in (OURS["beeline"], BeelineAlone) or make.protocol.startswith("mqtt") and make.topics == "subscribed" or \
            make.protocol in ("nats", "redis")
    return make.qos_max >= workload.qos


def medians(runs):
    keys = runs[0]["figures"].keys()
    return {k: statistics.median(r["figures"][k] for r in runs if k in r["figures"]) for k in keys}


def measure(a, systems, chosen):
    """{workload: {system: {"median": figures, "runs": [...], "problems": [...]}}}; runs of all systems in turn."""
    table = {w.name: {} for w in chosen}
    for run in range(a.runs):
        for w in chosen:
            for name, make in systems.items():
                if w.alone and name == "beeline":
                    make = BeelineAlone
                if not can(make, w):
                    continue
                row = table[w.name].setdefault(name, {"runs": [], "problems": []})
                try:
                    r = drive(a.programs, make, w, a.time, a.warm_up, 1000 * run + 1)
                except (Failure, subprocess.TimeoutExpired) as e:
                    row["problems"].append(f"run {run + 1}: {e}")
                    print(f"{w.name}, {name}, run {run + 1}: {e}", file=sys.stderr)
                    continue
                row["runs"].append(r)
                row["problems"] += [f"run {run + 1}: {p}" for p in r["problems"]]
                f = r["figures"]
                said = (f"{number(f['messages_per_second'])} msg/s, {number(f['server_us'])} µs, p50 {number(f['p50_us'])} "
                        f"p99 {number(f['p99_us'])} µs" if "server_us" in f else
                        f"{number(f['connects_per_second'])} connects/s, {number(f['connect_us'])} µs, "
                        f"{number(f['bytes_per_client'])} B a client")
                wrong = "".join("; " + p for p in r["problems"])
                print(f"{w.name}, {name}, run {run + 1}: {said}{wrong}", file=sys.stderr)
    for rows in table.values():
        for row in rows.values():
            if row["runs"]:
                row["median"] = medians(row["runs"])
    return table


def verdicts(chosen, table):
    """A row for each figure to reach: ours, what to reach, the floor's, and whether it is reached."""
    out = []
    for w in chosen:
        rows = table[w.name]
        ours = rows.get("beeline", {})
        floor = rows.get("floor", {}).get("median")
        for f in w.figures:
            if "median" not in ours:
                out.append({"workload": w.words, "figure": f.key, "reached": False, "why": "; ".join(ours.get("problems", []))})
                continue
            value = f.of(ours["median"])
            good = value >= f.reach if f.least else value <= f.reach
            ratio = None
            if f.floor is not None and floor:
                ratio = value / f.of(floor)
                good = ratio >= f.floor if f.least else ratio <= f.floor
            # The ratio is what counts; a figure without one is for the machine of the issue it came from.
            clean = not ours["problems"]
            out.append({"workload": w.words, "figure": f.key, "unit": f.unit, "value": value, "reach": f.reach,
                        "least": f.least, "floor": floor and f.of(floor), "ratio": ratio, "ratio_reach": f.floor,
                        "reached": good and clean, "problems": ours["problems"]})
    return out


NAMES = {"server_us": "CPU a message", "messages_per_second": "messages", "p50_us": "p50", "p99_us": "p99",
         "connects_per_second": "connects", "connect_us": "CPU a connect", "bytes_per_client edge1": "memory a client"}


def show_verdicts(rows):
    lines = ["| workload | figure | ours | to reach | floor | × floor | to reach | |", "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for r in rows:
        if "value" not in r:
            lines.append(f"| {r['workload']} | {NAMES[r['figure']]} | – | | | | | not measured: {r['why']} |")
            continue
        sign = "≥" if r["least"] else "≤"
        floor = number(r["floor"]) + " " + r["unit"] if r["floor"] is not None else ""
        ratio = f"{r['ratio']:.2f}" if r["ratio"] is not None else ""
        wish = f"{sign} {r['ratio_reach']:g}" if r["ratio_reach"] is not None else ""
        verdict = "reached" if r["reached"] else "not reached" + "".join("; " + p for p in r["problems"])
        lines.append(f"| {r['workload']} | {NAMES[r['figure']]} | {number(r['value'])} {r['unit']} | {sign} {number(r['reach'])} "
                     f"{r['unit']} | {floor} | {ratio} | {wish} | {verdict} |")
    return "\n".join(lines)


def show_peers(chosen, table, systems):
    """Who costs how much more than we do, in the same run."""
    lines = ["| workload | " + " | ".join(systems) + " |", "| --- |" + " --- |" * len(systems)]
    for w in chosen:
        ours = table[w.name].get("beeline", {}).get("median")
        cells = []
        for name in systems:
            row = table[w.name].get(name)
            m = row and row.get("median")
            if not m:
                cells.append("–" if not row else "failed")
                continue
            if w.name in WITHOUT_LOAD:
                text = f"{number(m['connects_per_second'])}/s, {number(m['connect_us'])} µs, {number(m['bytes_per_client'])} B"
                ratio = ""
            else:
                text = f"{number(m['server_us'])} µs, {number(m['messages_per_second'])}/s, p99 {number(m['p99_us'] / 1000)} ms"
                ratio = f" (×{m['server_us'] / ours['server_us']:.2f})" if ours and name != "beeline" else ""
            held = "" if not row["problems"] else " *"
            cells.append(text + ratio + held)
        lines.append(f"| {w.words} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n\n\\* a promise or the rate was not kept; the JSON says which."


def machine():
    model = ""
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return f"{os.cpu_count()} processors, {model or platform.machine()}, Linux {platform.release()}"


def commit(root):
    done = subprocess.run(["git", "-C", root, "describe", "--always", "--dirty"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, check=False)
    return done.stdout.strip() or "no commit"


def main():
    p = argparse.ArgumentParser(prog="scripts/bench", description="Measures what messages cost: Beeline, the floor and, "
                                "with --peers, what one would take instead; runs of all in turn.")
    p.add_argument("--programs", required=True, help=argparse.SUPPRESS)
    p.add_argument("--runs", type=int, default=3, metavar="N", help="of each workload; medians are told (default 3)")
    p.add_argument("--time", default="5s", metavar="TIME", help="that is measured in each run (default 5s)")
    p.add_argument("--warm-up", default="2s", metavar="TIME", help="before it (default 2s)")
    p.add_argument("--workload", action="append", metavar="NAME", help="only this one; may be given several times: "
                   + ", ".join(w.name for w in WORKLOADS))
    p.add_argument("--system", action="append", metavar="NAME", help="only this one: " + ", ".join([*OURS, *PEERS]))
    p.add_argument("--small", action="store_true", help="few clients and low rates: whether all works, not what it costs")
    p.add_argument("--peers", action="store_true", help="with NATS (Debian's 2.9), Mosquitto, Redis, RabbitMQ, a chain of "
                   "ZeroMQ ROUTERs and byte-blind relays")
    p.add_argument("--out", default="build/bench", metavar="FOLDER", help="JSON, tables and plots (default build/bench)")
    a = p.parse_args()

    known = {**OURS, **PEERS}
    unknown = [n for n in a.system or [] if n not in known] + \
        [n for n in a.workload or [] if n not in {w.name for w in WORKLOADS}]
    if unknown:
        p.error("unknown: " + ", ".join(unknown))
    systems = {n: known[n] for n in a.system} if a.system else known if a.peers else OURS
    missing = [n for n, s in systems.items() if not is_there(s, a.programs)]
    if missing:
        print("bench: not installed, left out (scripts/setup --peers): " + ", ".join(missing), file=sys.stderr)
    systems = {n: s for n, s in systems.items() if n not in missing}
    chosen = [smaller(w) if a.small else w for w in WORKLOADS if not a.workload or w.name in a.workload]

    begun = time.time()
    table = measure(a, systems, chosen)
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    head = (f"{time.strftime('%Y-%m-%d', time.gmtime(begun))}, {machine()}, shared by servers and load generator; commit "
            f"{commit(root)}; medians of {a.runs} runs of {a.time} after {a.warm_up}; µs are CPU of all servers for each "
            "delivered message")
    text = [head]
    rows = verdicts(chosen, table) if "beeline" in systems else []
    if rows:
        text.append(show_verdicts(rows))
    if len(systems) > 2 or not rows:
        text.append(show_peers(chosen, table, systems))
    os.makedirs(a.out, exist_ok=True)
    with open(os.path.join(a.out, "bench.json"), "w", encoding="utf-8") as f:
        json.dump({"about": head, "table": table, "figures": rows}, f, indent=1)
    with open(os.path.join(a.out, "bench.md"), "w", encoding="utf-8") as f:
        f.write("\n\n".join(text) + "\n")
    for w in chosen:
        write_bars(w, table[w.name], os.path.join(a.out, w.name + ".svg"))
    print("\n\n".join(text))
    print(f"\nJSON, tables and plots are in {a.out}", file=sys.stderr)
    broken = [p for rows in table.values() for p in rows.get("beeline", {}).get("problems", [])]
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
