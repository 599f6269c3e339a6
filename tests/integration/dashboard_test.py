#!/usr/bin/env python3
"""The router's dashboard in a real browser, on a real cluster: it shows edges and rates, looks a client up, tells of
a killed edge within 4 s, of refused messages, of a router that does not answer or not all that it is asked, and asks
nothing of anybody else.

    dashboard_test.py --programs build/release
    dashboard_test.py --programs build/release --screenshots docs/pictures --watch 60    the pictures of the docs
"""
import argparse
import os
import signal
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "scripts", "lib"), os.path.join(ROOT, "tests", "support")]
from browser import Browser  # noqa: E402
from cluster import Cluster, Failure, check, eventually, get, run  # noqa: E402

EDGES, LOAD_CLIENTS = 3, 30
LOST_WITHIN_MS = 4000
STOPPED_SECONDS = 3
EVIL = "<img src=x onerror=problems.push(1)>"  # a client id as good as any other
EVIL_SENDER = "<svg onload=problems.push(2)>"
STATE = "document.getElementById('state').dataset.state"
CHART = ("[...document.querySelectorAll('.chart')].find((c) => "
         "c.querySelector('figcaption').textContent.startsWith('%s'))")
ANSWERED, ANSWERS = CHART % "Publish to answer", CHART % "QoS 1 answers"
OLD = "[...document.querySelectorAll('[data-pages]')].map((s) => s.classList.contains('old'))"
EDGE = "document.querySelector(`#picture .edge[data-edge=\"${arguments[0]}\"]`)"


class World:
    def __init__(self, cluster):
        self.c = cluster
        self.router = cluster.start("router", cluster.program("beeline-router"), "--listen", "127.0.0.1:0", "--shards",
                                    "2", "--admin", "127.0.0.1:0", "--warm-up", "200ms")
        first = self.router.wait_for(r"shard 0 listening at (\S+)")[1]
        self.admin = int(self.router.wait_for(r"admin at http://\S+:(\d+)")[1])
        self.url = f"http://127.0.0.1:{self.admin}/"
        self.edges, self.mqtt = [], []
        for k in range(EDGES):
            self.edges.append(cluster.start(f"edge{k + 1}", cluster.program("beeline-edge"), "--name", f"e{k + 1}",
                                            "--lanes", "2", "--router", first, "--mqtt", "127.0.0.1:0", "--admin",
                                            "127.0.0.1:0"))
        for e in self.edges:
            self.mqtt.append(e.wait_for(r"listening for MQTT at (\S+)")[1])
        self.edge_admins = [int(e.wait_for(r"admin at http://\S+:(\d+)")[1]) for e in self.edges]

    def load(self):
        # One for each edge, each with a rate of its own.
        for k in range(EDGES):
            edges = [x for m in self.mqtt[k:] + self.mqtt[:k] for x in ("--edge", m)]
            self.c.start(f"bench{k}", self.c.program("beeline"), "bench", *edges, "--prefix", f"load{k}", "--clients",
                         str(LOAD_CLIENTS), "--rate", str(300 * (k + 1)), "--messages", "10000000", "--faults")
        self.c.start("sub", "mosquitto_sub", "-V", "mqttv5", "-i", EVIL, "-t", "@/#", "-h", "127.0.0.1", "-p",
                     self.mqtt[0].rpartition(":")[2])

    def refuse(self):
        """Some QoS 1 messages a second to nobody, until the end."""
        self.c.start("refused", self.c.program("beeline"), "send", "NOBODY", "hi", "--edge", self.mqtt[1], "--count",
                     "1000000", "--interval", "400ms")

    def to_nobody(self):
        code, out = run("mosquitto_pub", "-V", "mqttv5", "-i", EVIL_SENDER, "-q", "0", "-t", "@/NOBODY", "-m", "hi",
                        "-h", "127.0.0.1", "-p", self.mqtt[0].rpartition(":")[2])
        check(code == 0, "mosquitto_pub said: " + out)


