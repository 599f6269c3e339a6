"""Headless Chromium for a test, spoken to in WebDriver's own JSON over HTTP (docs/decisions/0011-webdriver.md).

Ends what it started: the browser by its session, then chromedriver; what is left of the browser by pid.
"""
import base64
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts", "lib"))
from cluster import Failure, Program  # noqa: E402

ARGUMENTS = ["--headless=new", "--no-sandbox",         # there is no sandbox for root, nor in a chroot
             "--disable-dev-shm-usage",                # /dev/shm may be small or missing
             "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--no-first-run", "--no-default-browser-check", "--disable-extensions", "--no-proxy-server",
             "--force-device-scale-factor=1", "--lang=en-US"]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # WebDriver's name for a reference

# In the page before its own scripts: what went wrong is kept.
WATCH = """
window.problems = [];
performance.setResourceTimingBufferSize(20000);
addEventListener("error", (e) => problems.push("error: " + e.message));
addEventListener("unhandledrejection", (e) => problems.push("rejected: " + e.reason));
document.addEventListener("securitypolicyviolation", (e) =>
  problems.push("policy: " + e.violatedDirective + " " + e.blockedURI));
"""


def program(*names):
    for name in names:
        if found := shutil.which(name):
            return found
    raise Failure(f"{names[0]} is missing: run scripts/setup")


class Browser:
    def __init__(self, width=1280, height=900):
        self.folder = tempfile.mkdtemp(prefix="beeline-browser-")
        self.session = self.pid = None
        self.driver = Program("chromedriver", [program("chromedriver"), "--port=0"], self.folder)
        try:
            port = self.driver.wait_for(r"started successfully on port (\d+)")[1]
            self.base = f"http://127.0.0.1:{port}"
            options = {"binary": program("chromium"), "args": [*ARGUMENTS, f"--user-data-dir={self.folder}/profile",
                                                               f"--window-size={width},{height}"]}
            found = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
                "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
            self.session = "/session/" + found["sessionId"]
            self.pid = found["capabilities"].get("goog:processID")
            self.cdp("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        except BaseException:
            self.close()
            raise

    def call(self, method, path, body=None, seconds=60):
        data = None if method in ("GET", "DELETE") else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as e:
            raise Failure(f"browser: {path}: {json.load(e)['value']['message'].splitlines()[0]}") from None
        except OSError as e:
            raise Failure(f"browser: {path}: {e}") from None

    def cdp(self, command, **parameters):
        return self.call("POST", self.session + "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, url):
        self.call("POST", self.session + "/url", {"url": url})

    def run(self, script, *arguments):
        """What the script returns, in the page; it may await."""
        script = f"return (async function () {{ {script} }}).apply(null, arguments)"
        return self.call("POST", self.session + "/execute/sync", {"script": script, "args": list(arguments)})

    def eventually(self, script, what, *arguments, seconds=20):
        end = time.monotonic() + seconds
        while not (found := self.run(script, *arguments)):
            if time.monotonic() > end:
                raise Failure(f"the page did not show in {seconds} s: {what}")
            time.sleep(0.05)
        return found

    def element(self, selector):
        found = self.call("POST", self.session + "/element", {"using": "css selector", "value": selector})
        return f"{self.session}/element/{found[ELEMENT]}"

    def type(self, selector, text):
        """Real key presses, into what is there."""
        self.call("POST", self.element(selector) + "/value", {"text": text})

    def clear(self, selector):
        self.call("POST", self.element(selector) + "/clear")

    def console(self):
        """What the console got since the last call."""
        return self.call("POST", self.session + "/se/log", {"type": "browser"})

    def resize(self, width, height):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def screenshot(self, path, height):
        """The page from its top, that many pixels of it."""
        width = self.run("return innerWidth")
        shot = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                        clip={"x": 0, "y": 0, "width": width, "height": height, "scale": 1})
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def close(self):
        try:
            if self.session:
                self.call("DELETE", self.session, seconds=10)
        except Failure:
            pass  # the rest ends it
        self.driver.stop()
        if self.pid and self.is_browser():
            os.kill(self.pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def is_browser(self):
        try:
            with open(f"/proc/{self.pid}/cmdline", encoding="utf-8", errors="replace") as file:
                return self.folder in file.read()
        except OSError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
