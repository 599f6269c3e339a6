"""Systems under test for scripts/bench: each starts its servers on loopback and says where clients connect."""
import os
import shutil
import socket
import time

from cluster import Cluster, Failure, get


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, program, seconds=30):
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if program.process.poll() is not None or time.monotonic() > end:
                raise Failure(f"{program.name} does not listen at {port}; see {program.log.name}") from None
            time.sleep(0.05)


class System:
    """Running servers. `arguments` go to beeline-bench."""
    protocol, topics, needs, called_back, qos_max = "mqtt5", "subscribed", None, False, 0
    settle = "500ms"

    def __init__(self, programs):
        self.cluster = Cluster(programs)
        self.ports, self.servers, self.callback = [], {}, 0

    def server(self, name, *command):
        p = self.cluster.start(name, *command)
        self.servers[name] = p.process.pid
        return p

    def arguments(self):
        out = ["--protocol", self.protocol, "--topics", self.topics, "--settle", self.settle]
        for port in self.ports:
            out += ["--to", f"127.0.0.1:{port}"]
        for name, pid in self.servers.items():
            out += ["--server", f"{name}={pid}"]
        return out + (["--callback-port", str(self.callback)] if self.callback else [])

    def write(self, name, text):
        path = os.path.join(self.cluster.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.cluster.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.cluster.__exit__()
        shutil.rmtree(self.cluster.folder, ignore_errors=True)


class Beeline(System):
    topics, qos_max, settle = "direct", 1, "300ms"
    # A bench knows what it sends: its clients may have as much unsent as they keep in flight, and come at any rate.
    EDGE = ["--connect-rate", "0", "--max-client-output", "64MiB", "--max-pending", "100000", "--max-pending-bytes",
            "64MiB", "--max-inflight-bytes", "16MiB", "--log-level", "warning"]

    def start(self):
        c = self.cluster
        router = self.server("router", c.program("beeline-router"), "--listen", "127.0.0.1:0", "--shards", "1", "--admin",
                             "127.0.0.1:0", "--warm-up", "200ms", "--log-level", "warning")
        first = router.wait_for(r"shard 0 listening at (\S+)")[1]
        admin = int(router.wait_for(r"admin at http://\S+:(\d+)")[1])
        for k in (1, 2):
            edge = self.server(f"edge{k}", c.program("beeline-edge"), "--name", f"e{k}", "--lanes", "1", "--router", first,
                               "--mqtt", "127.0.0.1:0", "--admin", "127.0.0.1:0", *self.EDGE)
            self.ports.append(int(edge.wait_for(r"listening for MQTT at \S+:(\d+)")[1]))
            edge.wait_for("ready")
        while get(admin, "/stats")["totals"]["warming_up"]:
            time.sleep(0.05)


class BeelineAlone(Beeline):
    """One edge, for what one edge holds."""

    def start(self):
        super().start()
        self.ports = self.ports[:1]


class Floor(System):
    topics, settle = "direct", "300ms"

    def start(self):
        program = self.cluster.program("beeline-floor")
        first = self.server("router", program, "router").wait_for(r"listening at (\d+)")[1]
        for k in (1, 2):
            self.ports.append(int(self.server(f"edge{k}", program, "edge", first).wait_for(r"listening at (\d+)")[1]))


class Relay(System):
    protocol, hops = "relay", 3

    def start(self):
        self.callback = to = free_port()
        for k in range(self.hops, 0, -1):
            relay = self.server(f"relay{k}", self.cluster.program("beeline-relay"), str(to))
            to = int(relay.wait_for(r"listening at (\d+)")[1])
        self.ports = [to]


class Relay1(Relay):
    hops = 1


class Zmq(System):
    protocol = "zmtp"

    def start(self):
        program = self.cluster.program("beeline-zmq-chain")  # built where libzmq is
        first = self.server("router", program, "router").wait_for(r"listening at (\d+)")[1]
        for k in (1, 2):
            edge = self.server(f"edge{k}", program, "edge", f"e{k}", first)
            self.ports.append(int(edge.wait_for(r"listening at (\d+)")[1]))


class Nats(System):
    protocol, needs, routed = "nats", "nats-server", 1

    def start(self):
        routes = [free_port() for _ in range(self.routed)]
        for k in range(self.routed):
            port = free_port()
            pair = [] if self.routed == 1 else ["--cluster_name", "bench", "--cluster", f"nats://127.0.0.1:{routes[k]}",
                                               "--routes", f"nats://127.0.0.1:{routes[0]}"]
            p = self.server(f"nats{k + 1}", "nats-server", "-a", "127.0.0.1", "-p", str(port), *pair)
            wait_for_port(port, p)
            self.ports.append(port)
            if k:
                p.wait_for("Route connection created")


class NatsPair(Nats):
    routed = 2


class Mosquitto(System):
    protocol, needs, qos_max = "mqtt311", "mosquitto", 1

    def broker(self, name, more=""):
        port = free_port()
        path = self.write(name + ".conf", f"""listener {port} 127.0.0.1
allow_anonymous true
persistence false
set_tcp_nodelay true
max_queued_messages 0
max_inflight_messages 0
log_type error
{more}
""")
        wait_for_port(port, self.server(name, shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", path))
        self.ports.append(port)
        return port

    def start(self):
        self.broker("mosquitto")


class MosquittoBridge(Mosquitto):
    qos_max = 0

    def start(self):
        first = self.broker("mosquitto1")
        self.ports.clear()
        second = self.broker("mosquitto2", f"""connection bench
address 127.0.0.1:{first}
topic b/# in 0
""")
        self.ports = [first, second]
        time.sleep(1)  # until the bridge has subscribed


class Redis(System):
    protocol, needs = "redis", "redis-server"

    def start(self):
        port = free_port()
        p = self.server("redis", "redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly",
                        "no", "--client-output-buffer-limit", "pubsub 0 0 0")
        wait_for_port(port, p)
        self.ports = [port]


class RabbitMq(System):
    protocol, needs, qos_max = "mqtt311", "rabbitmq-server", 1

    def start(self):
        port, amqp, dist, epmd = (free_port() for _ in range(4))
        folder = self.cluster.folder
        plugins = self.write("enabled_plugins", "[rabbitmq_mqtt].\n")
        self.write("rabbitmq.conf", f"""listeners.tcp.1 = 127.0.0.1:{amqp}
mqtt.listeners.tcp.1 = 127.0.0.1:{port}
mqtt.allow_anonymous = true
log.console.level = warning
""")
        environment = {
            "HOME": folder, "ERL_EPMD_PORT": str(epmd), "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": "bench@localhost", "RABBITMQ_DIST_PORT": str(dist),
            "RABBITMQ_ENABLED_PLUGINS_FILE": plugins, "RABBITMQ_CONFIG_FILE": os.path.join(folder, "rabbitmq.conf"),
            "RABBITMQ_MNESIA_BASE": os.path.join(folder, "mnesia"), "RABBITMQ_LOG_BASE": os.path.join(folder, "log"),
            "RABBITMQ_LOGS": "-", "RABBITMQ_ALLOW_INPUT": "1"}
        words = [f"{k}={v}" for k, v in environment.items()]
        self.cluster.start("epmd", "epmd", "-port", str(epmd), "-address", "127.0.0.1")
        # The script in /usr/sbin wants another user; this is the one behind it.
        script = "/usr/lib/rabbitmq/bin/rabbitmq-server"
        p = self.cluster.start("rabbitmq", "env", *words, "sh", script)
        wait_for_port(port, p, 60)
        self.servers = {"rabbitmq": self.process_of_port(port)}
        self.ports = [port]

    @staticmethod
    def process_of_port(port):
        """The process that listens there: the script has started it."""
        with open("/proc/net/tcp", encoding="ascii") as f:
            rows = [line.split() for line in f][1:]
        inodes = {f"socket:[{r[9]}]" for r in rows if r[3] == "0A" and int(r[1].split(":")[1], 16) == port}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                files = os.listdir(f"/proc/{pid}/fd")
                if any(os.readlink(f"/proc/{pid}/fd/{n}") in inodes for n in files):
                    return int(pid)
            except OSError:
                continue
        raise Failure(f"nobody listens at {port}")

    def __exit__(self, *_):
        pid = self.servers.get("rabbitmq")
        if pid:
            try:
                os.kill(pid, 15)
            except ProcessLookupError:
                pass
        super().__exit__()


OURS = {"beeline": Beeline, "floor": Floor}
PEERS = {"relay 1": Relay1, "relay 3": Relay, "NATS": Nats, "NATS pair": NatsPair, "Redis": Redis, "ZeroMQ chain": Zmq,
         "Mosquitto": Mosquitto, "Mosquitto bridge": MosquittoBridge, "RabbitMQ": RabbitMq}


def is_there(system, programs):
    if system is Zmq:
        return os.path.exists(os.path.join(programs, "beeline-zmq-chain"))
    return system.needs is None or shutil.which(system.needs, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
