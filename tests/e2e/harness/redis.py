# SPDX-License-Identifier: BSD-2-Clause
"""Debian's redis-server, a process of each test's own, and what can befall it."""

import os
import shutil
import signal
import socket
import subprocess

from .wait import until
from .wire import Broken, Wire


class RedisError(Exception):
	"""An error reply; its text."""


class Speaker(Wire):
	"""Commands and replies (RESP2). Replies are str, int, None, lists of them."""

	def command(self, *words):
		words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
		self.send(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
		return self.reply()

	def reply(self):
		line = self.read_until(b"\r\n")[:-2].decode()
		kind, text = line[0], line[1:]
		if kind == "-":
			raise RedisError(text)
		if kind == "+":
			return text
		if kind == ":":
			return int(text)
		if kind == "$":
			return None if text == "-1" else self.read(int(text) + 2)[:-2].decode(errors="replace")
		assert kind == "*", line
		return [self.reply() for _ in range(int(text))]


class Redis:
	"""Keeps what it was told over stop() and kill(), since all of it is in its log before it answers."""

	def __init__(self, directory, name="redis", **options):
		self.directory = directory / name
		self.directory.mkdir()
		self.name, self.options = name, options
		self.socket = self.directory / "redis.sock"
		self.held = self._held_port()	# nobody else's while the server is down
		self.port = self.held.getsockname()[1]
		self.speaker = None
		self.start()

	@staticmethod
	def is_there():
		return shutil.which("redis-server") is not None

	@staticmethod
	def _held_port():
		"""Redis may bind it all the same: both say SO_REUSEADDR, and this one never listens."""
		s = socket.socket()
		s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		s.bind(("127.0.0.1", 0))
		return s

	@property
	def url(self):
		return f"redis://127.0.0.1:{self.port}/0"

	# life

	def start(self):
		"""Again after stop() or kill(), at the same place with the same memory."""
		options = {
			"bind": "127.0.0.1", "port": self.port, "unixsocket": self.socket, "dir": self.directory, "save": "",
			"appendonly": "yes", "appendfsync": "no", "loglevel": "warning", **self.options}
		words = [w for name, value in options.items() for w in (f"--{name.replace('_', '-')}", str(value))]
		with open(self.directory.with_suffix(".log"), "ab") as log:
			self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "redis-server", *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
		until(self._answers, "redis-server to answer")

	def _answers(self):
		assert self.process.poll() is None, f"redis-server ended with {self.process.returncode}"
		try:
			self.command("PING")
			return True
		except (OSError, Broken):
			return False
		except RedisError as error:
			return not str(error).startswith("LOADING")

	def _end(self, number):
		if self.speaker:
			self.speaker.close()
			self.speaker = None
		if self.process.poll() is None:
			self.process.send_signal(signal.SIGCONT)
			self.process.send_signal(number)
		self.process.wait(20)

	def stop(self):
		"""As an operator does it."""
		self._end(signal.SIGTERM)

	def kill(self):
		self._end(signal.SIGKILL)

	def freeze(self):
		"""It neither answers nor hangs up, and new connections are accepted by the kernel alone."""
		os.kill(self.process.pid, signal.SIGSTOP)

	def thaw(self):
		os.kill(self.process.pid, signal.SIGCONT)

	# what it holds

	def command(self, *words):
		if not self.speaker:
			sock = socket.socket(socket.AF_UNIX)
			sock.connect(str(self.socket))
			self.speaker = Speaker(sock)
			if "requirepass" in self.options:
				self.speaker.command("AUTH", self.options["requirepass"])
		return self.speaker.command(*words)

	def bound(self, key, pool="app"):
		"""The gateway's name that a key holds."""
		return self.command("GET", f"stickyd:{pool}:{key}")

	def all_bound(self, keys, pool="app"):
		keys = list(keys)
		return dict(zip(keys, self.command("MGET", *(f"stickyd:{pool}:{key}" for key in keys))))

	def calls(self):
		"""How many commands it was sent by others, by name."""
		lines = self.command("INFO", "commandstats").split("\r\n")
		stats = (line.removeprefix("cmdstat_").split(":calls=") for line in lines if line.startswith("cmdstat_"))
		return {name: int(rest.split(",")[0]) for name, rest in stats}

	def forget_calls(self):
		self.command("CONFIG", "RESETSTAT")
