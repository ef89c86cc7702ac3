# SPDX-License-Identifier: BSD-2-Clause
"""Gateways: scripted ones that do what a test says, an ordinary HTTP server, and two libraries' WebSocket servers."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import threading
import traceback
from http import HTTPStatus
from pathlib import Path

import websockets

from .http import GatewaySide
from .wait import until
from .wire import Broken
from .ws import CLOSE, PING, PONG, WsSide

NODE = Path(__file__).resolve().parents[1] / "node"


class Scripted:
	"""Accepts connections and runs handler(side) for each in a thread of its own."""

	side = GatewaySide

	def __init__(self, name, handler, host="127.0.0.1", port=0, tls=None):
		self.name, self.handler, self.host, self.port, self.tls = name, handler, host, port, tls
		self.sides = []
		self.errors = []
		self.requests = []
		self.start()

	def start(self):
		"""Again after kill(), on the same port."""
		family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
		self.listener = socket.create_server((self.host, self.port), family=family, backlog=512)
		self.port = self.listener.getsockname()[1]
		self.thread = threading.Thread(target=self._accept, args=(self.listener,), daemon=True)
		self.thread.start()

	@property
	def address(self):
		return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

	@property
	def line(self):
		"""As a value of the key `gateway`."""
		return f"{self.name} {self.address}"

	def _accept(self, listener):
		while True:
			try:
				sock, _ = listener.accept()
			except OSError:
				return
			sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
			side = self.side(sock)
			self.sides.append(side)
			threading.Thread(target=self._serve, args=(side,), daemon=True).start()

	def _serve(self, side):
		try:
			if self.tls:
				side.sock = self.tls.wrap_socket(side.sock, server_side=True)
			self.handler(side)
		except (OSError, Broken, ValueError):
			pass		# connections end in all ways here; ValueError: closed by another thread
		except Exception:
			self.errors.append(traceback.format_exc())
		finally:
			side.close()

	def received(self):
		return b"".join(bytes(s.received) for s in self.sides)

	def connected(self, n=1):
		"""The n-th connection, waited for."""
		return until(lambda: len(self.sides) >= n and self.sides[n - 1], f"connection {n} to {self.name}")

	def kill(self):
		"""As when the process dies: nobody listens, connections are reset."""
		self._close_listener()
		for side in self.sides:
			side.reset()

	def _close_listener(self):
		try:
			self.listener.shutdown(socket.SHUT_RDWR)	# wakes accept()
		except OSError:
			pass
		self.listener.close()
		self.thread.join()

	def stop(self):
		self.kill()
		assert not self.errors, f"gateway {self.name}:\n" + "\n".join(self.errors)


def takes_until(gone):
	"""A handler that takes all that comes, and sets the event when nothing more can."""
	def handler(side):
		try:
			side.read_to_end()
		finally:
			gone.set()
	return handler


class Refusing:
	"""A port that is taken and that nobody listens on: every connection is refused."""

	def __init__(self, name):
		self.sock = socket.socket()
		self.sock.bind(("127.0.0.1", 0))
		self.name = name
		self.line = f"{name} 127.0.0.1:{self.sock.getsockname()[1]}"

	def stop(self):
		self.sock.close()


class Deaf:
	"""Connections to it neither succeed nor fail: its accept queue is full."""

	def __init__(self, name):
		self.listener = socket.create_server(("127.0.0.1", 0), backlog=0)
		self.name = name
		self.line = f"{name} 127.0.0.1:{self.listener.getsockname()[1]}"
		self.fillers = []
		for _ in range(4):
			s = socket.socket()
			s.setblocking(False)
			s.connect_ex(self.listener.getsockname())
			self.fillers.append(s)

	def stop(self):
		for s in [*self.fillers, self.listener]:
			s.close()


class Http(Scripted):
	"""A well-behaved HTTP/1.1 server: tells who it is and what it got. pages: {path: function(side, request)}."""

	def __init__(self, name, pages=None, **how):
		self.pages = pages or {}
		super().__init__(name, self._serve_requests, **how)

	def _serve_requests(self, side):
		while (request := side.read_request()) is not None:
			request.side = side
			self.requests.append(request)
			page = self.pages.get(request.target.split("?")[0], self.page)
			page(side, request)
			if "close" in (request.get("connection") or ""):
				return

	def page(self, side, request):
		if "upgrade" in (request.get("connection") or "").lower():
			return side.answer("426 Upgrade Required", body=b"no sessions here")
		body = json.dumps({
			"gateway": self.name, "method": request.method, "target": request.target, "fields": request.fields,
			"length": len(request.body), "trailers": request.trailers})
		side.answer("200 OK", "Content-Type: application/json", body=b"" if request.method == "HEAD" else body.encode())


def who(response):
	"""Which Http it was that answered."""
	return json.loads(response.body)["gateway"]


class Ws(Scripted):
	"""Runs handler(side) once the session is open; without a handler it echoes, and answers "who" by its name."""

	side = WsSide

	def __init__(self, name, handler=None, opening=None, **how):
		def serve(side):
			(opening or WsSide.accept)(side)
			(handler or self.echo)(side)
		super().__init__(name, serve, **how)

	def echo(self, side):
		while True:
			f = side.read_frame()
			if f.opcode == CLOSE:
				side.send_frame(CLOSE, f.payload)
				return
			if f.opcode == PING:
				side.send_frame(PONG, f.payload)
			elif f.opcode != PONG:
				side.send_frame(f.opcode, self.name.encode() if f.payload == b"who" else f.payload, fin=f.fin)


class Library:
	"""python3-websockets: tells its name first, answers "fields" by the handshake's, echoes the rest; any /page is HTML."""

	def __init__(self, name, port=0, page=None, **options):
		self.name, self.port, self.page, self.options = name, port, page, options
		self.sessions = 0
		self.start()

	@property
	def line(self):
		return f"{self.name} 127.0.0.1:{self.port}"

	def start(self):
		ready = threading.Event()
		self.loop = asyncio.new_event_loop()
		self.thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
		self.thread.start()
		assert ready.wait(20)

	def _run(self, ready):
		asyncio.set_event_loop(self.loop)

		async def listen():
			self.server = await websockets.serve(self._session, "127.0.0.1", self.port, max_size=None,
				process_request=self._request, **self.options)
			self.port = self.server.sockets[0].getsockname()[1]
			ready.set()

		self.loop.run_until_complete(listen())
		self.loop.run_forever()

	async def _request(self, path, fields):
		if path.startswith("/page"):
			return HTTPStatus.OK, [("Content-Type", "text/html"), ("Connection", "close")], (self.page or "").encode()
		if path.startswith("/refuse/"):
			return HTTPStatus(int(path.split("/")[2])), [("Connection", "close")], b"no session for you\n"
		return None

	async def _session(self, ws, _path=None):
		self.sessions += 1
		try:
			await ws.send(self.name)
			async for message in ws:
				if message == "fields":
					await ws.send(json.dumps(list(ws.request_headers.raw_items())))
				elif message == "close":
					await ws.close(4001, "as you like")
				else:
					await ws.send(message)
		except websockets.ConnectionClosed:
			pass

	def kill(self):
		"""As when the process dies."""
		if self.loop.is_closed():
			return

		def abort():
			self.server.server.close()
			for ws in list(self.server.websockets):
				ws.transport.abort()
			self.loop.call_later(0.05, self.loop.stop)

		self.loop.call_soon_threadsafe(abort)
		self.thread.join()
		for task in asyncio.all_tasks(self.loop):
			task.cancel()
		self.loop.run_until_complete(asyncio.sleep(0))
		self.loop.close()

	stop = kill


def has_node_ws():
	node = shutil.which("node")
	return bool(node) and subprocess.run([node, "-e", "require('ws')"], capture_output=True).returncode == 0


class Node:
	"""The `ws` library of Node in a process of its own: as Library does it, with permessage-deflate and subprotocols."""

	def __init__(self, name, log):
		self.name, self.log = name, log
		self.port = 0
		self.start()

	@property
	def line(self):
		return f"{self.name} 127.0.0.1:{self.port}"

	def start(self):
		with open(self.log, "ab") as err:
			self.process = subprocess.Popen(["node", str(NODE / "gateway.js"), self.name, str(self.port)],
				stdout=subprocess.PIPE, stderr=err, env=os.environ)
		self.port = int(self.process.stdout.readline())

	def kill(self):
		self.process.kill()
		self.process.wait()
		self.process.stdout.close()

	stop = kill
