# SPDX-License-Identifier: BSD-2-Clause
"""The JSON API as a program asks it, by the admin socket."""

import http.client
import json
import socket
from urllib.parse import urlencode

from .wait import BOUND, until


class _Door(http.client.HTTPConnection):
	def __init__(self, path):
		super().__init__("stickyd", timeout=BOUND)
		self.path = str(path)

	def connect(self):
		self.sock = socket.socket(socket.AF_UNIX)
		self.sock.settimeout(self.timeout)
		self.sock.connect(self.path)


class Api:
	"""Of a daemon of this lab."""

	def __init__(self, lab, name="stickyd"):
		self.path = lab.directory / f"{name}.sock"

	def ask(self, method, path, **query):
		"""Status and answer."""
		door = _Door(self.path)
		try:
			door.request(method, path + ("?" + urlencode(query) if query else ""))
			answer = door.getresponse()
			return answer.status, json.loads(answer.read())
		finally:
			door.close()

	def get(self, path, **query):
		return self._good("GET", path, **query)

	def post(self, path, **query):
		return self._good("POST", path, **query)

	def _good(self, method, path, **query):
		status, answer = self.ask(method, path, **query)
		assert status == 200, (status, answer)
		return answer

	def gateway(self, name):
		return next(g for g in self.get("/v1/gateways")["gateways"] if g["name"] == name)

	def pool(self, name="app"):
		return next(p for p in self.get("/v1/gateways")["pools"] if p["name"] == name)

	def wait_state(self, name, state):
		return until(lambda: self.gateway(name)["state"] == state, f"{name} to be {state}")

	def sessions(self):
		"""How many each gateway has."""
		return {g["name"]: g["sessions"] for g in self.get("/v1/gateways")["gateways"]}
