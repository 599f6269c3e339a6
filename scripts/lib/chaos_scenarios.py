"""Scripted runs of beeline-chaos (scripts/chaos --scenario NAME): each is judged as any other, and its figures are
printed beside their limits."""
import json
import os
import shutil
import subprocess
import sys

import figures

OK, VIOLATION, USAGE, VOID, SKIPPED = 0, 1, 2, 3, 77


def command(o, seed, scenario):
    c = ["--scenario", scenario, "--seed", str(seed)] + (["--full"] if o.full else [])
    for name in ("seconds", "rate", "clients", "every"):
        if getattr(o, name) is not None:
            c += [f"--{name}", f"{getattr(o, name):g}"]
    return c


def print_report(report, seconds, print_faults):
    c = report["counts"]
    answers = ", ".join(f"{k} {n}" for k, n in sorted(c["answers"].items()))
    print(f"{report['scenario']}: {c['published']} messages, {c['received']} received, {c['sessions']} sessions; answers "
          f"{answers}; longest {c['longest_answer_us'] / 1e6:.1f} s; {seconds:.0f} s in all")
    if report["scenario"] == "soak":
        print_faults(report)
    figures.show(report["figures"])


def names_of(o):
    listed = subprocess.run([os.path.join(o.programs, "beeline-chaos"), "--list-scenarios"], stdout=subprocess.PIPE,
                            text=True, check=True).stdout
    known = [line.split("\t")[0] for line in listed.splitlines()]
    return known if o.scenario == "all" else o.scenario.split(",")


def go(o, folder, new_run, print_faults):
    worst, skipped, told = OK, 0, []
    names = names_of(o)
    for name in names:
        run = new_run(o, o.seed, False, os.path.join(folder, name))
        run.scenario = name
        code, said = run.go(lambda r, seconds: print_report(r.report, seconds, print_faults))
        if code == USAGE:
            print(said, file=sys.stderr)
            return USAGE
        if code == SKIPPED:
            print(f"{name} is skipped: {said}")
            skipped += 1
            continue
        if run.report:
            told.append({"scenario": name, "ok": code == OK, "counts": run.report["counts"],
                         "figures": run.report["figures"]})
        if code != OK:
            worst = code if worst == OK else VIOLATION
            print(f"{'VOID' if code == VOID else 'FAILED'}: {name}\n{said}\n  again: scripts/chaos "
                  f"{' '.join(run.command())}\n  histories and logs: {run.folder}", flush=True)
        elif not o.keep:
            shutil.rmtree(run.folder, ignore_errors=True)
    if o.json:
        with open(o.json, "w", encoding="utf-8") as f:
            json.dump(told, f, indent=1)
    return SKIPPED if skipped == len(names) else worst
