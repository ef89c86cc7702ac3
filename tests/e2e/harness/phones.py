# SPDX-License-Identifier: BSD-2-Clause
"""Phones whose Wi-Fi and LTE can be pulled: the network of the demonstration, with stickyd and gateways of a lab in it."""

import sys
from contextlib import contextmanager

import pytest

from .daemon import TOP

sys.path.insert(0, str(TOP / "contrib/demo"))

from network import LTE, WIFI, Namespaces, mptcp_paths

__all__ = ["LTE", "WIFI", "mptcp_paths", "phones"]


class Phones(Namespaces):
	def __init__(self, lab):
		self.lab = lab
		super().__init__(phones=10)

	def daemon(self, gateways=1, handler=None, listener=None, opening=None, **how):
		"""stickyd before so many gateways, all on the proxy's side."""
		listener = {"bind": f"{self.proxy_address}:0", **(listener or {})}
		with self.proxy.inside():
			made = [self.lab.ws(f"gw{i + 1}", handler, opening=opening) for i in range(gateways)]
			# Of the phones that are gone nobody will answer a farewell.
			return self.lab.start(made, listener=listener, globals={"shutdown_grace": "500ms"}, **how)

	def session(self, daemon, number, link, *handshake, cookie=None, **how):
		"""A phone's session from its address on a link. handshake: target and fields."""
		with self.phones.inside():
			client = self.lab.ws_client(daemon, self.phone_address(number, link), **how)
		return client.open(*handshake, cookie=cookie)


@contextmanager
def phones(lab):
	try:
		net = Phones(lab)
	except OSError as error:
		pytest.skip(f"namespaces can't be made here: {error}")
	try:
		yield net
	finally:
		net.close()
