# SPDX-License-Identifier: BSD-2-Clause
"""stickyctl as an operator types it: answered at once, or live in a terminal of its own."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from pathlib import Path

from .daemon import environment, program
from .wait import until


def binary():
	return str(Path(program()).parent / "stickyctl")


def stickyctl(daemon, *words, env=None, **how):
	"""daemon: one with an admin_socket, or a path; None: the default."""
	path = getattr(daemon, "admin_socket", daemon)
	return subprocess.run([binary(), *(["-s", str(path)] if path else []), *map(str, words)], stdin=subprocess.DEVNULL,
		capture_output=True, text=True, timeout=60, env=environment(**(env or {})), **how)


def told(daemon, *words):
	out = stickyctl(daemon, *words)
	assert (out.returncode, out.stderr) == (0, ""), out
	return out.stdout


def asked(daemon, *words):
	return json.loads(told(daemon, *words, "--json"))


def refused(daemon, *words):
	"""What it complains about."""
	out = stickyctl(daemon, *words)
	assert (out.returncode, out.stdout) == (1, ""), out
	return out.stderr


class Screen:
	"""As much of a terminal's own mind as stickyctl uses."""

	TOKEN = re.compile(rb"\x1b\[([?0-9;]*)([A-Za-z])|\x1b(.)|([\x00-\x1f])|([^\x00-\x1f]+)", re.S)

	def __init__(self, lines, columns):
		self.modes = {}		# "?25" and the like
		self.pending = b""
		self.resize(lines, columns)

	def resize(self, lines, columns):
		self.lines, self.columns = lines, columns
		self.rows = [[" "] * columns for _ in range(lines)]
		self.row = self.column = 0

	def feed(self, data):
		data = self.pending + data
		half = re.search(rb"\x1b(\[[?0-9;]*)?$", data)
		data, self.pending = (data[:half.start()], half.group()) if half else (data, b"")
		for parameters, final, other, control, text in self.TOKEN.findall(data):
			if final:
				self.sequence(parameters.decode(), final.decode())
			elif control:
				self.control(control)
			elif text:
				self.put(text.decode(errors="replace"))

	def control(self, byte):
		if byte == b"\r":
			self.column = 0
		elif byte == b"\n":
			self.row = min(self.row + 1, self.lines - 1)

	def sequence(self, parameters, final):
		if final in "hl":
			self.modes[parameters] = final == "h"
		elif final == "H":
			row, column = ([int(p or 1) for p in parameters.split(";")] + [1, 1])[:2]
			self.row, self.column = min(row, self.lines) - 1, min(column, self.columns) - 1
		elif final == "J":
			assert parameters == "2"
			self.rows = [[" "] * self.columns for _ in range(self.lines)]
		elif final == "K":
			self.rows[self.row][self.column:] = [" "] * (self.columns - self.column)
		else:
			assert final == "m", f"a sequence that not every terminal knows: {parameters}{final}"

	def put(self, text):
		for c in text:
			if self.column == self.columns:
				assert self.modes.get("?7", True), "it writes over the edge"
				self.control(b"\r")
				self.control(b"\n")
			self.rows[self.row][self.column] = c
			self.column += 1

	@property
	def text(self):
		return "\n".join("".join(row).rstrip() for row in self.rows)


class Live:
	"""stickyctl in a terminal."""

	def __init__(self, daemon, *words, lines=24, columns=80, env=None):
		self.master, terminal = pty.openpty()
		self.screen = Screen(lines, columns)
		self.terminal = terminal
		self.size(lines, columns)
		self.before = termios.tcgetattr(terminal)
		self.process = subprocess.Popen(
			[binary(), "-s", str(getattr(daemon, "admin_socket", daemon)), *words], stdin=terminal, stdout=terminal,
			stderr=terminal, start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
			env=environment(**{"TERM": "xterm", "NO_COLOR": "", **(env or {})}))
		os.set_blocking(self.master, False)
		self.written = b""

	def size(self, lines, columns):
		fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
		self.screen.resize(lines, columns)

	def read(self):
		try:
			while data := os.read(self.master, 65536):
				self.written += data
				self.screen.feed(data)
		except BlockingIOError:
			pass
		except OSError:		# nobody has it open any more
			pass
		return self.screen.text

	def type(self, text):
		os.write(self.master, text.encode())

	def wait(self, *patterns):
		"""All of these on the screen at once."""
		try:
			return until(lambda: all(re.search(p, self.read(), re.M) for p in patterns) and self.screen.text, patterns)
		except AssertionError as e:
			raise AssertionError(f"{e} on the screen:\n{self.screen.text}") from None

	def wait_exit(self):
		code = until(lambda: self.process.poll() is not None and (self.process.returncode,), "stickyctl to end")[0]
		self.read()
		return code

	def is_as_before(self):
		"""The terminal, after the end."""
		modes = {"?1049": False, "?25": True, "?7": True}
		return termios.tcgetattr(self.terminal) == self.before and {m: self.screen.modes[m] for m in modes} == modes

	def stop(self):
		if self.process.poll() is None:
			self.process.send_signal(signal.SIGKILL)
			self.process.wait()
		os.close(self.master)
		os.close(self.terminal)