# --- the parts of the test ------------------------------------------------------------------------------------------

def says_that_there_are_no_messages(b):
    b.eventually(f"""const c = {ANSWERED};
                     return c.querySelector(".readout").textContent === "now: no messages in the last 10 s" &&
                            c.querySelector("svg .nothing")?.textContent === "no messages in the last 10 s" &&
                            c.querySelector(".line").getAttribute("d") === "" &&
                            document.getElementById("n-answer").textContent === "-" """, "that there are no messages")


def shows_the_time_to_the_answer(w, b):
    """What the page says is what the router says of the last 10 s, and what the edges say."""
    b.eventually(f"""const c = {ANSWERED};
                     return !c.querySelector(".nothing") && /p50 [\\d.]+ .?s, p99 [\\d.]+ .?s$/
                            .test(c.querySelector(".readout").textContent) &&
                            /^[\\d.]+ .?s$/.test(document.getElementById("n-answer").textContent)""",
                 "the time to the answer")
    said = {}

    def same():  # what edges say comes a second later
        said["router"], *edges = [get(a, "/stats")["totals"]["latency"]["publish_to_answer"]["last_10s"]
                                  for a in [w.admin] + w.edge_admins]
        said["edges"] = edges
        told = sum(e["count"] for e in edges)
        return (0.5 * told < said["router"]["count"] < 1.5 * told and min(e["p50_us"] for e in edges)
                <= said["router"]["p50_us"] <= max(e["p50_us"] for e in edges) * 2)

    eventually(same, lambda: f"router and edges tell the same time to the answer: {said}")


def tells_of_refused_messages(w, b):
    check(b.run("return document.getElementById('n-refused').textContent") == "0/s", "something is refused already")
    w.refuse()
    b.eventually("return parseFloat(document.getElementById('n-refused').textContent) > 0", "refused messages a second")
    b.eventually(f"""const c = {ANSWERS};
                     return [...c.querySelectorAll(".legend li")].map((l) => l.textContent.trim()).join() ===
                                "accepted,nobody" && / accepted [\\d.]+k?\\/s, nobody [\\d.]+\\/s$/
                                .test(c.querySelector(".readout").textContent)""", "answers by kind")


def kinds_keep_their_colours(w, b):
    """The page's own module, with the kinds and reasons that the router has: alone and all at once."""
    totals = get(w.admin, "/stats")["totals"]
    for family, named in (("answers", 12), ("drops", 10)):
        found = b.run("""const { linesByKind } = await import("/dashboard/kinds.js");
            const drawn = (rates) => linesByKind((s) => s)([rates]).map((l) => [l.name, l.style, l.value(rates)]);
            const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
            document.body.append(svg);
            const look = ([name, style]) => {
              const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
              path.setAttribute("class", "line " + style);
              svg.append(path);
              const { stroke, strokeDasharray } = getComputedStyle(path);
              return stroke + " " + strokeDasharray;
            };
            const all = drawn(Object.fromEntries(arguments[0].map((n) => [n, 1])));
            const looks = all.map(look);
            svg.remove();
            return { all, looks, alone: arguments[0].flatMap((n) => drawn({ [n]: 1 })),
                     strange: drawn({ nobody: 1, new_one: 2, other_one: 3 }) };""", list(totals[family]))
        names = [n for n, _, _ in found["all"] if n != "other"]
        check(len(names) == named, f"{family} with a colour: {names}")
        check(len(set(found["looks"])) == len(found["all"]), f"{family} that look alike: {found['looks']}")
        styles = {n: s for n, s, _ in found["all"]}
        check(all(styles[n] == s for n, s, _ in found["alone"]) and len(found["alone"]) == len(totals[family]),
              f"{family} alone look otherwise: {found['alone']}, {styles}")
        others = [v for n, _, v in found["all"] if n == "other"]
        check(sum(others) == len(totals[family]) - named, f"other {family}: {others}")
        check([x[::2] for x in found["strange"]] == [["nobody", 1], ["other", 5]], f"unheard-of: {found['strange']}")


