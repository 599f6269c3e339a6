"""Runs of beeline-chaos, each judged by beeline-chaos-check: see docs/chaos.md.

Exit codes: 0 every run kept all promises, 1 one did not, 2 usage, 3 too many runs were void, 77 namespaces are not
permitted.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import chaos_picture
import chaos_scenarios

OK, VIOLATION, USAGE, VOID, SKIPPED = 0, 1, 2, 3, 77
NO_NAMESPACES = 4  # exit code of beeline-chaos
VOID_TRIES = 4     # a void run is repeated with another seed, so often at most
NEXT_SEED = 1_000_003


def parse(words):
    p = argparse.ArgumentParser(
        prog="scripts/chaos", description="Runs a router and three edges under load, breaks links and processes as a "
        "seed says, and judges what the clients saw. Every run is repeatable in what is drawn, not in its timing.",
        epilog="scripts/chaos itself also takes --preset PRESET (what to build and run: release, debug, address, "
        "thread) and --no-build.")
    p.add_argument("--programs", help=argparse.SUPPRESS, required=True)
    p.add_argument("--runs", type=int, default=5, help="how many (default 5)")
    p.add_argument("--seed", type=int, default=1, help="of the first; the next ones follow (default 1)")
    p.add_argument("--seconds", type=float, help="of load, in each run (default 20)")
    p.add_argument("--rate", type=float, help="messages a second, all clients together (default 5000)")
    p.add_argument("--least", type=float, default=0, metavar="RATE",
                   help="a run in which fewer messages a second were sent, outages included, is void")
    p.add_argument("--clients", type=int, help="(default 60)")
    p.add_argument("--faults", type=int, default=-1, help="in each run; 0: none (default: drawn, 4 or more)")
    p.add_argument("--only", default="", metavar="KIND", help="no other faults than this one")
    p.add_argument("--netns", action="store_true", help="edges and router in network namespaces of their own")
    p.add_argument("--netns-too", action="store_true", help="the last run with --netns, where that is permitted")
    p.add_argument("--keep", metavar="DIR", help="keep histories, logs and reports there (default: of failures only)")
    p.add_argument("--scenario", metavar="NAME", help="scripted runs instead, one a name: NAME, NAME,NAME or all")
    p.add_argument("--full", action="store_true", help="scenarios in full size, with their limits as promised")
    p.add_argument("--list-scenarios", action="store_true", help="their names")
    p.add_argument("--every", type=float, metavar="SECONDS", help="of the scenario soak: between faults (default 30)")
    p.add_argument("--json", metavar="FILE", help="the figures of scenarios")
    p.add_argument("--lies", action="store_true", help="falsify the first run in each way, and see that it is noticed")
    o = p.parse_args(words)
    if o.scenario and o.least:
        p.error("--least is for drawn runs: a scenario says itself what it needs")
    if not o.scenario:
        o.seconds, o.rate, o.clients = o.seconds or 20, o.rate or 5000, o.clients or 60
    return o


class Run:
    """One seed: its folder, and after `go` its report."""

    def __init__(self, o, seed, netns, folder):
        self.o, self.seed, self.netns, self.folder = o, seed, netns, folder
        self.report = self.scenario = None

    def command(self):
        if self.o.scenario:
            return chaos_scenarios.command(self.o, self.seed, self.scenario)
        c = ["--seed", str(self.seed), "--seconds", f"{self.o.seconds:g}", "--rate", f"{self.o.rate:g}",
             "--clients", str(self.o.clients), "--faults", str(self.o.faults)]
        return c + (["--only", self.o.only] if self.o.only else []) + (["--netns"] if self.netns else [])

    def replay(self):
        return "scripts/chaos --runs 1 " + " ".join(self.command())

    def program(self, name):
        return os.path.join(self.o.programs, name)

    def drive(self):
        words = [self.program("beeline-chaos"), "--programs", self.o.programs, "--out", self.folder, *self.command()]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.returncode, done.stdout.strip()

    def check(self, *more):
        done = subprocess.run([self.program("beeline-chaos-check"), self.folder, *more], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        return done.returncode, done.stdout.strip()

    def judge(self):
        path = os.path.join(self.folder, "report.json")
        code, said = self.check("--report", path)
        if code in (OK, VIOLATION, VOID):
            with open(path, encoding="utf-8") as f:
                self.report = json.load(f)
            chaos_picture.write(self.report, os.path.join(self.folder, "report.svg"))
        return code, said

    def go(self, tell):
        """Drives it, judges it, tells its report: (exit code, what was said)."""
        begin = time.monotonic()
        code, said = self.drive()
        if code == NO_NAMESPACES:
            return SKIPPED, said
        if code == USAGE:
            return USAGE, said
        if code != 0:
            return VIOLATION, f"the driver ended with {code}: {said}"
        code, said = self.judge()
        if self.report:
            tell(self, time.monotonic() - begin)
            if code == OK and self.o.least and self.sent_a_second() < self.o.least:
                return VOID, f"too little load: {self.sent_a_second():.0f} messages a second"
        return code, said

    def sent_a_second(self):
        return sum(self.report["series"]["published"][:int(self.o.seconds * 10)]) / self.o.seconds


def ms(us):
    return "-" if us is None else f"{us / 1000:.0f}"


def times(fault):
    """Blank where no stream tells anything, or no client was there."""
    streams = [fault[k] if fault["streams"] else None for k in ("gap_median_us", "gap_us", "back_us")]
    clients = [fault[k] if fault["clients"] else None for k in ("client_gap_median_us", "client_gap_max_us")]
    return [ms(t) for t in streams + clients]


def place(fault):
    if fault["edge"] < 0:
        return "router"
    return f"e{fault['edge'] + 1}" + (f", shard {fault['shard']}" if fault["shard"] >= 0 else "")


def table(rows, head):
    widths = [max(len(str(r[i])) for r in [head, *rows]) for i in range(len(head))]
    for r in [head, *rows]:
        cells = [str(c).ljust(w) if i < 2 else str(c).rjust(w) for i, (c, w) in enumerate(zip(r, widths))]
        print("  " + "  ".join(cells).rstrip())


def print_run(run, seconds):
    r, c = run.report, run.report["counts"]
    answers = ", ".join(f"{k} {n}" for k, n in sorted(c["answers"].items()))
    print(f"seed {r['seed']}{' netns' if r['netns'] else ''}: {c['published']} messages, {c['received']} received, "
          f"{c['sessions']} sessions; answers {answers}, of 0x00 {c['success_without_receipt']} taken along by "
          f"sessions that ended; {c['recipient_acknowledged']} of {c['asked_recipient']} acknowledged by their "
          f"recipients as asked, {c['with_deadline']} with a deadline; longest {c['longest_answer_us'] / 1e6:.1f} s; "
          f"{seconds:.0f} s in all")
    print_faults(r)


def print_faults(r):
    rows = [["(calm)", "all", "", "", ms(r["calm"]["gap_median_us"]), ms(r["calm"]["gap_us"]), "",
             ms(r["calm"]["client_gap_median_us"]), ms(r["calm"]["client_gap_max_us"])]]
    for f in r["faults"]:
        rows.append([f["kind"] + (" +" if f["overlapped"] else ""), place(f),
                     f"{(f['begin_us'] - r['load_begin_us']) / 1e6:.2f}", ms(f["end_us"] - f["begin_us"]),
                     *times(f)])
    table(rows, ["fault", "where", "at, s", "for, ms", "outage, ms", "longest", "back after", "client", "longest"])
    sys.stdout.flush()


def median(values):
    return statistics.median(values) if values else None


def by_kind(reports):
    """Outages of each kind of fault over all runs, of those that no other fault overlapped."""
    all_kinds = {}
    for r in reports:
        for f in r["faults"]:
            all_kinds.setdefault(f["kind"], []).append(f)
    rows = []
    for kind, all_of in sorted(all_kinds.items()):
        alone = [f for f in all_of if not f["overlapped"]]
        of = alone or all_of
        values = {"faults": len(all_of), "alone": len(alone)}
        for name, key in (("outage", "gap_us"), ("back", "back_us"), ("client", "client_gap_median_us"),
                          ("client_longest", "client_gap_max_us")):
            told = [f[key] for f in of if f["clients" if key.startswith("client") else "streams"]]
            values[name + "_median_us"] = median(told)
            values[name + "_max_us"] = max(told, default=None)
        values["for_median_us"] = median([f["end_us"] - f["begin_us"] for f in of])
        rows.append((kind, values))
    return rows


def print_kinds(rows):
    print("\nOutages by kind, of faults that no other one overlapped if there are such, in ms: median and most")
    keys = ("outage_median_us", "outage_max_us", "back_median_us", "back_max_us", "client_median_us", "client_max_us",
            "client_longest_median_us", "client_longest_max_us")
    table([[kind, f"{v['faults']}/{v['alone']}", ms(v["for_median_us"]), *(ms(v[k]) for k in keys)]
           for kind, v in rows],
          ["fault", "n/alone", "for", "stream", "most", "back after", "most", "client", "most", "worst client", "most"])


def tell_lies(run):
    """The checker has to notice each lie about a good run."""
    lies = subprocess.run([run.program("beeline-chaos-check"), "--lies"], stdout=subprocess.PIPE, text=True,
                          check=True).stdout.split()
    missed = [lie for lie in lies if run.check("--falsify", lie)[0] != VIOLATION]
    if missed:
        print(f"the checker did not notice: {', '.join(missed)}")
    else:
        print(f"the checker noticed each of {len(lies)} lies about this run")
    return not missed


def one_run(o, seed, netns, folder):
    """(exit code, the run): a void run is repeated with another seed."""
    for _ in range(VOID_TRIES):
        run = Run(o, seed, netns, os.path.join(folder, f"seed-{seed}{'-netns' if netns else ''}"))
        code, said = run.go(print_run)
        if code != VOID:
            return code, run, said
        print(f"seed {seed} is void: {said}", flush=True)
        seed += NEXT_SEED
    return VOID, run, said


def go(o, folder):
    reports, failed = [], []
    worst = OK
    for i in range(o.runs):
        netns = o.netns or (o.netns_too and i == o.runs - 1)
        code, run, said = one_run(o, o.seed + i, netns, folder)
        if code == SKIPPED:
            print(f"skipped: {said}")
            if o.netns:
                return SKIPPED, reports
            code, run, said = one_run(o, o.seed + i, False, folder)
        if code == USAGE:
            print(said, file=sys.stderr)
            return USAGE, reports
        if run.report and code != VOID:
            reports.append(run.report)
        if code in (VIOLATION, VOID):
            worst = VIOLATION if VIOLATION in (code, worst) else VOID
            failed.append(run)
            print(f"{'FAILED' if code == VIOLATION else 'VOID'}: seed {run.seed}\n{said}\n  replay: {run.replay()}\n"
                  f"  histories and logs: {run.folder}", flush=True)
            continue
        if o.lies and len(reports) == 1 and not tell_lies(run):
            worst = VIOLATION
        if not o.keep:
            shutil.rmtree(run.folder, ignore_errors=True)
    rows = by_kind(reports)
    if rows:
        print_kinds(rows)
    with open(os.path.join(folder, "summary.json"), "w", encoding="utf-8") as f:
        json.dump({"kinds": dict(rows), "runs": reports, "failed": [r.seed for r in failed]}, f)
    print(f"\n{len(reports)} runs judged, {len(failed)} failed or void"
          + (f"; kept in {folder}" if o.keep or failed else ""))
    return worst, reports


def main():
    o = parse(sys.argv[1:])
    if o.list_scenarios:
        return subprocess.run([os.path.join(o.programs, "beeline-chaos"), "--list-scenarios"], check=False).returncode
    folder = os.path.abspath(o.keep) if o.keep else tempfile.mkdtemp(prefix="beeline-chaos-")
    os.makedirs(folder, exist_ok=True)
    code = VIOLATION
    try:
        if o.scenario:
            code = chaos_scenarios.go(o, folder, Run, print_faults)
        else:
            code, _ = go(o, folder)
    finally:
        if not o.keep and code in (OK, SKIPPED, USAGE):
            shutil.rmtree(folder, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
