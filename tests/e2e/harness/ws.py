# SPDX-License-Identifier: BSD-2-Clause
"""WebSocket as bytes (RFC 6455), for what a library would not let a test do."""

import base64
import hashlib
import os
import struct

from .http import Client, GatewaySide, head

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def accept_of(key):
	return base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()


def frame_head(opcode, n, fin=True, mask=None, rsv=0, length=None):
	"""length: 7, 16 or 64 bits, where another than the shortest form is wanted."""
	length = length or (7 if n < 126 else 16 if n < 65536 else 64)
	first = (0x80 if fin else 0) | rsv << 4 | opcode
	bit = 0x80 if mask is not None else 0
	if length == 7:
		return struct.pack("!BB", first, bit | n) + (mask or b"")
	if length == 16:
		return struct.pack("!BBH", first, bit | 126, n) + (mask or b"")
	return struct.pack("!BBQ", first, bit | 127, n) + (mask or b"")


def masked(payload, mask):
	if mask == b"\0\0\0\0":
		return payload
	n = len(payload)
	whole = int.from_bytes(mask * (n // 4 + 1), "big") >> 8 * (4 - n % 4)
	return (int.from_bytes(payload, "big") ^ whole).to_bytes(n, "big")


def frame(opcode, payload=b"", mask=None, **form):
	return frame_head(opcode, len(payload), mask=mask, **form) + (masked(payload, mask) if mask is not None else payload)


class Frame:
	def __init__(self, wire):
		first, second = wire.read(2)
		self.fin, self.rsv, self.opcode = bool(first & 0x80), first >> 4 & 7, first & 15
		n = second & 0x7f
		if n == 126:
			(n,) = struct.unpack("!H", wire.read(2))
		elif n == 127:
			(n,) = struct.unpack("!Q", wire.read(8))
		self.is_masked = bool(second & 0x80)
		mask = wire.read(4) if self.is_masked else None
		self.payload = wire.read(n)
		if self.is_masked:
			self.payload = masked(self.payload, mask)

	@property
	def code(self):
		assert self.opcode == CLOSE
		return struct.unpack("!H", self.payload[:2])[0] if self.payload else 1005

	def __repr__(self):
		return f"<frame {self.opcode} fin={self.fin} {len(self.payload)} bytes {self.payload[:40]!r}>"


class Speaker:
	"""What both ends do with frames. sends_masked says which of them it is."""

	sends_masked = False

	def mask(self, n):
		"""Random for small frames; for big ones zeros, which cost nothing and are as good."""
		if not self.sends_masked:
			return None
		return os.urandom(4) if n <= 65536 else b"\0\0\0\0"

	def send_frame(self, opcode, payload=b"", **form):
		self.send(frame(opcode, payload, mask=self.mask(len(payload)), **form))

	def send_text(self, text):
		self.send_frame(TEXT, text.encode())

	def send_close(self, code=1000):
		self.send_frame(CLOSE, struct.pack("!H", code))

	def read_frame(self):
		f = Frame(self)
		assert f.is_masked != self.sends_masked, "masked by the wrong side"
		return f

	def read_text(self):
		f = self.read_frame()
		assert f.opcode == TEXT and f.fin, f
		return f.payload.decode()


class WsClient(Speaker, Client):
	sends_masked = True

	def ask(self, target="/", *fields, behind=b"", cookie=None, key=None):
		"""Sends the opening handshake, and what stands right behind it."""
		self.key = key or base64.b64encode(os.urandom(16)).decode()
		fields = [
			f"Host: {self.host}", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
			f"Sec-WebSocket-Key: {self.key}", *fields]
		if cookie is not None:
			fields.append(f"Cookie: {cookie}")
		self.send(head(f"GET {target} HTTP/1.1", *fields) + behind)

	def open(self, target="/", *fields, **how):
		self.ask(target, *fields, **how)
		r = self.response()
		assert r.status == 101, (r.line, r.body)
		assert r.get("sec-websocket-accept") == accept_of(self.key)
		self.opening = r
		return self

	def echo(self, text):
		self.send_text(text)
		return self.read_text()

	def finish(self, code=1000):
		"""A proper end from this side."""
		self.send_close(code)
		f = self.read_frame()
		assert f.code == code
		assert self.is_ended()
		self.close()


class WsSide(Speaker, GatewaySide):
	"""A gateway's end; accept() opens it."""

	def accept(self, *fields, behind=b"", accept=None):
		self.opening = self.read_head()
		key = self.opening.get("sec-websocket-key")
		self.send(head("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
			f"Sec-WebSocket-Accept: {accept or accept_of(key)}", *fields) + behind)
		return self
