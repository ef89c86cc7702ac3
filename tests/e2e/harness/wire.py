# SPDX-License-Identifier: BSD-2-Clause
"""One end of a TCP connection, with a buffer; both clients and scripted gateways are made of it."""

import ctypes
import socket
import struct

from .wait import BOUND


libc = ctypes.CDLL(None)


class Broken(Exception):
	"""The peer ended or reset the connection in the midst of something."""


class Wire:
	def __init__(self, sock):
		self.sock = sock
		self.sock.settimeout(BOUND)
		self.buffer = bytearray()
		self.received = bytearray()	# all that ever came, but for what drain() took

	def __enter__(self):
		return self

	def __exit__(self, *_):
		self.close()

	def send(self, data):
		self.sock.sendall(data)

	def _more(self):
		try:
			data = self.sock.recv(65536)
		except ConnectionError as e:
			raise Broken(str(e)) from e
		self.received += data
		self.buffer += data
		return len(data) > 0

	def read_until(self, mark):
		"""All up to and with the mark."""
		start = 0
		while (at := self.buffer.find(mark, start)) < 0:
			start = max(0, len(self.buffer) - len(mark) + 1)
			if not self._more():
				raise Broken(f"ended after {bytes(self.buffer[:200])!r}")
		return self._take(at + len(mark))

	def read(self, n):
		while len(self.buffer) < n:
			if not self._more():
				raise Broken(f"ended with {len(self.buffer)} of {n} bytes")
		return self._take(n)

	def read_some(self):
		"""What is there, at least one byte; b"" at the end."""
		if not self.buffer:
			self._more()
		return self._take(len(self.buffer))

	def read_to_end(self):
		while self._more():
			pass
		return self._take(len(self.buffer))

	def drain(self, n, step=1 << 20):
		"""Reads n bytes and forgets them."""
		left = n - len(self._take(min(n, len(self.buffer))))
		while left > 0:
			got = len(self.sock.recv(min(left, step)))
			if got == 0:
				raise Broken(f"ended with {left} of {n} bytes still to come")
			left -= got

	def _take(self, n):
		data = bytes(self.buffer[:n])
		del self.buffer[:n]
		return data

	def is_silent(self, seconds=0.3):
		"""Nothing comes for so long; for what must not come."""
		if self.buffer:
			return False
		self.sock.settimeout(seconds)
		try:
			self._more()
			return False
		except TimeoutError:
			return True
		finally:
			self.sock.settimeout(BOUND)

	def is_ended(self):
		"""Waits for the peer's end, clean or not; anything else that comes is an error."""
		try:
			rest = self.read_to_end()
		except Broken:
			rest = bytes(self.buffer)
		assert rest == b"", f"more came before the end: {rest[:200]!r}"
		return True

	def end_writing(self):
		self.sock.shutdown(socket.SHUT_WR)

	def reset(self):
		"""Gone at once: the peer gets RST. Any thread may: the descriptor stays its reader's to close. (To connect to nowhere
		is how Linux takes a connection apart, connect(2).)"""
		libc.connect(self.sock.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16)

	def close(self):
		self.sock.close()
