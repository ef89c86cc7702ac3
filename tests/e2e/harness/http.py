# SPDX-License-Identifier: BSD-2-Clause
"""HTTP/1 as bytes: a client and a gateway's side that can do wrong on purpose."""

import socket

from .wire import Wire


class Message:
	"""Start line, fields in order with repeats, body, trailers."""

	def __init__(self, head):
		lines = head.decode("latin-1").split("\r\n")
		self.line = lines[0]
		self.fields = parse_fields(lines[1:])
		self.body = b""
		self.chunks = []
		self.trailers = []

	def all(self, name):
		return [v for n, v in self.fields if n.lower() == name.lower()]

	def get(self, name):
		values = self.all(name)
		assert len(values) < 2, f"{name} came {len(values)} times: {values}"
		return values[0] if values else None

	def has(self, name):
		return bool(self.all(name))


class Request(Message):
	def __init__(self, head):
		super().__init__(head)
		self.method, self.target, self.version = self.line.split(" ")


class Response(Message):
	def __init__(self, head):
		super().__init__(head)
		self.version, status, self.reason = (self.line + " ").split(" ", 2)
		self.status = int(status)
		self.interim = []		# 1xx before it

	@property
	def text(self):
		return self.body.decode()

	def cookie(self, name="STICKYD"):
		"""The one Set-Cookie with this name, or None."""
		found = [c for c in map(SetCookie, self.all("set-cookie")) if c.name == name]
		assert len(found) < 2, f"{name} is set {len(found)} times"
		return found[0] if found else None


class SetCookie:
	def __init__(self, value):
		pair, *attributes = [part.strip() for part in value.split(";")]
		self.name, _, self.value = pair.partition("=")
		self.attributes = {}
		for attribute in attributes:
			name, _, v = attribute.partition("=")
			self.attributes[name.lower()] = v

	def __str__(self):
		return f"{self.name}={self.value}"


def parse_fields(lines):
	fields = []
	for line in filter(None, lines):
		name, colon, value = line.partition(":")
		assert colon and name == name.strip(), f"not a field: {line!r}"
		fields.append((name, value.strip()))
	return fields


def read_chunks(wire, message):
	while True:
		size = int(wire.read_until(b"\r\n").split(b";")[0], 16)
		if size == 0:
			break
		message.chunks.append(wire.read(size))
		assert wire.read(2) == b"\r\n"
	message.body = b"".join(message.chunks)
	trailer = []
	while (line := wire.read_until(b"\r\n")) != b"\r\n":
		trailer.append(line.decode("latin-1").rstrip("\r\n"))
	message.trailers = parse_fields(trailer)


def head(line, *fields):
	"""A head as bytes; fields are strings."""
	return "\r\n".join([line, *fields, "", ""]).encode("latin-1")


class Client(Wire):
	"""A connection to stickyd."""

	def __init__(self, address, source=None, tls=None, server_name=None, before=b"", receive_buffer=None,
			protocol=0):
		sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM, protocol)
		sock.settimeout(20)
		if receive_buffer:
			sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
		if source:
			sock.bind((source, 0))
		sock.connect(address)
		sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
		if before:
			sock.sendall(before)
		if tls:
			sock = tls.wrap_socket(sock, server_hostname=server_name)
		super().__init__(sock)
		self.host = server_name or "stickyd.test"

	def request(self, target="/", *fields, method="GET", body=None, cookie=None, host=None):
		fields = [f"Host: {host or self.host}", *fields]
		if cookie is not None:
			fields.append(f"Cookie: {cookie}")
		if body is not None:
			fields.append(f"Content-Length: {len(body)}")
		self.send(head(f"{method} {target} HTTP/1.1", *fields) + (body or b""))

	def response(self, method="GET"):
		"""The final response, with its body."""
		interim = []
		while (r := Response(self.read_until(b"\r\n\r\n")[:-4])).status // 100 == 1 and r.status != 101:
			interim.append(r)
		r.interim = interim
		if method == "HEAD" or r.status in (101, 204, 304):
			return r
		if r.has("transfer-encoding"):
			assert r.get("transfer-encoding") == "chunked" and not r.has("content-length")
			read_chunks(self, r)
		elif r.has("content-length"):
			r.body = self.read(int(r.get("content-length")))
		else:
			r.body = self.read_to_end()
		return r

	def get(self, target="/", *fields, **how):
		method = how.get("method", "GET")
		self.request(target, *fields, **how)
		return self.response(method)


class GatewaySide(Wire):
	"""A connection that a gateway accepted."""

	def read_request(self):
		"""The next request with its body, or None at the end."""
		if not self.buffer and not self._more():
			return None
		r = self.read_head()
		if r.has("transfer-encoding"):
			read_chunks(self, r)
		elif r.has("content-length"):
			r.body = self.read(int(r.get("content-length")))
		return r

	def read_head(self):
		return Request(self.read_until(b"\r\n\r\n")[:-4])

	def answer(self, status="200 OK", *fields, body=b""):
		self.send(head(f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}") + body)