def shows_the_cluster(b):
    b.eventually(f"return {STATE} === 'ready'", "that the router is in service")
    b.eventually("""const e = [...document.querySelectorAll("#picture .edge[data-state=in-sync]")];
                    return e.length === arguments[0] && e.every((x) => Number(x.dataset.rate) > 0)""",
                 "three edges in sync with traffic", EDGES)
    b.eventually("""return parseFloat(document.getElementById("n-in").textContent) > 0 &&
                           parseFloat(document.getElementById("n-out").textContent) > 0""", "messages a second")
    check(b.run("return document.querySelectorAll('#picture .shard').length") == 2, "the picture has not two shards")
    links = b.run("return document.querySelectorAll('#picture .link[data-state=in-sync]').length")
    check(links == EDGES * 2 * 2, f"{links} links are drawn in sync, not {EDGES * 2 * 2}")
    b.eventually("return document.getElementById('n-clients').textContent === arguments[0]", "the number of clients",
                 str(EDGES * LOAD_CLIENTS + 1))


def ask_for(b, client, what, script):
    b.clear("#client")
    b.type("#client", client + "\n")
    return b.eventually(script, what)


def looks_up_clients(b):
    title = "document.querySelector('#found h3')?.textContent"
    ask_for(b, EVIL, "the client that was looked up", f"return {title} === {EVIL!r}")
    told = b.run("return document.querySelector('#found dl').textContent")
    check("online" in told and "edge e1, lane" in told, f"the look-up says: {told}")
    b.eventually("return document.querySelector('#picture .edge.found')?.dataset.edge === 'e1'", "its edge as marked")
    ask_for(b, "NOBODY", "a client that is not there",
            "return document.querySelector('#found dl')?.dataset.online === 'false'")
    check(b.run("return document.querySelectorAll('#found tbody tr').length") > 0, "no drops about NOBODY")
    for wrong, why in (("a/b", "no /"), ("..", "folder"), ("x" * 129, "128 bytes")):
        ask_for(b, wrong, f"why {wrong[:5]} is no client id",
                f"return document.querySelector('#found .problem')?.textContent.includes('{why}')")


def markup_stays_text(b):
    b.eventually(f"return [...document.querySelectorAll('#drops td')].some((c) => c.textContent === {EVIL_SENDER!r})",
                 "the drop of the sender whose id is markup")


def charts_have_values(b):
    b.eventually("""const d = [...document.querySelectorAll(".chart")].map((c) =>
                        c.querySelector(".line")?.getAttribute("d"));
                    return d.length === 7 && d.every((x) => x && x.split("L").length > 3)""", "seven charts with lines")
    b.type(".chart svg", "\ue012")  # the left arrow
    moment = b.run("return document.querySelector('.chart .readout').textContent")
    check(moment[2] == ":" and "in, from edges" in moment, f"the arrow key reads: {moment}")
    b.run("document.activeElement.blur()")
    now = b.run("return document.querySelector('.chart .readout').textContent")
    check(now.startswith("now"), f"without the focus it reads: {now}")


