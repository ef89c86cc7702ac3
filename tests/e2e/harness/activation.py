# SPDX-License-Identifier: BSD-2-Clause
"""Listening sockets that stickyd inherits, by the protocol of sd_listen_fds(3)."""

import os
import shutil
import socket
import sys
import threading
from pathlib import Path


def free_port():
	with socket.create_server(("127.0.0.1", 0)) as s:
		return s.getsockname()[1]


def systemd(*listen):
	"""The words before the program that have systemd's own tool hold these addresses until the first connection."""
	words = [shutil.which("systemd-socket-activate")]
	for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
		if name in os.environ or name == "ASAN_OPTIONS":
			words += ["-E", f"{name}={os.environ.get(name, 'detect_leaks=1')}"]
	return words + [f"--listen={address}" for address in listen]


class Manager:
	"""Holds sockets on and on, as a service manager does, and lends them to each process that is started."""

	def __init__(self, directory, *sockets, names=()):
		self.sockets = sockets
		self.names = ":".join(names)
		self.path = str(directory / "manager")
		self.door = socket.socket(socket.AF_UNIX)
		self.door.bind(self.path)
		self.door.listen()
		threading.Thread(target=self._lend, daemon=True).start()

	def _lend(self):
		try:
			while True:
				process, _ = self.door.accept()
				with process:
					lent = [s.fileno() for s in self.sockets]
					socket.send_fds(process, [self.names.encode() + b"\n"], lent)
		except OSError:
			pass		# the end

	@property
	def wrap(self):
		return [sys.executable, str(Path(__file__)), self.path]

	def stop(self):
		self.door.shutdown(socket.SHUT_RDWR)
		for s in (self.door, *self.sockets):
			s.close()


def main(path, program, *arguments):
	"""In the process that becomes stickyd."""
	with socket.socket(socket.AF_UNIX) as s:
		s.connect(path)
		names, lent, _, _ = socket.recv_fds(s, 1024, 64)
	aside = [os.dup2(fd, 100 + i, inheritable=False) for i, fd in enumerate(lent)]
	for fd in lent:
		os.close(fd)
	for i, fd in enumerate(aside):
		os.dup2(fd, 3 + i)
	os.environ.update(
		LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(lent)), LISTEN_FDNAMES=names.decode().strip())
	os.execv(program, [program, *arguments])


if __name__ == "__main__":
	main(*sys.argv[1:])
