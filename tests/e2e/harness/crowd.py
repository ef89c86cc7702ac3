# SPDX-License-Identifier: BSD-2-Clause
"""Thousands of clients with a key each: which gateway does each of them reach? Requests go out in batches on kept connections, and
gateways say no more than their name, so that neither side of the test is what takes the time."""

import re
from concurrent.futures import ThreadPoolExecutor

from .gateways import Scripted
from .http import Client, head

KEY = "X-Key"
ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) (?:[^\r]*\r\n(?!\r\n))*?content-length: (\d+)\r\n(?:[^\r]+\r\n)*\r\n", re.I)


class Terse(Scripted):
	"""Answers any number of requests without bodies by its name."""

	def __init__(self, name, **how):
		self.answer = head("HTTP/1.1 200 OK", f"Content-Length: {len(name)}") + name.encode()
		super().__init__(name, self._serve_requests, **how)

	def _serve_requests(self, side):
		rest = b""
		while data := side.sock.recv(65536):
			data = rest + data
			whole = data.count(b"\r\n\r\n")
			rest = data[data.rfind(b"\r\n\r\n") + 4:] if whole else data
			side.send(self.answer * whole)


def _answers(sock, n):
	"""So many gateways' names; for a failure its status."""
	data, at = b"", 0
	for _ in range(n):
		while (whole := ANSWER.match(data, at)) is None or len(data) < whole.end() + int(whole.group(2)):
			more = sock.recv(65536)
			assert more, f"the connection ended after {data[at:][:200]!r}"
			data, at = data[at:] + more, 0
		status, length = whole.groups()
		at = whole.end() + int(length)
		yield (data[whole.end():at] if status == b"200" else status).decode()


def _ask_in_turn(address, keys, field, depth):
	seen = {}
	with Client(address) as client:
		for at in range(0, len(keys), depth):
			batch = keys[at:at + depth]
			client.send("".join([f"GET / HTTP/1.1\r\nHost: a\r\n{field}: {key}\r\n\r\n" for key in batch]).encode())
			seen.update(zip(batch, _answers(client.sock, len(batch))))
	return seen


def places(daemon, keys, field=KEY, connections=8, depth=32):
	"""{key: the gateway it reached}, each asked once."""
	keys = list(keys)
	seen = {}
	with ThreadPoolExecutor(connections) as pool:
		for some in pool.map(lambda i: _ask_in_turn(daemon.address(), keys[i::connections], field, depth), range(connections)):
			seen.update(some)
	assert len(seen) == len(set(keys))
	return seen


def moved(before, after):
	"""{key: (from, to)} of all whose gateway is another."""
	return {key: (before[key], gateway) for key, gateway in after.items() if before[key] != gateway}