def only_missing_answers_are_gaps(b):
    """The page's own module: steps of a hidden tab are drawn, a missing answer is not, however short the step."""
    drawn = b.run("""const { Chart, missing } = await import("/dashboard/charts.js");
        const lines = [{ name: "x", value: (s) => s.deep.x }];
        const told = (at, x) => ({ at, deep: { x } });
        const shape = (samples, of = lines) => {
          const chart = new Chart({ title: "t", format: String, nothing: "nothing", lines: of });
          document.body.append(chart.node);
          chart.update(samples);
          const d = chart.svg.querySelector(".line")?.getAttribute("d") ?? "";
          chart.node.remove();
          return [d.replace(/[^ML]/g, ""), chart.readout.textContent, chart.svg.querySelector(".nothing")?.textContent];
        };
        return { hidden: shape([0, 5000, 10000, 70000].map((at) => told(at, 1))),
                 gap: shape([told(0, 1), told(1000, 2), missing(2000), told(3000, 1), told(4000, 3)]),
                 silent: shape([told(0, 1), told(1000, 2), missing(2000)]),
                 never: shape([missing(0)]),
                 idle: shape([told(0, 1), told(1000, null), told(2000, 1), told(3000, 1)]),
                 made: shape([told(0, 1), missing(1000), told(2000, 1), told(3000, 1)],
                             (all) => all.every((s) => s.deep.x) ? lines : []) };""")
    check(drawn == {"hidden": ["MLLL", "now: x 1", None], "gap": ["MLML", "now: x 3", None],
                    "silent": ["ML", "now: no answer", None], "never": ["", "now: no answer", "no answer"],
                    "idle": ["MML", "now: x 1", None], "made": ["MML", "now: x 1", None]}, f"drawn: {drawn}")


def links_end_one_shard_after_the_other(b):
    """The page's own module: what one shard forgets of a lost edge is gone, what an edge that lives has no more is not
    drawn."""
    told = b.run("""const { Edges } = await import("/dashboard/edges.js");
        const link = (shard, state) => ({ shard, lane: 0, state, messages_in: 7, messages_out: 7 });
        const shown = (...answers) => {
          const edges = new Edges();
          answers.forEach((links, i) => edges.update({ edges: [{ edge: "e", clients: 1, links }] }, 1000 * i, () => {}));
          const [e] = edges.list();
          return [e.state, e.partly, [...e.links.values()].map((l) => l.state)];
        };
        const both = [link(0, "in sync"), link(1, "in sync")];
        return { whole: shown(both),
                 first: shown(both, [link(0, "in sync"), link(1, "lingering")]),
                 lost: shown(both, [link(0, "lingering"), link(1, "lingering")]),
                 forgotten: shown(both, [link(0, "lingering"), link(1, "lingering")], [link(1, "lingering")]),
                 back: shown(both, [link(1, "lingering")], both),
                 fewer: shown(both, [link(1, "in sync")]) };""")
    check(told == {"whole": ["in-sync", False, ["in-sync", "in-sync"]], "first": ["lost", True, ["in-sync", "lost"]],
                   "lost": ["lost", False, ["lost", "lost"]], "forgotten": ["lost", False, ["gone", "lost"]],
                   "back": ["in-sync", False, ["in-sync", "in-sync"]], "fewer": ["in-sync", False, ["in-sync"]]},
          f"links end so: {told}")


def tells_of_a_killed_edge(w, b):
    # Of the whole picture: it is drawn anew when its width changes.
    b.run("""window.killed = {};
        const at = performance.now(), edge = arguments[0];
        const look = () => { const state = document.querySelector(edge).dataset.state;
                             if (state !== "in-sync") killed[state] ??= performance.now() - at; };
        new MutationObserver(look).observe(document.getElementById("picture"),
                                           { subtree: true, childList: true, attributes: true });
        look();""", "#picture .edge[data-edge=e3]")
    check(b.run("return Object.keys(killed).length") == 0, "e3 is lost before it is killed")
    w.edges[2].stop(signal.SIGKILL)
    b.eventually("return killed.lost || killed.gone", "that e3 is lost")
    lost = b.run("return killed.lost ?? killed.gone")
    check(lost <= LOST_WITHIN_MS, f"the killed edge showed after {lost:.0f} ms")
    b.eventually(f"return {EDGE}.dataset.state === 'gone'", "that e3 is gone", "e3", seconds=10)
    text = b.run(f"return {EDGE}.textContent", "e3")
    check("gone, last seen" in text, f"the picture says of it: {text}")
    check(b.run("return [...document.querySelectorAll('#picture .link[data-edge=e3]')]"
                ".every((l) => l.dataset.state === 'gone')"), "a link of the killed edge seems alive")
    for name in ("e1", "e2"):
        check(b.run(f"return {EDGE}.dataset.state", name) == "in-sync", f"{name} is not in sync any more")
    events = b.run("return document.getElementById('events').textContent")
    check("edge e3: gone" in events, f"the events are: {events}")
    return lost


