#!/usr/bin/env python3
"""The statistics of a real cluster under load: every page holds to docs/stats.schema.json, promtool finds nothing
in /metrics, docs/metrics.md lists exactly the metrics that there are, the alarms ask for no others, and the numbers
are those of what was done.

    stats_pages.py --programs build/release            the test
    stats_pages.py --programs build/release --write    writes the tables of docs/metrics.md anew
"""
import argparse
import copy
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

import jsonschema

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "scripts", "lib"))
from cluster import Cluster, Failure, check, eventually, get, run  # noqa: E402

SCHEMA = os.path.join(ROOT, "docs", "stats.schema.json")
METRICS = os.path.join(ROOT, "docs", "metrics.md")
ALERTS = os.path.join(ROOT, "common", "etc", "beeline-alerts.yml")
SUBSCRIBERS = 5
REFUSED = 140  # in a minute they are more than one a second


def text(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return answer.read().decode()


def status(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as e:
        return e.code


# --- the cluster, and what happens in it ----------------------------------------------------------------------------

class World:
    def __init__(self, cluster):
        self.c = cluster
        router = cluster.start("router", cluster.program("beeline-router"), "--listen", "127.0.0.1:0", "--shards", "2",
                               "--admin", "127.0.0.1:0", "--warm-up", "200ms")
        first = router.wait_for(r"shard 0 listening at (\S+)")[1]
        self.router = int(router.wait_for(r"admin at http://\S+:(\d+)")[1])
        self.edges, self.mqtt = [], []
        for k in (1, 2):
            e = cluster.start(f"edge{k}", cluster.program("beeline-edge"), "--name", f"e{k}", "--lanes", "2", "--router",
                              first, "--mqtt", "127.0.0.1:0", "--admin", "127.0.0.1:0")
            self.mqtt.append(int(e.wait_for(r"listening for MQTT at \S+:(\d+)")[1]))
            self.edges.append(int(e.wait_for(r"admin at http://\S+:(\d+)")[1]))

    def publish(self, edge, sender, to, expect=None):
        code, out = run("mosquitto_pub", "-V", "mqttv5", "-i", sender, "-q", "1", "-t", to, "-m", "hi", "-h",
                        "127.0.0.1", "-p", str(self.mqtt[edge]))
        check(expect is None or expect in out, f"mosquitto_pub of {sender} said: {out} ({code})")

    def live(self):
        eventually(lambda: get(self.router, "/stats")["ready"], "the router is in service")
        for k in range(SUBSCRIBERS):
            self.c.start(f"sub{k}", "mosquitto_sub", "-V", "mqttv311" if k else "mqttv5", "-i", f"S{k}", "-t", "@/#",
                         "-h", "127.0.0.1", "-p", str(self.mqtt[0]))
        eventually(lambda: get(self.edges[0], "/stats")["totals"]["clients"] == SUBSCRIBERS, "subscribers are in")
        code, out = run(self.c.program("beeline"), "bench", "--edge", f"127.0.0.1:{self.mqtt[0]}", "--edge",
                        f"127.0.0.1:{self.mqtt[1]}", "--clients", "20", "--window", "8", "--qos", "1", "--messages",
                        "20000", "--json", "--other-edges-only", seconds=60)
        check(code == 0, "the load did not hold: " + out)
        eventually(lambda: all(edge_rates(self)), "the load in the rates of edges")
        self.load = json.loads(out)
        self.publish(0, "P1", "@/S0/chat")
        self.publish(0, "P1", "@/NOBODY")
        self.publish(1, "P1", "@/NOBODY")
        self.publish(1, "a/b", "@/S0")  # refused at CONNECT


# --- pages against the schema ---------------------------------------------------------------------------------------

def pages(w):
    """(name in the schema, page) for each page of both programs."""
    yield "router_stats", get(w.router, "/stats")
    yield "edges", get(w.router, "/edges")
    yield "edges", get(w.router, "/edges?limit=1")
    yield "client", get(w.router, "/clients/S0")
    yield "client", get(w.router, "/clients/NOBODY")
    yield "drops", get(w.router, "/drops")
    yield "router_explain", get(w.router, "/explain/S0")
    yield "router_explain", get(w.router, "/explain/NOBODY")
    for e in w.edges:
        yield "edge_stats", get(e, "/stats")
        yield "drops", get(e, "/drops")
        yield "clients", get(e, "/clients")
        yield "clients", get(e, "/clients?limit=2")
        yield "edge_explain", get(e, "/explain/S0")
        yield "edge_explain", get(e, "/explain/NOBODY")


def validator(schema, name):
    return jsonschema.Draft202012Validator({"$ref": "#/$defs/" + name, "$defs": schema["$defs"]})


def check_schema(w):
    with open(SCHEMA, encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    for name, page in pages(w):
        for wrong in validator(schema, name).iter_errors(page):
            raise Failure(f"{name} at {'/'.join(map(str, wrong.absolute_path))}: {wrong.message[:300]}")
    # It must be able to say no: a counter that is gone, one that is new, and a number that is a text.
    page = get(w.edges[0], "/stats")
    v = validator(schema, "edge_stats")
    for change in (lambda p: p["totals"].pop("connects"), lambda p: p["lanes"][0].update(unheard_of=1),
                   lambda p: p["totals"]["latency"]["publish_to_answer"].update(p99_us="1"),
                   lambda p: p["lanes"][0]["per_link"][0].pop("queue_bytes")):
        broken = copy.deepcopy(page)
        change(broken)
        check(not v.is_valid(broken), "the schema accepts a page that is broken")


# --- /metrics -------------------------------------------------------------------------------------------------------

def promtool():
    own = os.path.join(ROOT, "build", "tools", "promtool")
    found = shutil.which("promtool") or (own if os.path.exists(own) else None)
    check(found, "promtool is missing: run scripts/setup")
    return found


def lint(page):
    done = subprocess.run([promtool(), "check", "metrics"], input=page, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=30)
    return done.stdout.strip() or (f"exit code {done.returncode}" if done.returncode else "")


def check_metrics(w):
    for port in [w.router] + w.edges:
        page = text(port, "/metrics")
        check(not lint(page), "promtool says: " + lint(page))
        check("C0" not in page and "S0" not in page, "a client id stands in /metrics")
    check(lint("beeline_bad_total 1\nbeeline_bad_total 1\n"), "promtool accepts a page that is broken")


def check_alerts(w):
    """promtool can read common/etc/beeline-alerts.yml, and every metric that it asks for is on one of our pages."""
    done = subprocess.run([promtool(), "check", "rules", "--lint-fatal", ALERTS], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=30)
    check(done.returncode == 0, "promtool says: " + done.stdout)
    with open(ALERTS, encoding="utf-8") as file:
        asked = set(re.findall(r"\b(?:beeline|process)_\w+", file.read()))
    check(len(asked) > 10, f"only {asked} are asked for")
    there = set()
    for port in [w.router] + w.edges:
        there |= set(re.findall(r"^(\w+)", text(port, "/metrics"), re.M))
    check(asked <= there, f"no page has {sorted(asked - there)}")


def metric_table(page):
    """The rows of docs/metrics.md for one program, from its /metrics."""
    families, labels = {}, {}
    for line in page.splitlines():
        if found := re.match(r"# HELP (\S+) (.*)", line):
            families[found[1]] = [found[2], ""]
        elif found := re.match(r"# TYPE (\S+) (.*)", line):
            families[found[1]][1] = found[2]
        elif found := re.match(r"(\w+?)(_bucket|_sum|_count)?(?:\{(.*)\})? \S+$", line):
            name = found[1] if found[1] in families else found[1] + (found[2] or "")
            names = re.findall(r'(\w+)="', found[3] or "")
            labels.setdefault(name, dict.fromkeys(names))
    rows = ["| metric | type | unit | labels | meaning |", "| --- | --- | --- | --- | --- |"]
    for name, (meaning, kind) in families.items():
        base = name.removesuffix("_total").removesuffix("_high_water")
        unit = next((u for u in ("seconds", "bytes") if base.endswith("_" + u)), "")
        shown = ", ".join(n for n in labels.get(name, {}) if n != "le")
        rows.append(f"| `{name}` | {kind} | {unit} | {shown} | {meaning} |")
    return "\n".join(rows)


def documented(w):
    """docs/metrics.md as it should be."""
    with open(METRICS, encoding="utf-8") as file:
        document = file.read()
    for name, port in (("beeline-router", w.router), ("beeline-edge", w.edges[0])):
        document, n = re.subn(rf"(<!-- {name}: .*? -->\n)(?:.*?\n)??(<!-- end -->)",
                              lambda m, port=port: m[1] + metric_table(text(port, "/metrics")) + "\n" + m[2], document,
                              flags=re.S)
        check(n == 1, f"docs/metrics.md has no place for the table of {name}")
    return document


def check_documentation(w, write):
    wanted = documented(w)
    if write:
        with open(METRICS, "w", encoding="utf-8") as file:
            file.write(wanted)
    with open(METRICS, encoding="utf-8") as file:
        lines = file.read().splitlines()
    for k, line in enumerate(wanted.splitlines()):
        check(k < len(lines) and lines[k] == line,
              f"docs/metrics.md, line {k + 1} should be: {line}  (tests/integration/stats_pages.py --write)")
    check(len(lines) == len(wanted.splitlines()), "docs/metrics.md has more lines than there are metrics")


# --- the numbers ----------------------------------------------------------------------------------------------------

def check_numbers(w):
    sent = 20000
    totals = [get(e, "/stats")["totals"] for e in w.edges]
    router = get(w.router, "/stats")["totals"]
    answers = sum(t["latency"]["publish_to_answer"]["count"] for t in totals)
    outcomes = sum(sum(t["outcomes"].values()) for t in totals)
    check(answers == outcomes >= sent, f"{answers} answers in the histograms, {outcomes} counted")
    for t in totals:
        q = t["latency"]["publish_to_answer"]
        check(0 < q["p50_us"] <= q["p90_us"] <= q["p99_us"] <= q["p999_us"] <= q["max_us"], f"quantiles: {q}")
        check(0 < q["count_within_1s"] <= q["count"], f"within a second: {q}")
        check(q["count"] - q["count_within_1s"] <= t["answered_late"], f"{t['answered_late']} late, but {q}")
        check(t["latency"]["link_round_trip"]["count"] > 0, "no round trips")
        check(t["unanswered_messages_high_water"] > 0 and t["queue_bytes_high_water"] > 0, "no high-water marks")
        check(t["messages_per_write"] > 1 / 8, f"messages a write: {t['messages_per_write']}")
    check(router["latency"]["link_round_trip"]["count"] > 0, "no round trips at the router")
    check_reported(w, totals)
    check(router["bytes_per_write"] > 0, "no bytes a write at the router")

    per_link = [x for e in w.edges for l in get(e, "/stats")["lanes"] for x in l["per_link"]]
    check(len(per_link) == 8 and all(x["state"] == "up" for x in per_link), f"links: {per_link}")
    check(sum(x["messages_out"] for x in per_link) == sum(t["messages_out"] for t in totals), "messages by link")
    check(sum(x["messages_in"] for x in per_link) == sum(t["messages_in"] for t in totals), "messages in by link")
    links = [x for e in get(w.router, "/edges")["edges"] for x in e["links"]]
    check(sum(x["messages_out"] for x in links) == sum(router["messages_out"].values()), "messages by the router's links")
    for x in per_link + links:
        check(x["writes"] > 0 and x["bytes_per_write"] > 0, f"writes of a link: {x}")

    # Rates: all that was sent is within the last minute, once the newest second has been sampled.
    eventually(lambda: sum(get(e, "/stats")["totals"]["rates"]["60s"]["publishes"] for e in w.edges) * 60 > sent / 2,
               "rates of the load")
    eventually(lambda: all(get(e, "/stats")["totals"]["rates"]["1s"]["publishes"] == 0 for e in w.edges),
               "rates of rest")


def check_reported(w, edges):
    """The router has the time to the answer of all edges: the same messages, once all that was is reported."""
    told = [t["latency"]["publish_to_answer"] for t in edges]
    sent = sum(q["count"] for q in told)
    eventually(lambda: answered(w)["count"] >= sent, "all messages are reported")
    q = answered(w)
    check(q["count"] == sent, f"the router was told of {q['count']} messages, the edges say {sent}")
    check(q["max_us"] == max(e["max_us"] for e in told), f"the greatest: {q}, {told}")
    mean = sum(e["mean_us"] * e["count"] for e in told) / sent
    check(abs(q["mean_us"] - mean) < 1, f"the mean is {q['mean_us']}, not {mean}")
    for name in ("p50_us", "p99_us"):
        check(min(e[name] for e in told) <= q[name] <= max(e[name] for e in told), f"{name}: {q}, {told}")
    shards = get(w.router, "/stats")["shards"]
    check(sum(s["latency"]["publish_to_answer"]["count"] for s in shards) == sent, f"by shard: {shards}")
    check(shards[0]["reports"] > 0 and shards[1]["reports"] == 0, "the lowest shard is the one that is told")
    # All of it was within the last minute; 10 s after the newest message the shorter window is empty.
    eventually(lambda: answered(w)["last_60s"]["count"] == sent, "the messages in the last minute")
    eventually(lambda: answered(w)["last_10s"]["count"] == 0, "a window of rest", 30)
    eventually(lambda: not any(get(e, "/stats")["totals"]["latency"]["publish_to_answer"]["last_10s"]["count"]
                               for e in w.edges), "windows of rest at the edges", 30)  # each samples by itself
    eventually(lambda: not any(edge_rates(w)), "edges at rest")
    for page in [answered(w)] + [get(e, "/stats")["totals"]["latency"]["publish_to_answer"] for e in w.edges]:
        check(page["last_10s"]["p99_us"] == 0 and page["last_60s"]["count"] > 0, f"windows: {page}")


def check_refused(w):
    """QoS 1 messages to nobody are counted and have a rate, at the edge that told it and at the router."""
    servers = [w.router] + w.edges
    def counted():
        page = json.loads(run(w.c.program("beeline"), "status", "--json", "--admin",
                              ",".join(f"127.0.0.1:{p}" for p in servers))[1])
        return [s["refused"] for s in page["servers"]]
    before = counted()
    check(before[1:] == [1, 1], f"refused before: {before}")
    code, out = run(w.c.program("beeline"), "send", "NOBODY", "hi", "--count", str(REFUSED), "--edge",
                    f"127.0.0.1:{w.mqtt[0]}")
    check(code == 3, f"beeline send said: {out}")
    check(counted() == [before[0] + REFUSED, 1 + REFUSED, 1], f"refused: {counted()}, before {before}")
    for port in (w.router, w.edges[0]):
        eventually(lambda p=port: get(p, "/stats")["totals"]["rates"]["60s"]["refused"] >= REFUSED / 70, "the rate")
    rates = [r for p in servers for part in ("shards", "lanes") for r in get(p, "/stats").get(part, [])]
    check(sum(r["rates"]["60s"]["refused"] > 1 for r in rates) == 2, "one shard and one lane refused")
    check(get(w.edges[1], "/stats")["totals"]["rates"]["60s"]["refused"] < 1, "the other edge refused nothing")


def answered(w):
    return get(w.router, "/stats")["totals"]["latency"]["publish_to_answer"]


def edge_rates(w):
    """Messages a second of each edge, from it and to it, which are those of its links."""
    rates = []
    for e in get(w.router, "/edges")["edges"]:
        links = [x["rates"]["10s"] for x in e["links"]]
        for name, value in e["rates"]["10s"].items():
            check(abs(value - sum(x[name] for x in links)) < 0.1 * len(links) + 0.1, f"{name} of {e}")
        rates += [e["rates"]["10s"]["messages_in"], e["rates"]["10s"]["messages_out"]]
    return rates


def check_edges(w):
    first = get(w.router, "/edges?limit=1")
    check([e["edge"] for e in first["edges"]] == ["e1"] and first["next"] == "e1", f"a page of one edge: {first}")
    second = get(w.router, "/edges?limit=1&after=e1")
    check([e["edge"] for e in second["edges"]] == ["e2"] and second["next"] is None, f"the last page: {second}")


def check_questions(w):
    e1, e2 = w.edges
    drops = [get(e, "/drops") for e in w.edges]
    nobody = [d for page in drops for d in page["drops"] if d["to"] == "NOBODY"]
    check(len(nobody) == 2 and all(d["from"] == "P1" and d["reason"] == "nobody" and d["qos"] == 1 and
                                   d["what"] == "refusal" for d in nobody), f"drops: {drops}")
    connect = [d for d in drops[1]["drops"] if d["what"] == "connect"]
    check([d["from"] for d in connect] == ["a/b"], f"refused CONNECTs: {connect}")
    check(len(get(e2, "/drops?limit=1")["drops"]) == 1 and drops[1]["recorded"] == 2, "limit of /drops")
    check(status(e2, "/drops?limit=0") == 400 and status(w.router, "/drops?limit=1001") == 400, "limits of /drops")
    check(len(get(w.router, "/drops")["drops"]) == 2, "drops at the router")

    ids, after = [], ""
    for _ in range(SUBSCRIBERS + 1):
        page = get(e1, "/clients?limit=2" + after)
        ids += [c["id"] for c in page["clients"]]
        if page["next"] is None:
            break
        check(len(page["clients"]) == 2, "a page in the middle is short")
        after = "&after=" + page["next"]
    check(sorted(ids) == [f"S{k}" for k in range(SUBSCRIBERS)], f"clients by pages: {ids}")
    every = get(e1, "/clients?limit=1000")
    check({c["id"]: c["protocol"] for c in every["clients"]}["S0"] == "5.0" and every["next"] is None, "all clients")
    check(get(e2, "/clients") == {"clients": [], "next": None}, "an edge without clients")
    for wrong in ("limit=0", "limit=1001", "after=x", "after=0", "after=0-x", "after=-1-0"):
        check(status(e1, "/clients?" + wrong) == 400, f"/clients?{wrong} was answered")
    check(status(e1, "/clients?after=99-0") == 200, "a cursor beyond the lanes is the end")

    here, away = get(e1, "/explain/S0"), get(e2, "/explain/S0")
    owner = get(w.router, "/explain/S0")
    check(here["here"] and here["registered"] and here["state"] == "live" and not away["here"], "where S0 is")
    check(owner["online"] and owner["edge"] == "e1" and owner["lane"] == here["lane"] and
          owner["shard"] == here["shard"] == away["shard"] and owner["slot"] == here["slot"], "S0 at router and edge")
    lost = get(e1, "/explain/NOBODY")
    check(not lost["here"] and [d["to"] for d in lost["drops"]] == ["NOBODY"], "explain NOBODY")
    check([d["where"] for d in get(w.router, "/explain/NOBODY")["drops"]] ==
          [f"shard {owner_shard(w, 'NOBODY')}"] * 2, "explain NOBODY at the router")
    for port in [w.router] + w.edges:
        check(status(port, "/explain/a%2Fb") == 400, "an id that cannot be")


def owner_shard(w, client):
    return get(w.router, "/clients/" + client)["shard"]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--programs", required=True)
    p.add_argument("--write", action="store_true")
    a = p.parse_args()
    try:
        with Cluster(a.programs) as cluster:
            w = World(cluster)
            w.live()
            check_documentation(w, a.write)
            check_schema(w)
            check_metrics(w)
            check_alerts(w)
            check_edges(w)
            check_questions(w)
            check_numbers(w)
            check_refused(w)
    except Failure as e:
        print(f"stats_pages: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
