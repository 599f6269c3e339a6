"""scripts/cluster: routers and edges in the background, known by a file in the cluster's folder.

The file, cluster.json, holds of each role its command, ports, pid and the moment its process began. A process is
signalled only while both pid and moment are right: a pid that the system has given to another is left alone. Each is
started with a mark in its environment that the file knows before: if the command is killed before it has written the
pid, the next one finds the process by its mark.
"""
import argparse
import fcntl
import json
import os
import random
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import Failure  # noqa: E402

SLOTS = 4096
ADMIN_OFFSET, MQTT_OFFSET, DEFAULT_BASE, DEFAULT_MQTT = 80, 160, 7400, 1883
PROGRAMS = {"router": "beeline-router", "edge": "beeline-edge"}
MARK = "CLUSTER_ROLE"  # in the environment; not BEELINE_..., which the programs would take for an option


# ---- Processes ----------------------------------------------------------------------------------------------------

def began(pid):
    """When the process began, in ticks since the system did; None: there is none, or it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            fields = f.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def is_ours(role):
    """The process of the role still is the one that was started."""
    if role.get("pid") is None or began(role["pid"]) != role["began"]:
        return False
    try:  # of a program that was built anew since: "... (deleted)"
        program = os.readlink(f"/proc/{role['pid']}/exe").removesuffix(" (deleted)")
    except OSError:
        return False
    return os.path.basename(program) == os.path.basename(role["command"][0])


def start(folder, roles, name, more=()):
    role = roles[name]
    role["pid"], role["mark"] = None, f"{name}-{secrets.token_hex(8)}"
    folder.save(roles)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BEELINE_")}
    with open(role["log"], "ab") as log:
        process = subprocess.Popen([*role["command"], *more], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   start_new_session=True, env=environment | {MARK: role["mark"]})
    role["pid"], role["began"] = process.pid, began(process.pid)
    folder.save(roles)


def marked(mark):
    """The process with that mark, or None."""
    wanted = f"{MARK}={mark}".encode()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                if wanted in f.read().split(b"\0"):
                    return int(pid)
        except OSError:
            pass  # of another user, or gone
    return None


def find_unrecorded(roles):
    """Who started them was killed before it could write down the pid."""
    for role in roles.values():
        if role.get("pid") is None and role.get("mark") and (pid := marked(role["mark"])):
            role["pid"], role["began"] = pid, began(pid)


def end(roles, how, seconds=10):
    """Signals all, waits, and kills those that stay."""
    for role in roles:
        if is_ours(role):
            os.kill(role["pid"], how)
    limit = time.monotonic() + seconds
    while any(is_ours(r) for r in roles):
        if time.monotonic() > limit:
            for role in filter(is_ours, roles):
                os.kill(role["pid"], signal.SIGKILL)
            limit += seconds
        time.sleep(0.02)
    for role in roles:
        role["pid"] = role["mark"] = None


def short(path):
    """As somebody in the current folder would write it."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def default_folder(root):
    return os.path.join(os.path.abspath(root), "build", "cluster")


