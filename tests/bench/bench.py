# SPDX-License-Identifier: BSD-2-Clause
"""What the measurements share: the C programs built, a gateway, stickyd, clients. The program measured is the one the variable STICKYD
names, else build/stickyd; it must be built without sanitizers."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

from harness import daemon			# noqa: E402
from harness.certs import Authority		# noqa: E402
from harness.wait import until			# noqa: E402


class Load:
	"""wsload: command() returns when it is done."""

	def __init__(self, program, port, *tls):
		self.process = subprocess.Popen([program, str(port), *tls], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

	def command(self, words):
		self.process.stdin.write(words + "\n")
		self.process.stdin.flush()
		if self.process.stdout.readline() != "done\n":
			sys.exit(f"wsload could not {words}")

	def end(self):
		self.process.stdin.close()
		self.process.wait()


class Callgrind:
	"""Counts instructions: wrap is to be put before the program; since() tells those since the last time it was asked."""

	def __init__(self, directory, *options):
		self.out = directory / "callgrind.out"
		self.wrap = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={self.out}", *options]

	def since(self, proxy):
		subprocess.run(["callgrind_control", "--dump", str(proxy.pid)], check=True, capture_output=True)
		part = max(self.out.parent.glob(self.out.name + ".*"), key=lambda p: int(p.suffix[1:]))
		return int(re.search(r"^(?:totals|summary): (\d+)", part.read_text(), re.M).group(1))


def threads(pid):
	return [int(t) for t in os.listdir(f"/proc/{pid}/task")]


def is_traced(thread):
	with open(f"/proc/{thread}/status") as f:
		return re.search(r"TracerPid:\t[1-9]", f.read())


def traced(traces, out, work, *options):
	"""strace's own table of what these threads ask of the kernel during work()."""
	which = [word for thread in traces for word in ("-p", str(thread))]
	strace = subprocess.Popen(["strace", "-c", *options, "-o", out, *which], stderr=subprocess.PIPE, text=True)
	for _ in traces:
		if "attached" not in (said := strace.stderr.readline()):
			sys.exit(said.strip() or "strace ended")
	until(lambda: all(is_traced(t) for t in traces), "strace to hold every thread")
	work()
	strace.send_signal(signal.SIGINT)
	strace.communicate()
	return out.read_text()


def calls(table):
	"""{system call: how many}, "total" among them."""
	return {name: int(n) for n, name in re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", table, re.M)}


class Bench:
	def __init__(self, directory):
		self.directory = Path(directory)
		if daemon.sanitizer():
			sys.exit(f"{daemon.program()} is built with a sanitizer: nothing to be measured there")
		self.ends = contextlib.ExitStack()

	def build(self, name, *flags):
		out = self.directory / name.replace(".c", ".so" if "-shared" in flags else "")
		subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-Wall", "-Wextra", *flags, "-o", out, HERE / name, "-lssl", "-lcrypto"],
			check=True)
		return out

	def gateway(self, name):
		"""The port of one of the programs that are gateways."""
		gateway = subprocess.Popen([self.build(name)], stdout=subprocess.PIPE, text=True)
		self.ends.callback(gateway.wait)
		self.ends.callback(gateway.kill)
		return int(gateway.stdout.readline())

	def echo(self):
		return self.gateway("wsecho.c")

	def origin(self):
		return self.gateway("origin.c")

	def start(self, workers=1, tls=False, env=None, wrap=(), log=None, pool=None, store=None):
		"""stickyd before one wsecho. log, pool, store: keys that stand in those sections besides."""
		port = self.echo()
		state = self.directory / "state"
		state.mkdir()
		listener = {"bind": "127.0.0.1:0", "pool": "app", "max_connections": 9900}
		if tls:
			listener |= {"tls": "yes", "certificate": Authority(self.directory).issue("bench")}
		ini = self.directory / "bench.ini"
		ini.write_text(daemon.configuration({
			"global": {"workers": workers, "state_dir": state, "shutdown_grace": "1s"},
			"log": {"access": self.directory / "access.log", **(log or {})},
			"admin": {"socket": self.directory / "admin.sock"},
			"store": store or {},
			"listener main": listener,
			"pool app": {"gateway": f"gw1 127.0.0.1:{port}", "check": "none", **(pool or {})}}))
		return self.run(ini, env, wrap)

	def run(self, ini, env=None, wrap=()):
		self.proxy = daemon.Stickyd(self.directory, ["-c", str(ini)], env=env, wrap=wrap)
		self.ends.callback(self.proxy.stop)
		return self.proxy.wait_ready()

	def load(self, *tls, listener=None):
		load = Load(self.build("wsload.c"), self.proxy.address(listener)[1], *tls)
		self.ends.callback(load.end)
		return load


@contextlib.contextmanager
def bench():
	os.environ.setdefault("STICKYD", str(daemon.TOP / "build/stickyd"))
	with tempfile.TemporaryDirectory(prefix="stickyd-bench.") as directory:
		b = Bench(directory)
		with b.ends:
			yield b
