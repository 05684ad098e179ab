# SPDX-License-Identifier: BSD-3-Clause
"""What benchmarks measure: software cards, pcid with a driver daemon for each, and rheinfall, on two cores."""
import json
import os
import pathlib
import platform
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time

PATIENCE = float(os.environ.get("IXGBED_PATIENCE", "20"))  # as the tests have it, where they measure
CORES = 2


class Failure(Exception):
    """A line for people."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def build(root):
    """Builds the programs in release mode; returns the folder."""
    folder = root / "build-bench"
    commands = [["ninja", "-C", str(folder), "--quiet"]]
    if not (folder / "build.ninja").exists():
        commands.insert(0, ["meson", "setup", str(folder), str(root), "--buildtype=release", "-Dtests=false"])
    say(f"building {folder}")
    for command in commands:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise Failure(f"{' '.join(command)} failed:\n{done.stdout}")
    return folder


def machine():
    model = "unknown"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return {"cpu": model, "cores_used": min(CORES, len(os.sched_getaffinity(0))), "kernel": platform.release(),
            "load_average": os.getloadavg()[0]}


def medians(runs):
    """Of each field of a list of dictionaries."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


class Rig:
    """Cards with the wires given, each served as network:cardN_ixgbe, or by another daemon and so named; ends all of it
    when left."""

    def __init__(self, folder, *wires, pcid=(), device="x540", nicsim=(), daemon="ixgbed", driver=()):
        """`pcid`, `nicsim`, `driver`: options of these; `device` is nicsim's, `daemon` what pcid starts for it."""
        self.folder = folder
        self.wires = wires
        self.pcid_options = pcid
        self.device = device
        self.nicsim_options = nicsim
        self.daemon = daemon
        self.driver_options = driver
        self.running = []  # (name, Popen)

    def __enter__(self):
        # Inherited by all that is started: the parts share the cores, as the figures say.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
        self._temporary = tempfile.TemporaryDirectory(prefix="ixgbed-bench-")
        self.dir = pathlib.Path(self._temporary.name)
        (self.dir / "scheme").mkdir()
        self.env = dict(os.environ, SCHEME_ROOT=str(self.dir / "scheme"), NICSIM_ROOT=str(self.dir),
                        XDG_STATE_HOME=str(self.dir))
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name, child in reversed(self.running):
            if child.poll() is None:
                child.terminate()
            try:
                child.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                say(f"{name} had to be killed")
        self._temporary.cleanup()

    def _start(self):
        sockets = [self.dir / f"card{i}.sock" for i in range(len(self.wires))]
        cards = [word for socket, wire in zip(sockets, self.wires)
                 for word in ("--device", self.device, "--socket", socket, "--wire", wire)]
        self.nicsim = self.start("nicsim", *self.nicsim_options, *cards)
        self.await_line("nicsim", f"nicsim: {self.device} ", len(sockets))
        config = self.dir / "pcid.toml"
        config.write_text(self.config())
        self.pcid = self.start("pcid", *self.pcid_options, "--config", config, "--driver-path", self.folder / "daemon",
                   *[word for socket in sockets for word in ("--vfio-user", socket)])
        ready = self.await_line("pcid", " ready ", len(sockets))
        self.drivers = [int(line.split("pid ")[1].split(",")[0]) for line in ready]
        for i in range(len(sockets)):
            self.until(lambda i=i: self.value(i, "link").startswith("up"), f"link of card {i}")

    def config(self):
        """pcid's own configuration, with the driver's options."""
        text = (pathlib.Path(__file__).resolve().parent.parent / "pcid" / "pcid.toml").read_text()
        words = ", ".join(f'"{word}"' for word in (self.daemon, *self.driver_options))
        return text.replace(f'command = ["{self.daemon}"', f"command = [{words}")

    def program(self, name):
        path = self.folder / name / name
        if not path.exists():
            raise Failure(f"{path} is not built")
        return str(path)

    def start(self, name, *arguments):
        with open(self.dir / f"{name}.log", "w", encoding="utf-8") as log:
            child = subprocess.Popen([self.program(name), *map(str, arguments)], env=self.env, stdin=subprocess.DEVNULL,
                                     stdout=log, stderr=log)
        self.running.append((name, child))
        return child

    def log(self, name):
        return (self.dir / f"{name}.log").read_text()

    def until(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not condition():
            for name, child in self.running:
                if child.poll() not in (None, 0):
                    raise Failure(f"{name} ended with {child.returncode}: {self.log(name).strip()}")
            if time.monotonic() > end:
                raise Failure(f"not within {PATIENCE:.0f} s: {what}")
            time.sleep(0.02)

    def await_line(self, name, text, count):
        def lines():
            return [line for line in self.log(name).splitlines() if text in line]
        self.until(lambda: len(lines()) >= count, f"{name} says \"{text.strip()}\"")
        return lines()

    def url(self, card):
        return f"network:card{card}_{self.daemon.removesuffix('d')}"

    def value(self, card, path):
        done = subprocess.run([self.program("scheme"), "cat", f"{self.url(card)}/{path}"], env=self.env, text=True,
                              capture_output=True, timeout=PATIENCE, check=False)
        if done.returncode:
            raise Failure(done.stderr.strip())
        return done.stdout

    def stats(self, card):
        return {name: int(text) for name, text in (line.split(None, 1) for line in self.value(card, "stats").splitlines())
                if text.isdigit()}

    def rheinfall(self, card, *arguments):
        """Runs rheinfall to its end; returns its summary."""
        done = subprocess.run([self.program("rheinfall"), "--url", self.url(card), "--quiet", "--json", *map(str, arguments)],
                              env=self.env, text=True, capture_output=True, check=False)
        if done.returncode:
            raise Failure(done.stderr.strip())
        return json.loads(done.stdout)

    def start_rheinfall(self, card, *arguments):
        return self.start("rheinfall", "--url", self.url(card), "--quiet", "--json", *arguments)

    def end(self, child):
        """Ends a started rheinfall; returns its summary."""
        child.send_signal(signal.SIGINT)
        child.wait(PATIENCE)
        if child.returncode:
            raise Failure(self.log("rheinfall").strip())
        return json.loads(self.log("rheinfall"))


def cpu_ns(pid):
    """Processor time of a process with all its threads, as the scheduler counts it, in ns."""
    total = sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{pid}/task").iterdir())
    if total == 0:
        raise Failure("this kernel does not count processor time in /proc/PID/schedstat (CONFIG_SCHED_INFO)")
    return total


def children_ns():
    """Processor time of the children that have ended, in ns."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return int((used.ru_utime + used.ru_stime) * 1e9)