def last_line(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            lines = f.read().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""


def wait_ready(roles, seconds=30):
    limit = time.monotonic() + seconds
    for name, role in roles.items():
        while True:
            if not is_ours(role):
                raise Failure(f"{name} ended: {last_line(role['log'])} (log: {short(role['log'])})")
            try:
                with urllib.request.urlopen(f"http://{role['admin']}/readyz", timeout=2):
                    break
            except urllib.error.HTTPError as e:
                why = json.loads(e.read() or b"{}").get("why", str(e))
            except OSError as e:
                why = str(e)
            if time.monotonic() > limit:
                raise Failure(f"{name} is not ready after {seconds} s: {why} (log: {short(role['log'])})")
            time.sleep(0.05)


# ---- The plan: roles, ports, commands ---------------------------------------------------------------------------

def ports_of(base, options):
    """(all ports, first of the routers' links, of the statistics, of MQTT)."""
    mqtt = DEFAULT_MQTT if base == DEFAULT_BASE else base + MQTT_OFFSET
    links = options.routers * options.shards
    servers = options.routers + options.edges
    wanted = [base + i for i in range(links)] + [base + ADMIN_OFFSET + i for i in range(servers)]
    return wanted + [mqtt + i for i in range(options.edges)], base, base + ADMIN_OFFSET, mqtt


def is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose_base(options):
    if options.port_base:
        return options.port_base
    for _ in range(200):  # below the ports that the system gives to outgoing connections
        base = random.randrange(10_000, 32_000, 256)
        if all(map(is_free, ports_of(base, options)[0])):
            return base
    raise Failure("no free ports found; give --port-base")


def plan(options):
    """(the roles, all their ports)."""
    ports, link, admin, mqtt = ports_of(choose_base(options), options)
    roles, routers = {}, []

    def add(kind, number, *arguments):
        name = f"{kind}{number}"
        address = f"127.0.0.1:{admin + len(roles)}"
        command = [os.path.join(options.programs, PROGRAMS[kind]), "--admin", address, *arguments]
        roles[name] = {"command": command, "admin": address, "log": os.path.join(options.dir, name + ".log")}
        return roles[name]

    for k in range(options.routers):
        routers.append(f"127.0.0.1:{link + k * options.shards}")
        slots = f"{SLOTS * k // options.routers}-{SLOTS * (k + 1) // options.routers - 1}"
        add("router", k, "--listen", routers[-1], "--shards", str(options.shards), "--slots", slots)
    for k in range(options.edges):
        address = f"127.0.0.1:{mqtt + k}"
        role = add("edge", k, "--name", f"edge{k}", "--mqtt", address, "--lanes", str(options.lanes), "--router",
                   ",".join(routers))
        role["mqtt"] = address
    return roles, ports


# ---- The folder ---------------------------------------------------------------------------------------------------

class Folder:
    """The cluster's folder, locked while a command works on it. Its file `lock` says which."""

    def __init__(self, options, create=False):
        path = options.dir
        self.path = path
        self.state = os.path.join(path, "cluster.json")
        if create:
            os.makedirs(path, exist_ok=True)
        if not os.path.isdir(path):
            raise Failure("no cluster is up; scripts/cluster up starts one")
        self.lock = open(os.path.join(path, "lock"), "a+", encoding="utf-8")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.lock.seek(0)
            other = self.lock.read().strip() or "another command"
            print(f"scripts/cluster: waiting: {other} is at work in {short(path)}", file=sys.stderr, flush=True)
            fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.lock.truncate(0)
        self.lock.write(f"{options.command} (pid {os.getpid()})\n")
        self.lock.flush()

    def roles(self):
        try:
            with open(self.state, encoding="utf-8") as f:
                roles = json.load(f)
        except FileNotFoundError:
            return {}
        find_unrecorded(roles)
        return roles

    def save(self, roles):
        with open(self.state + ".new", "w", encoding="utf-8") as f:
            json.dump(roles, f, indent=1)
        os.replace(self.state + ".new", self.state)

    def forget(self):
        if os.path.exists(self.state):
            os.remove(self.state)


def running(folder):
    if roles := folder.roles():
        return roles
    raise Failure("no cluster is up; scripts/cluster up starts one")


def the_role(roles, name):
    if name not in roles:
        raise Failure(f"there is no {name}; there are {', '.join(roles)}")
    return roles[name]


# ---- The commands -------------------------------------------------------------------------------------------------

def up(options):
    folder = Folder(options, create=True)
    if any(map(is_ours, folder.roles().values())):
        where = "" if options.dir == default_folder(options.root) else f" --dir {shlex.quote(short(options.dir))}"
        raise Failure(f"a cluster is up already in {short(options.dir)}; scripts/cluster down{where} ends it")
    roles, ports = plan(options)
    if taken := [p for p in ports if not is_free(p)]:
        raise Failure(f"port {taken[0]} is in use; give another --port-base, or 0 to look for free ports")
    try:
        for name, role in roles.items():
            open(role["log"], "w").close()
            # Nobody was here before: a router that starts with the cluster need not wait for edges it may have known.
            start(folder, roles, name, ["--warm-up", "200ms"] if name.startswith("router") else [])
        wait_ready(roles)
    except BaseException:
        end(roles.values(), signal.SIGTERM)
        folder.forget()
        raise
    for name, role in roles.items():
        mqtt = f"MQTT {role['mqtt']}, " if "mqtt" in role else ""
        print(f"{name:9} {mqtt}admin {role['admin']}, pid {role['pid']}")
    print(f"logs are in {short(options.dir)}")


def down(options):
    folder = Folder(options)
    roles = running(folder)
    edges = [r for n, r in roles.items() if n.startswith("edge")]
    routers = [r for n, r in roles.items() if n.startswith("router")]
    end(edges, signal.SIGTERM)  # first, so that they say good-bye
    end(routers, signal.SIGTERM)
    folder.forget()
    print(f"down; logs stay in {short(options.dir)}")


def kill(options):
    folder = Folder(options)
    roles = running(folder)
    role = the_role(roles, options.role)
    if not is_ours(role):
        raise Failure(f"{options.role} does not run")
    end([role], signal.SIGKILL)
    folder.save(roles)
    print(f"{options.role} killed")


def restart(options):
    folder = Folder(options)
    roles = running(folder)
    role = the_role(roles, options.role)
    end([role], signal.SIGTERM)
    start(folder, roles, options.role)
    wait_ready({options.role: role})
    print(f"{options.role} is ready, pid {role['pid']}")


def admin_list(roles):
    return ",".join(r["admin"] for r in roles.values())


def status(options):
    roles = running(Folder(options))
    command = [os.path.join(options.programs, "beeline"), "status", "--admin", admin_list(roles)]
    return subprocess.run(command + (["--json"] if options.json else [])).returncode


def logs(options):
    if not os.path.isdir(options.dir):
        raise Failure("no cluster was ever up; scripts/cluster up starts one")
    names = sorted(n.removesuffix(".log") for n in os.listdir(options.dir) if n.endswith(".log"))
    if options.role and options.role not in names:
        raise Failure(f"there is no log of {options.role}; there are {', '.join(names)}")
    for name in [options.role] if options.role else names:
        path = os.path.join(options.dir, name + ".log")
        with open(path, encoding="utf-8", errors="replace") as f:
            lines = f.read().splitlines()
        if not options.role:
            print(f"== {short(path)}")
        print(*(lines if options.role else lines[-5:]), sep="\n")


def env(options):
    roles = running(Folder(options))
    print(f"export BEELINE_ADMIN={admin_list(roles)}")


def number(least, most):
    def parse(text):
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"'{text}' is no number from {least} to {most}")
        return int(text)
    return parse