def tells_of_a_silent_router(w, b):
    os.kill(w.router.process.pid, signal.SIGSTOP)
    began = time.monotonic()
    try:
        b.eventually(f"return {STATE} === 'silent' && document.getElementById('state').textContent"
                     ".includes('not answering since')", "that the router is not answering")
        silent = time.monotonic() - began
        check(b.run(f"return {OLD}.every((old) => old)"), "a panel does not say that it is old")
        now = b.run("return document.querySelector('.chart .readout').textContent")
        check(now == "now: no answer", f"of a silent router a chart says {now}")
        time.sleep(max(0, began + STOPPED_SECONDS - time.monotonic()))
    finally:
        os.kill(w.router.process.pid, signal.SIGCONT)
    b.eventually(f"return {STATE} === 'ready'", "that the router is back")
    b.eventually("return document.querySelectorAll('#picture .edge[data-state=in-sync]').length === 2",
                 "both edges in sync again")
    b.eventually(f"return !{OLD}.some((old) => old)", "that nothing is old any more")
    b.eventually("return document.querySelector('.chart .line').getAttribute('d').split('M').length >= 3",
                 "a gap in the chart of messages")
    return silent


FAILING = """
    window.failing = {};
    const real = window.fetch;
    window.fetch = (url, options) => (failing[url.split("?")[0]] ?? real)(url, options, real);"""
FAILED = "async () => Response.json({ error: 'made to <fail>' }, { status: 500 })"
GOES_ON = {"stats": "document.querySelector('.chart .line').getAttribute('d')",
           "edges": "document.querySelector('#edges tbody').textContent",
           "drops": "document.querySelector('#drops tbody').textContent"}


def one_failing_page_hides_no_other(b):
    b.run(FAILING)
    for page in GOES_ON:
        b.run(f"failing[arguments[0]] = {FAILED}", page)
        b.eventually("""return [...document.querySelectorAll("[data-pages]")].every((s) =>
                            s.classList.contains("old") === s.dataset.pages.split(" ").includes(arguments[0]) &&
                            s.classList.contains("old") === /^▲ Old: .* since \\d\\d:\\d\\d:\\d\\d \\(made to <fail>\\)\\.$/
                                .test(s.querySelector(".trouble").textContent))""", f"that what /{page} says is old",
                     page)
        state = ("not-known", "▲ state not known: /stats: made to <fail>") if page == "stats" else ("ready", "● in service")
        b.eventually("""const s = document.getElementById("state");
                        return s.dataset.state === arguments[0] && s.textContent === arguments[1]""",
                     f"the state {state} without /{page}", *state)
        check(b.run("return document.querySelectorAll('#picture .edge').length") >= 2, f"no picture without /{page}")
        for other in set(GOES_ON) - {page}:
            before = b.run(f"return {GOES_ON[other]}")
            b.eventually(f"return {GOES_ON[other]} !== arguments[0]", f"/{other} going on without /{page}", before)
        b.run("delete failing[arguments[0]]", page)
        b.eventually(f"return {STATE} === 'ready' && !{OLD}.some((old) => old)", f"/{page} as back")


def says_why_it_is_not_ready(b):
    why = "shard 1 is <b>warming up</b>"
    b.run("""failing.stats = async (url, options, real) => {
        const page = await (await real(url, options)).json();
        return Response.json({ ...page, ready: false, why_not_ready: arguments[0] });
    };""", why)
    b.eventually(f"return {STATE} === 'not-ready' && document.getElementById('state').textContent === arguments[0]",
                 "why the router is not in service", "◐ not in service: " + why)
    b.run("delete failing.stats")


