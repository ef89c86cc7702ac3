# SPDX-License-Identifier: BSD-2-Clause
"""What is measured, and how far it is to go. A figure is microseconds of the proxy's CPU time (user and system, of all its processes) for
one of what `per` names, or what its kind says."""

from dataclasses import dataclass, field


@dataclass
class Row:
	name: str
	title: str
	load: list = field(default_factory=list)	# of tests/bench/load
	per: str = "message"
	parts: float = 1		# so many of these in one of load's operations
	tls: bool = False
	best: float = None		# goals: at most that much of the better of HAProxy and nginx,
	floor: float = None		# and of the relay
	access_log: bool = False
	gateways: int = 2
	workers: int = 1
	kind: str = "cpu"		# cpu, memory, latency, spread


def pair(name, title, load, best, floor=(None, None), **more):
	"""Plain and by TLS."""
	return [Row(name, title + ", plain", load, best=best[0], floor=floor[0], **more),
		Row(name + "-tls", title + ", TLS", load + ["-T"], tls=True, best=best[1], floor=floor[1], **more)]


def echo(sessions, size):
	return ["echo", "-c", str(sessions), "-s", str(size)]


MB = 1 << 20

ROWS = [
	*pair("message-125", "message of 125 bytes, 1,000 sessions", echo(1000, 125), (0.90, 0.92), (1.06, 1.06), parts=2),
	*pair("message-4k", "message of 4 KB, 1,000 sessions", echo(1000, 4096), (0.88, 0.85), (None, 1.06), parts=2),
	*pair("message-64k", "MB of messages of 64 KB, 50 sessions", echo(50, 65536), (0.35, 0.75), per="MB", parts=2 * 65536 / MB),
	Row("message-1m", "MB of messages of 1 MB, 10 sessions, plain", echo(10, MB), "MB", 2, best=0.20),
	*pair("get-64", "request on 64 kept connections", ["get", "-c", "64"], (0.85, 0.85), per="request"),
	*pair("get-256", "request on 256 kept connections", ["get", "-c", "256"], (0.80, 0.80), per="request"),
	Row("get-64-log", "request on 64 kept connections, with an access log", ["get", "-c", "64"], "request", access_log=True),
	*pair("new", "request on a new connection", ["new", "-c", "64"], (0.90, 0.97), per="request"),
	*pair("down", "MB of bodies of 1 MB from gateways", ["down", "-c", "8", "-s", str(MB)], (0.40, 0.90), per="MB"),
	*pair("up", "MB of bodies of 1 MB to gateways", ["up", "-c", "8", "-s", str(MB)], (0.40, 0.90), per="MB"),
	*pair("upgrade", "upgrade (connect, handshake, message, close)", ["upgrade", "-c", "64"], (0.92, 0.95), per="upgrade"),
	Row("upgrade-tls-resumed", "upgrade by resumed TLS 1.3", ["upgrade", "-c", "64", "-T", "-R"], "upgrade", tls=True, best=0.97),
	Row("memory", "memory of an idle session, plain", ["hold"], "session", best=0.22, kind="memory"),
	Row("memory-tls", "memory of an idle session, TLS", ["hold", "-T"], "session", tls=True, best=0.80, floor=1.10, kind="memory"),
	Row("latency", "99th percentile of an echo's time at the same load, plain", echo(1000, 125), best=1.0, kind="latency"),
	Row("latency-tls", "the same, TLS", echo(1000, 125) + ["-T"], tls=True, best=1.0, kind="latency"),
	Row("message-100", "message of 125 bytes, 100 sessions, plain", echo(100, 125), parts=2),
	Row("message-9000", "message of 125 bytes, 9,000 sessions, plain", echo(9000, 125), parts=2),
	Row("gateways-1000", "request on 64 kept connections, 1,000 gateways", ["get", "-c", "64"], "request", gateways=1000),
	Row("workers-2", "message of 125 bytes, 1,000 sessions, 2 workers", echo(1000, 125), parts=2, workers=2),
	Row("workers-4", "message of 125 bytes, 1,000 sessions, 4 workers", echo(1000, 125), parts=2, workers=4),
	Row("spread-4", "idle sessions over 4 workers: the fullest to the mean", ["hold"], workers=4, kind="spread"),
]
