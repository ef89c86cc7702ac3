# SPDX-License-Identifier: BSD-2-Clause
"""What the measurements share: the C programs built, a gateway, stickyd, clients. The program measured is the one the variable STICKYD
names, else build/stickyd; it must be built without sanitizers."""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

from harness import daemon			# noqa: E402
from harness.certs import Authority		# noqa: E402


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

	def echo(self):
		"""The port of a wsecho."""
		echo = subprocess.Popen([self.build("wsecho.c")], stdout=subprocess.PIPE, text=True)
		self.ends.callback(echo.wait)
		self.ends.callback(echo.kill)
		return int(echo.stdout.readline())

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