def turns_the_pages_of_a_long_list(b):
    """The router's /edges, made to come one by one."""
    b.run("""window.turned = [];
        failing.edges = (url, options, real) => {
          turned.push(new URL(url, location).searchParams.get("after"));
          return real(url.replace("limit=1000", "limit=1"), options);
        };""")
    b.eventually("return turned.length > 4", "pages being turned")
    asked = b.run("return turned.slice(0, 3)")
    check(asked == [None, "e1", None], f"pages behind {asked} were asked for")
    check(b.run("return document.querySelectorAll('#picture .edge[data-state=in-sync]').length") == 2,
          "the picture has not both edges")
    b.run("delete failing.edges")


def a_slow_list_holds_up_nothing_else(b):
    """Each page of /edges comes in time, and always one more follows."""
    b.run("""window.turned = 0;
        failing.edges = async (url, { signal }) => {
          await new Promise((done) => setTimeout(done, 400));
          signal.throwIfAborted();
          return Response.json({ edges: [], next: "edge " + ++turned });
        };""")
    b.eventually("""return document.querySelector("[data-pages~='edges'] .trouble")?.textContent
                        .includes("(no answer in 1.5 s)")""", "that /edges is not told in time")
    check(b.run("return turned") > 1, "no second page was asked for")
    check(b.run(f"return {STATE}") == "ready", "the router seems not ready")
    for other in ("stats", "drops"):
        before = b.run(f"return {GOES_ON[other]}")
        b.eventually(f"return {GOES_ON[other]} !== arguments[0]", f"/{other} going on beside a slow list", before)
    b.run("delete failing.edges")
    b.eventually(f"return !{OLD}.some((old) => old)", "/edges as back")


