#!/usr/bin/env python3
"""Compiles each header that is installed alone, two at once, and checks what the public ones include.

usage: headers_test.py CXX_COMPILER ROOT          (ROOT/common/include/beeline is public; base, wire, link are core)
       headers_test.py --self-test CXX_COMPILER   (shows that it finds what it is there to find)
"""
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import tempfile

FLAGS = ["-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c++", "-"]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
ALLOWED = re.compile(r"beeline/(detail/)?[a-z_]+\.hpp|[a-z_0-9]+|boost/asio/[a-z_/]+\.hpp|boost/system/[a-z_]+\.hpp|"
                     r"boost/version\.hpp")


def compiles(compiler, folder, name):
    """What the compiler says of one header; empty when it compiles alone, and twice."""
    text = f"#include <{name}>\n#include <{name}>\nint main() {{}}\n"
    done = subprocess.run([compiler, "-I", folder, *FLAGS], input=text, text=True, capture_output=True, timeout=240)
    return "" if done.returncode == 0 else f"{name} does not compile alone:\n{done.stderr}"


def includes(path):
    """What a public header includes and may not."""
    with open(path, encoding="utf-8") as file:
        return [f"{path} includes {mark}{name}" for mark, name in INCLUDE.findall(file.read())
                if mark != "<" or not ALLOWED.fullmatch(name)]


def check(compiler, root):
    public = os.path.join(root, "common", "include")
    jobs = [(public, os.path.relpath(p, public)) for p in sorted(glob.glob(public + "/**/*.hpp", recursive=True))]
    for part in ("base", "wire", "link"):
        core = glob.glob(f"{root}/common/{part}/*.hpp") + glob.glob(f"{root}/common/{part}/endpoint.ipp")
        jobs += [(root, os.path.relpath(p, root)) for p in sorted(core)]
    found = [line for folder, name in jobs if folder == public for line in includes(os.path.join(folder, name))]
    with concurrent.futures.ThreadPoolExecutor(2) as two:
        found += filter(None, two.map(lambda job: compiles(compiler, *job), jobs))
    return len(jobs), found


PLANTED = {  # content of one header, and how many complaints it is worth
    "#pragma once\n#include <string>\ninline std::string f() { return {}; }\n": 0,
    "#pragma once\n#include <string>\n#include <boost/asio/io_context.hpp>\n#include <beeline/h.hpp>\n": 0,
    "#pragma once\ninline std::string f() { return {}; }\n": 1,  # needs what it does not include
    "inline int f() { return 1; }\n": 1,  # twice
    "#pragma once\ninline void f() { int unused; }\n": 1,
    "#pragma once\n#include <boost/version.hpp>\n": 0,
    "#pragma once\n#include <boost/beast/core/error.hpp>\n": 1,
    "#pragma once\n#include <sys/socket.h>\n": 1,
    '#pragma once\n#include "h.hpp"\n': 1,
}


def self_test(compiler):
    failures = 0
    for content, expected in PLANTED.items():
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(root + "/common/include/beeline")
            with open(root + "/common/include/beeline/h.hpp", "w", encoding="utf-8") as file:
                file.write(content)
            found = check(compiler, root)[1]
        if len(found) != expected:
            failures += 1
            print(f"{content!r}: {expected} expected, {len(found)} found: {found}")
    print(f"self-test: {len(PLANTED) - failures} of {len(PLANTED)} cases pass")
    return failures


def main():
    if sys.argv[1] == "--self-test":
        return 1 if self_test(sys.argv[2]) else 0
    count, found = check(*sys.argv[1:])
    print(*found, f"{count} headers, {len(found)} complaints", sep="\n")
    return 1 if found or count < 20 else 0


sys.exit(main())
