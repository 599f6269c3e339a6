#!/usr/bin/env python3
"""Installs a build into a folder of its own and uses it from there, as an outside project does.

usage: install_test.py CMAKE BUILD_DIR CXX_COMPILER VERSION SYSCONFDIR SOURCE_DIR
Builds nothing of the build itself. What went wrong is printed, and the exit code is 1.
"""
import os
import re
import signal
import subprocess
import sys
import tempfile

cmake, build, compiler, version, etc, sources = sys.argv[1:]
here = os.path.dirname(os.path.abspath(__file__))


def fail(what):
    print("FAILED:", what, flush=True)
    sys.exit(1)


def run(*command, fails=False, **more):
    """Output of a command that succeeds (or fails, when it should)."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240, **more)
    if (done.returncode != 0) != fails:
        fail(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}")
    return done.stdout


def check(condition, what):
    if not condition:
        fail(what)


def configure(prefix, source, binary, wanted, fails=False):
    return run(cmake, "-S", source, "-B", binary, "-G", "Ninja", "-D", f"CMAKE_CXX_COMPILER={compiler}", "-D",
               "CMAKE_BUILD_TYPE=Debug", "-D", f"CMAKE_PREFIX_PATH={prefix}", "-D", f"WANTED={wanted}", fails=fails)


def documented(text):
    """name -> (placeholder, default or None) of each option in --help, but those of the group General."""
    head = r"^  --([a-z0-9-]+) ([^ ]+)(?: \(=(.*?)\))?(?=\s|$)"
    return {m[1]: (m[2], m[3]) for m in re.finditer(head, text.split("General:")[0], re.M)}


def check_conf(prefix, program):
    """The default configuration names every option with its default, and can be started with."""
    path = os.path.join(prefix, etc, "beeline", program.split("-")[1] + ".conf")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    binary = os.path.join(prefix, "bin", program)
    options = documented(run(binary, "--help"))
    check(len(options) > 10, f"{program} --help: {options}")
    written = dict(re.findall(r"^#([a-z0-9-]+) = (.*)$", text, re.M))
    expected = {name: default if default is not None else what for name, (what, default) in options.items()}
    for name in sorted(expected.keys() | written.keys()):
        check(written.get(name) == expected.get(name),
              f"{path}: {name} is {written.get(name)}, --help says {expected.get(name)}")
    check(not re.search(r"^[^#\n]", text, re.M), f"{path} sets something")
    # With every default written out the program takes it too.
    whole = re.sub(r"^#([a-z0-9-]+ = .*)$", lambda m: m[1] if options[m[1].split(" ")[0]][1] is not None else m[0],
                   text, flags=re.M)
    check(whole != text, f"{path} has no default")
    with open(os.path.join(prefix, "all.conf"), "w", encoding="utf-8") as file:
        file.write(whole)
    for conf in (path, file.name):
        starts(binary, conf)


def starts(binary, conf):
    """It gets as far as its admin server, and ends when asked to."""
    own = ["--admin", "127.0.0.1:0"]
    own += ["--listen", "127.0.0.1:0"] if binary.endswith("router") else \
           ["--mqtt", "127.0.0.1:0", "--router", "127.0.0.1:1"]
    program = subprocess.Popen([binary, "--config", conf, *own], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True)
    said = []
    for line in program.stdout:
        said.append(line)
        if "admin at http://" in line:
            program.send_signal(signal.SIGTERM)
    check(program.wait(timeout=60) == 0, f"{binary} --config {conf}: exit code {program.returncode}\n{''.join(said)}")


def check_unit(at, program, etc_at, bin_at):
    """The unit for systemd starts the installed program with the installed configuration, and options that there are."""
    path = os.path.join(at, "lib", "systemd", "system", program + ".service")
    with open(path, encoding="utf-8") as file:
        unit = file.read()
    check("@" not in unit, f"{path}: a placeholder is left")
    command = re.search(r"^ExecStart=(.*)$", unit, re.M)[1].split()
    conf = os.path.join(etc_at, program.split("-")[1] + ".conf")
    check(command[0] == os.path.join(bin_at, program), f"{path} starts {command[0]}")
    check(command[1:3] == ["--config", conf], f"{path} reads {command[1:3]}, not {conf}")
    check(f"LoadCredential=secret:{etc_at}/secret" in unit, f"{path}: the secret lies elsewhere")
    known = run(os.path.join(build, "beeline-router") if program.endswith("router") else
                os.path.join(build, "beeline-edge"), "--help")
    for option in re.findall(r" (--[a-z-]+)", " ".join(command)):
        check(f"  {option} " in known, f"{path}: no option {option}")


def check_absolute_folders(work):
    """As a distribution configures it: /etc stays /etc, below DESTDIR."""
    other, stage = os.path.join(work, "other"), os.path.join(work, "stage")
    run(cmake, "-S", sources, "-B", other, "-G", "Ninja", "-D", f"CMAKE_CXX_COMPILER={compiler}", "-D",
        "CMAKE_INSTALL_PREFIX=/usr", "-D", "CMAKE_INSTALL_SYSCONFDIR=/etc", "-D", "CMAKE_INSTALL_LIBDIR=/usr/lib/here",
        "-D", "BEELINE_TESTS=OFF")
    for _ in range(2):  # the second time it keeps what is there
        run(cmake, "--install", other, "--component", "config", env=dict(os.environ, DESTDIR=stage))
        with open(os.path.join(stage, "etc", "beeline", "router.conf"), "a", encoding="utf-8") as file:
            file.write("# ours\n")
    with open(file.name, encoding="utf-8") as file:
        check(file.read().endswith("# ours\n# ours\n"), "a configuration that was there was written over")
    check_unit(os.path.join(stage, "usr"), "beeline-router", "/etc/beeline", "/usr/bin")
    with open(os.path.join(other, "common", "embed", "beeline.pc"), encoding="utf-8") as file:
        pc = file.read()
    for line in ("prefix=/usr\n", "includedir=${prefix}/include\n", "libdir=/usr/lib/here\n"):
        check(line in pc, f"beeline.pc has no line {line}{pc}")


def check_first_program(prefix, work, flags, libraries):
    """docs/embedding.md's first program does what the page says."""
    with open(os.path.join(here, "..", "..", "docs", "embedding.md"), encoding="utf-8") as file:
        page = file.read()
    source, binary = os.path.join(work, "first.cpp"), os.path.join(work, "first")
    with open(source, "w", encoding="utf-8") as file:
        file.write(re.search(r"^```cpp\n(.*?)^```", page, re.S | re.M)[1])
    run(compiler, "-std=c++20", "-Wall", "-Wextra", "-Werror", source, "-o", binary, *flags)
    router = subprocess.Popen([os.path.join(prefix, "bin", "beeline-router"), "--listen", "127.0.0.1:0", "--admin",
                               "127.0.0.1:0", "--shards", "1", "--warm-up", "0s"], stdout=subprocess.PIPE, text=True)
    try:
        listening = next(line for line in router.stdout if "shard 0 listening at " in line)
        address = re.search(r"127\.0\.0\.1:\d+", listening)[0]
        said = run(binary, address, env=dict(os.environ, LD_LIBRARY_PATH=libraries))
    finally:
        router.kill()
        router.wait()
    said_nothing = subprocess.run([binary], capture_output=True, text=True, env=dict(os.environ, LD_LIBRARY_PATH=libraries),
                                  timeout=30, check=False)
    check((said_nothing.returncode, said_nothing.stderr) == (2, f"usage: {binary} HOST:PORT\n"),
          f"first program without an address: {said_nothing}")
    check(said.splitlines() == ["bob hears from alice: hello", "alice is told: accepted"], f"first program: {said}")


