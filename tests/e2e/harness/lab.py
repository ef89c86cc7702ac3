# SPDX-License-Identifier: BSD-2-Clause
"""The fixture `lab`: makes what a story needs, and ends all of it in the right order: clients, stickyd, gateways."""

from . import gateways as gw
from .certs import Authority
from .crowd import Terse
from .daemon import Stickyd, configuration
from .http import Client
from .redis import Redis
from .ws import WsClient


class Lab:
	def __init__(self, directory):
		self.directory = directory
		self.clients = []
		self.daemons = []
		self.gateways = []
		self.stores = []
		self.others = []	# anything else with stop()
		self._authority = None

	# stickyd

	def sections(self, gateways=(), pool=None, listener=None, globals=None, log=None, admin=None, more=None,
			name="stickyd"):
		"""The configuration of most stories; each dictionary adds to a section or replaces its keys."""
		return {
			"global": {
				"workers": 2, "state_dir": self.state_dir(), "shutdown_grace": "5s", **(globals or {})},
			"log": {
				"level": "debug", "access": self.directory / f"{name}.access", "format": "json", **(log or {})},
			"admin": {"socket": self.directory / f"{name}.sock", **(admin or {})},
			"listener main": {"bind": "127.0.0.1:0", "pool": "app", **(listener or {})},
			"pool app": {
				"gateway": [g.line for g in gateways], "affinity": "cookie", "check": "none", **(pool or {})},
			**(more or {}),
		}

	def state_dir(self, name="state"):
		path = self.directory / name
		path.mkdir(exist_ok=True)
		return path

	def ini(self, text, name="stickyd"):
		path = self.directory / f"{name}.ini"
		path.write_text(text)
		return path

	def start(self, gateways=(), name="stickyd", wrap=(), env=None, **sections):
		"""stickyd before these gateways, ready."""
		path = self.ini(configuration(self.sections(gateways, name=name, **sections)), name)
		daemon = Stickyd(self.directory, ["-c", str(path)], self.directory / f"{name}.access", wrap, env, name)
		self.daemons.append(daemon)
		return daemon.wait_ready()

	def rewrite(self, daemon, gateways=(), name="stickyd", listener=None, **sections):
		"""Another configuration in its file; the first listener stays where it is."""
		listener = {"bind": "%s:%d" % daemon.address(), **(listener or {})}
		return self.ini(configuration(self.sections(gateways, name=name, listener=listener, **sections)), name)

	def reload(self, daemon, gateways=(), **sections):
		"""The same, in force."""
		self.rewrite(daemon, gateways, **sections)
		return daemon.reload()

	def start_with(self, *arguments, name="stickyd", **how):
		"""stickyd with these words on its command line, not waited for."""
		daemon = Stickyd(self.directory, [str(a) for a in arguments], name=name, **how)
		self.daemons.append(daemon)
		return daemon

	# gateways

	def _keep(self, kept, thing):
		kept.append(thing)
		return thing

	def http(self, name="gw1", pages=None, **how):
		return self._keep(self.gateways, gw.Http(name, pages, **how))

	def https(self, n):
		"""n ordinary HTTP gateways: gw1, gw2, ..."""
		return [self.http(f"gw{i + 1}") for i in range(n)]

	def terse(self, n):
		"""n gateways that say their name and nothing else: gw1, gw2, ..."""
		return [self._keep(self.gateways, Terse(f"gw{i + 1}")) for i in range(n)]

	def redis(self, name="redis", **options):
		return self._keep(self.stores, Redis(self.directory, name, **options))

	def scripted(self, handler, name="gw1", **how):
		return self._keep(self.gateways, gw.Scripted(name, handler, **how))

	def ws(self, name="gw1", handler=None, **how):
		return self._keep(self.gateways, gw.Ws(name, handler, **how))

	def library(self, name="gw1", **how):
		return self._keep(self.gateways, gw.Library(name, **how))

	def node(self, name="gw1"):
		return self._keep(self.gateways, gw.Node(name, self.directory / f"{name}.log"))

	def refusing(self, name="gw1"):
		return self._keep(self.gateways, gw.Refusing(name))

	def deaf(self, name="gw1"):
		return self._keep(self.gateways, gw.Deaf(name))

	# clients

	def client(self, daemon, source=None, listener=None, **how):
		return self._keep(self.clients, Client(daemon.address(listener), source, **how))

	def get(self, daemon, target="/", *fields, source=None, **how):
		"""One request on a connection of its own."""
		with Client(daemon.address(), source) as c:
			return c.get(target, *fields, **how)

	def session(self, daemon, target="/", *fields, source=None, listener=None, tls=None, server_name=None,
			receive_buffer=None, **how):
		"""An open WebSocket session."""
		c = WsClient(daemon.address(listener), source, tls, server_name, receive_buffer=receive_buffer)
		return self._keep(self.clients, c).open(target, *fields, **how)

	def ws_client(self, daemon, source=None, **how):
		"""A connection on which a WebSocket may be asked for."""
		return self._keep(self.clients, WsClient(daemon.address(), source, **how))

	@property
	def authority(self):
		if self._authority is None:
			directory = self.directory / "tls"
			directory.mkdir()
			self._authority = Authority(directory)
		return self._authority

	# the end

	def logs(self):
		for path in sorted(self.directory.glob("*")):
			if path.suffix in (".ini", ".stderr", ".stdout", ".access", ".log") and path.stat().st_size:
				text = path.read_text(errors="replace")
				yield path.name, text if len(text) < 20000 else "...\n" + text[-20000:]

	def close(self):
		failures = []
		for thing in [*self.clients, *self.others, *self.daemons, *self.stores, *self.gateways]:
			try:
				thing.close() if isinstance(thing, Client) else thing.stop()
			except (AssertionError, OSError) as e:
				failures.append(f"{type(thing).__name__}: {e}")
		assert not failures, "\n".join(failures)