class Parser(argparse.ArgumentParser):
    def error(self, message):
        sys.exit(fail(f"{message}; scripts/cluster --help shows the options", 2))


def fail(message, code):
    print(f"scripts/cluster: {message}", file=sys.stderr)
    return code


def parse():
    p = Parser(add_help=False, allow_abbrev=False)
    p.add_argument("--root", required=True)
    p.add_argument("--programs", required=True)
    p.add_argument("--dir")
    p.add_argument("command")
    command = next((a for a in sys.argv[3:] if not a.startswith("-")), "")
    if command == "up":
        p.add_argument("--routers", type=number(1, 16), default=1)
        p.add_argument("--shards", type=number(1, 16), default=2)
        p.add_argument("--edges", type=number(1, 32), default=2)
        p.add_argument("--lanes", type=number(1, 64), default=2)
        p.add_argument("--port-base", type=number(0, 65_000), default=DEFAULT_BASE)
    if command in ("kill", "restart"):
        p.add_argument("role")
    if command == "logs":
        p.add_argument("role", nargs="?")
    if command == "status":
        p.add_argument("--json", action="store_true")
    options = p.parse_args()
    if command == "up" and options.routers * options.shards > ADMIN_OFFSET:
        p.error(f"--routers times --shards is more than {ADMIN_OFFSET}")
    options.dir = os.path.abspath(options.dir or default_folder(options.root))
    options.programs = os.path.abspath(options.programs)
    return options


def main():
    options = parse()
    commands = {"up": up, "down": down, "status": status, "kill": kill, "restart": restart, "logs": logs, "env": env}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        return commands[options.command](options) or 0
    except (Failure, OSError, subprocess.SubprocessError, ValueError) as e:
        return fail(str(e), 1)
    except KeyboardInterrupt:
        return 1


if __name__ == "__main__":
    sys.exit(main())