def check_other_boost(work, flags):
    """A program that is compiled with another Boost than the library was does not link with it."""
    fake = os.path.join(work, "other_boost", "boost")
    os.makedirs(fake)
    with open(os.path.join(fake, "version.hpp"), "w", encoding="utf-8") as file:
        file.write("#pragma GCC system_header\n#include_next <boost/version.hpp>\n"
                   "#undef BOOST_VERSION\n#define BOOST_VERSION 999900\n")
    binary, source = os.path.join(work, "other_main"), os.path.join(here, "lane_main.cpp")
    said = run(compiler, "-std=c++20", "-I", os.path.dirname(fake), source, "-o", binary, *flags, fails=True)
    check(re.search(r"undefined reference .*boost_999900", said), f"another Boost was refused otherwise:\n{said}")


def main():
    with tempfile.TemporaryDirectory(prefix="beeline-install-") as work:
        # Installed at one place and used at another: nothing may remember the first.
        first, prefix, out = (os.path.join(work, n) for n in ("first", "prefix", "out"))
        run(cmake, "--install", build, "--prefix", first)
        os.rename(first, prefix)
        for program in ("beeline-router", "beeline-edge", "beeline"):
            said = run(os.path.join(prefix, "bin", program), "--version")
            check(said.startswith(f"{program} {version}"), f"{program} --version: {said}")
            if program != "beeline":
                check_unit(prefix, program, os.path.join(first, etc, "beeline"), os.path.join(first, "bin"))
        check("explain" in run(os.path.join(prefix, "bin", "beeline"), "help"), "beeline help")
        check_absolute_folders(work)

        print(configure(prefix, here, out, version).splitlines()[-1])
        run(cmake, "--build", out, "--parallel", "2")
        for program in ("shared_main", "static_main"):
            said = run(os.path.join(out, program))
            check(said == f"beeline {version}\n", f"{program}: {said}")
        check("no network here" in run(os.path.join(out, "core_main")), "core_main does not say why it is not ready")
        check("libbeeline.so" in run("ldd", os.path.join(out, "shared_main")), "shared_main has no shared library")
        check("libbeeline.so" not in run("ldd", os.path.join(out, "static_main")), "static_main has a shared library")

        major, minor, patch = map(int, version.split("."))
        for higher in (f"{major}.{minor}.{patch + 1}", f"{major}.{minor + 1}", f"{major + 1}.0"):
            said = configure(prefix, here, os.path.join(work, "none"), higher, fails=True)
            check("compatible with requested" in said, f"version {higher} was refused for another reason:\n{said}")

        found = next(folder for folder, _, files in os.walk(prefix) if "beeline.pc" in files)
        pkg = dict(os.environ, PKG_CONFIG_PATH=found)
        check(run("pkg-config", "--modversion", "beeline", env=pkg).strip() == version, "beeline.pc has another version")
        flags = run("pkg-config", "--cflags", "--libs", "beeline", env=pkg).split()
        program = os.path.join(work, "pkg_main")
        run(compiler, "-std=c++20", os.path.join(here, "lane_main.cpp"), "-o", program, *flags)
        libraries = run("pkg-config", "--variable=libdir", "beeline", env=pkg).strip()
        said = run(program, env=dict(os.environ, LD_LIBRARY_PATH=libraries))
        check(said == f"beeline {version}\n", f"pkg_main: {said}")

        check_first_program(prefix, work, flags, libraries)
        check_other_boost(work, flags)
        for program in ("beeline-router", "beeline-edge"):
            check_conf(prefix, program)
        # A configuration that somebody has changed stays.
        conf = os.path.join(prefix, etc, "beeline", "router.conf")
        with open(conf, "a", encoding="utf-8") as file:
            file.write("shards = 1\n")
        run(cmake, "--install", build, "--prefix", prefix)
        with open(conf, encoding="utf-8") as file:
            check(file.read().endswith("shards = 1\n"), f"{conf} was overwritten")
        check(any("LICENSE" in files for _, _, files in os.walk(prefix)), "no licence was installed")
    print("installed, used, and refused where it should be")


main()
