"""The demo: see scripts/demo. Prints what it does and what it saw, and ends with 0 if all held."""
import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import Cluster, Failure, get, run  # noqa: E402

failures = []


def title(text):
    print(f"\n== {text}")


def hold(ok, text):
    print(f"   {'ok    ' if ok else 'FAILED'} {text}")
    if not ok:
        failures.append(text)


def start_cluster(cluster, edges):
    router = cluster.start("router", cluster.program("beeline-router"), "--listen", "127.0.0.1:0", "--shards", "2",
                           "--admin", "127.0.0.1:0", "--warm-up", "500ms")
    first = router.wait_for(r"shard 0 listening at (\S+)")[1]
    admin = int(router.wait_for(r"admin at http://\S+:(\d+)")[1])
    router.wait_for(r"^beeline-router ready")
    print(f"   router    shard 0 at {first}, statistics at http://127.0.0.1:{admin}/stats")
    places = []
    for k in range(1, edges + 1):
        edge = cluster.start(f"edge{k}", cluster.program("beeline-edge"), "--name", f"edge{k}", "--router", first,
                             "--mqtt", "127.0.0.1:0", "--admin", "127.0.0.1:0")
        mqtt = int(edge.wait_for(r"listening for MQTT at \S+:(\d+)")[1])
        edge_admin = int(edge.wait_for(r"admin at http://\S+:(\d+)")[1])
        edge.wait_for(r"^beeline-edge ready")
        print(f"   edge{k}     MQTT at 127.0.0.1:{mqtt}, statistics at http://127.0.0.1:{edge_admin}/stats")
        places.append((mqtt, edge_admin))
    end = time.monotonic() + 20
    while get(admin, "/stats")["totals"]["warming_up"]:
        if time.monotonic() > end:
            raise Failure("the router does not end its warm-up")
        time.sleep(0.05)
    return admin, places


def wait_online(admin, client):
    end = time.monotonic() + 10
    while not get(admin, f"/clients/{client}")["online"]:
        if time.monotonic() > end:
            raise Failure(f"{client} does not come online")
        time.sleep(0.02)


def client(*arguments):
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def both_ways(admin, port1, port2):
    c2 = client("mosquitto_sub", "-V", "mqttv5", "-i", "C2", "-p", str(port2), "-t", "@/#", "-v", "-C", "1", "-W", "20")
    wait_online(admin, "C2")
    # mosquitto_rr publishes as C1 and waits for what comes back, as C1.
    c1 = client("mosquitto_rr", "-V", "mqttv5", "-i", "C1", "-p", str(port1), "-q", "1", "-t", "@/C2/chat", "-e",
                "@/C2/chat", "-m", "hello C2", "-W", "20", "-v")
    heard = c2.communicate(timeout=30)[0].strip()
    print(f"   C2 on edge2 received:  {heard}")
    hold(heard == "@/C1/chat hello C2", "C1 on edge1 reaches C2 on edge2, which sees it on @/C1/chat")
    where = get(admin, "/clients/C1")
    hold(where["online"] and where["edge"] == "edge1", f"the router knows C1: {where['edge']}, lane {where['lane']}")
    run("mosquitto_pub", "-V", "mqttv5", "-i", "C2", "-p", str(port2), "-q", "1", "-t", "@/C1/chat", "-m", "hello C1")
    heard = c1.communicate(timeout=30)[0].strip()
    print(f"   C1 on edge1 received:  {heard}")
    hold("hello C1" in heard, "C2 answers to the topic the message came on, and C1 gets it")


def receipts(admin, port1, port2):
    c2 = client("mosquitto_sub", "-V", "mqttv5", "-i", "C2", "-p", str(port2), "-t", "@/#", "-C", "1", "-W", "20")
    wait_online(admin, "C2")
    for to, code, meaning in (("C2", 0, "taken by C2's session"), ("C9", 16, "nobody there (0x10)")):
        begin = time.monotonic()
        out = run("mosquitto_pub", "-V", "mqttv5", "-i", "C1", "-p", str(port1), "-q", "1", "-t", f"@/{to}", "-m", "x", "-d")[1]
        took = (time.monotonic() - begin) * 1000
        found = re.search(r"PUBACK \(Mid: \d+, RC:(\d+)\)", out)
        line = next((x for x in out.splitlines() if "PUBACK" in x), "no PUBACK")
        print(f"   to {to}: {line}   ({took:.0f} ms with connecting)")
        hold(bool(found) and int(found[1]) == code, f"the receipt for {to} says: {meaning}")
    c2.communicate(timeout=30)


def burst(cluster, places, messages):
    report = os.path.join(cluster.folder, "burst.json")
    command = [cluster.program("beeline"), "bench", "--clients", "100", "--messages", str(messages), "--qos", "1",
               "--other-edges-only", "--report", report]
    for mqtt, _ in places[:2]:
        command += ["--edge", f"127.0.0.1:{mqtt}"]
    code = run(*command, seconds=120)[0]
    with open(report) as f:
        r = json.load(f)
    print(f"   {r['published']} messages between {r['clients']} clients on edge1 and edge2 in {r['seconds']:.2f} s: "
          f"{r['messages_per_second']:.0f}/s")
    print(f"   publish to delivery p50 {r['delivery_p50_us'] / 1000:.1f} ms, p99 {r['delivery_p99_us'] / 1000:.1f} ms; "
          f"to receipt p50 {r['answer_p50_us'] / 1000:.1f} ms, p99 {r['answer_p99_us'] / 1000:.1f} ms")
    hold(code == 0, "all delivered once, in order for each pair, all receipts say success")
    return r


def table(admin):
    edges = get(admin, "/edges")["edges"]
    print(f"   {'edge':8}{'clients':>9}{'messages from it':>18}{'messages sent to it':>21}{'bytes to it':>13}")
    for e in edges:
        print(f"   {e['edge']:8}{e['clients']:>9}{e['messages_in']:>18}{e['messages_out']:>21}{e['bytes_out']:>13}")
    stats = get(admin, "/stats")
    copies = stats["copies_per_message"]
    print(f"   copies per message: {copies} ({stats['copies']['frames_written']} frames for {stats['copies']['messages']} messages)")
    idle = next(e for e in edges if e["edge"] == "edge3")
    hold(idle["messages_out"] == 0 and idle["messages_in"] == 0, "edge3, which has none of these clients, was sent 0 messages")
    hold(copies == 1.0, "each message was written to exactly one edge: copies per message 1.0")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--programs", required=True)
    p.add_argument("--messages", default="20000")
    a = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with Cluster(a.programs) as cluster:
            title("a router with two shards, and three edge servers")
            admin, places = start_cluster(cluster, 3)
            title("C1 on edge1 and C2 on edge2 (mosquitto's clients), both ways")
            both_ways(admin, places[0][0], places[1][0])
            title("receipts")
            receipts(admin, places[0][0], places[1][0])
            title("a burst")
            burst(cluster, places, a.messages)
            title("what the router's statistics say")
            table(admin)
            title("the end")
            for program in reversed(cluster.started):
                hold(program.stop() == 0, f"{program.name} ends cleanly on SIGTERM")
    except (Failure, OSError, subprocess.SubprocessError) as e:
        hold(False, str(e))
    print()
    if failures:
        print(f"demo: {len(failures)} did not hold: " + "; ".join(failures))
        return 1
    print("demo: all held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