def says_what_is_missing(w, b):
    """A page that has never been answered."""
    script = b.cdp("Page.addScriptToEvaluateOnNewDocument", source=FAILING + f"failing.edges = {FAILED};")["identifier"]
    b.open(w.url)
    b.eventually(f"""return {STATE} === "ready" && document.querySelector(".old .trouble")?.textContent ===
                        "▲ Missing: no answer from /edges yet (made to <fail>)." &&
                        document.querySelectorAll(".old").length === 1 &&
                        document.getElementById("n-edges").textContent === "-" &&
                        document.querySelectorAll("#picture .shard").length === 2""", "that the edges alone are missing")
    b.cdp("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
    b.open(w.url)
    b.eventually(f"return {STATE} === 'ready' && document.querySelectorAll('#picture .edge').length >= 2", "all again")


def fits_narrow_and_dark(b):
    light = b.run("return getComputedStyle(document.body).backgroundColor")
    b.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    check(b.run("return getComputedStyle(document.body).backgroundColor") != light, "dark looks like light")
    b.cdp("Emulation.setEmulatedMedia", features=[])
    b.resize(380, 800)
    b.eventually("return document.querySelector('#picture svg').clientWidth <= 380", "a narrow picture")
    check(b.run("return document.scrollingElement.scrollWidth") <= 380, "a narrow page must be moved sideways")
    b.resize(1280, 900)


def stays_small_with_many_edges(b):
    """The page's own modules, given 200 edges of 8 lanes at 8 shards, one of them lost."""
    b.run("""const [{ Edges }, { Picture }] = await Promise.all([
            import("/dashboard/edges.js"), import("/dashboard/picture.js")]);
        const holder = document.createElement("div");
        document.body.append(holder);
        const eight = [...Array(8).keys()];
        const link = (lost, lane, shard) => ({ lane, shard, state: lost ? "lingering" : "in sync",
                                               messages_in: 0, messages_out: 0 });
        const told = [...Array(200).keys()].map((k) => ({ edge: "many" + k, clients: 1,
            links: eight.flatMap((lane) => eight.map((shard) => link(k === 150, lane, shard))) }));
        const edges = new Edges();
        edges.update({ edges: told }, Date.now(), () => {});
        const rates = { "1s": { messages_in: 0, messages_out: 0 } };
        new Picture(holder).update(edges.list(),
            eight.map((shard) => ({ shard, slots: "0-1", rates, clients: 1, links: 1 })));
        window.many = { edges: holder.querySelectorAll(".edge").length, links: holder.querySelectorAll(".link").length,
                        lost: holder.querySelectorAll(".edge[data-edge=many150][data-state=lost]").length,
                        more: holder.textContent.includes("160 more edges") };
        holder.remove();""")
    check(b.run("return many") == {"edges": 40, "links": 320, "lost": 1, "more": True}, f"many: {b.run('return many')}")


def asks_nobody_else(w, b):
    origin = w.url.rstrip("/")
    asked = b.run("return performance.getEntriesByType('resource').map((e) => e.name)")
    check(len(asked) > 10 and all(a.startswith((origin + "/", "data:")) for a in asked),
          f"asked elsewhere: {[a for a in asked if not a.startswith(origin)][:3]}")
    check(b.run("return document.querySelectorAll('img, [onload], [onerror]').length") == 0, "an id became markup")
    check(b.run("return problems") == [], f"in the page: {b.run('return problems')}")
    wrong = [x for x in b.console() if x["level"] in ("WARNING", "SEVERE")]
    check(not wrong, f"in the console: {wrong[:3]}")
    # All this can be seen when it happens: the policy is in force, and told.
    b.run("const i = new Image(); i.src = 'http://127.0.0.2:1/x.png'; document.body.append(i);")
    b.eventually("return problems.some((p) => p.startsWith('policy: img-src'))", "a request elsewhere as refused")
    check(b.run("try { document.body.innerHTML = '<b>'; return false; } catch (e) { return e instanceof TypeError; }"),
          "a text can become markup")


def watch(b, seconds, nobody):
    """Until the charts look back that far; some messages to nobody meanwhile."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        nobody()
        time.sleep(min(1.5, max(0, end - time.monotonic())))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--programs", required=True)
    p.add_argument("--screenshots", metavar="FOLDER", help="keep dashboard.png and dashboard-edge-killed.png there")
    p.add_argument("--watch", metavar="SECONDS", type=float, default=0, help="before the screenshots")
    a = p.parse_args()
    folder = a.screenshots or tempfile.mkdtemp(prefix="beeline-dashboard-")
    os.makedirs(folder, exist_ok=True)
    try:
        with Cluster(a.programs) as cluster, Browser() as b:
            w = World(cluster)
            b.open(w.url)
            says_that_there_are_no_messages(b)
            w.load()
            shows_the_cluster(b)
            shows_the_time_to_the_answer(w, b)
            w.to_nobody()
            markup_stays_text(b)
            tells_of_refused_messages(w, b)
            kinds_keep_their_colours(w, b)
            looks_up_clients(b)
            charts_have_values(b)
            only_missing_answers_are_gaps(b)
            links_end_one_shard_after_the_other(b)
            watch(b, a.watch, w.to_nobody)
            b.screenshot(os.path.join(folder, "dashboard.png"), 1400)
            lost = tells_of_a_killed_edge(w, b)
            watch(b, a.watch / 6, lambda: None)
            b.screenshot(os.path.join(folder, "dashboard-edge-killed.png"), 620)
            silent = tells_of_a_silent_router(w, b)
            one_failing_page_hides_no_other(b)
            turns_the_pages_of_a_long_list(b)
            a_slow_list_holds_up_nothing_else(b)
            says_why_it_is_not_ready(b)
            says_what_is_missing(w, b)
            fits_narrow_and_dark(b)
            stays_small_with_many_edges(b)
            asks_nobody_else(w, b)
            print(f"killed edge shown after {lost:.0f} ms, silent router after {silent * 1000:.0f} ms; "
                  f"screenshots in {folder}")
    except Failure as e:
        print(f"dashboard_test: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
