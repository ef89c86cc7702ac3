# SPDX-License-Identifier: BSD-2-Clause
"""Everything at once, again and again, by seed: gateways killed, frozen, restarted, drained, re-weighted, removed; reloads, rotated
logs, upgrades, and Redis taken away, one or two of them in the same moment; under the eyes of clients who check every byte.

What is held: a client gets only what is its own, in order; it changes its gateway only if that one was disturbed since it was last
there; it is closed or refused only while something goes on that explains it, by the code that is meant for that; nobody hangs; and in
the end no descriptor, thread, process and no memory is left over, and each line of the access log is whole and there once.

STICKYD_CHAOS=200 for as many rounds; the seed is told when it fails, and STICKYD_SEED brings it back.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import websockets

from harness.daemon import program, sanitizer
from harness.wait import until
from test_upgrade import Successor, processes, successors

ROUNDS = int(os.environ.get("STICKYD_CHAOS", "8"))
SEED = int(os.environ.get("STICKYD_SEED", "1"))
CLIENTS = 40
GATEWAY = [sys.executable, "-m", "harness.echo_gateway"]
HANG = 60		# seconds; a client that gets nothing through for so long hangs
MESSAGE = 3000		# bytes at most, so that some need several reads
# What explains an end that comes with this code. A gateway that was killed may have been in the middle of a frame, behind which no
# close frame can be (1006).
EXPLAINS = {1001: {"upgrade"}, 1012: {"drain", "remove"}, 1014: {"kill"}, 1006: {"kill"}}
# What may make a handshake fail. The ends of those are late: a time-out has to pass, a process has to leave.
TROUBLES = {"kill", "freeze", "drain", "remove", "upgrade", "lose_store"}
LATE = 3		# seconds


class Trouble:
	"""Something that goes on, with a gateway or with all (None)."""

	def __init__(self, kind, name):
		self.kind, self.name = kind, name
		self.began, self.ended = time.monotonic(), float("inf")

	def explains(self, kinds, name, since):
		return self.kind in kinds and (name is None or self.name in (None, name)) and self.ended + LATE >= since


class Gateway:
	def __init__(self, name):
		self.name, self.port = name, 0
		self.disturbed = time.monotonic()
		self.start()

	def start(self):
		self.process = subprocess.Popen([*GATEWAY, self.name, str(self.port)], stdout=subprocess.PIPE, text=True,
			cwd=Path(__file__).parent)
		self.port = int(self.process.stdout.readline())

	@property
	def line(self):
		return f"{self.name} 127.0.0.1:{self.port}"

	def disturb(self):
		"""Until further notice; settle() says when it is over."""
		self.disturbed = float("inf")

	def settle(self):
		self.disturbed = time.monotonic()

	def kill(self):
		self.process.kill()
		self.process.wait()
		self.process.stdout.close()

	def stop(self):
		self.process.send_signal(signal.SIGCONT)
		self.kill()


class Player:
	"""Comes with a key, stays, comes back. Its own checker."""

	def __init__(self, chaos, number):
		self.chaos, self.id = chaos, f"player-{number}"
		self.random = random.Random(f"{SEED} {number}")
		self.home, self.seen, self.sent = None, 0.0, 0
		self.at = None		# this session's gateway, once it has said something
		self.progress = time.monotonic()
		self.closes = 0
		self.placed_in_upgrade = self.lost_place = False

	async def live(self):
		while not self.chaos.over:
			came = time.monotonic()
			try:
				ws = await websockets.connect(self.chaos.url + self.id, extra_headers={"X-Key": self.id}, open_timeout=HANG, close_timeout=5,
					ping_interval=None)
			except websockets.InvalidHandshake as e:
				self.refused(e, came)
				await asyncio.sleep(self.random.uniform(0, 0.1))
				continue
			self.at = None
			self.placed_in_upgrade = self.chaos.explains({"upgrade"}, None, came)
			try:
				await self.talk(ws)
				await ws.close()
			except websockets.ConnectionClosed as e:
				self.closed(e.rcvd.code if e.rcvd else 1006, came)
			await asyncio.sleep(self.random.uniform(0, 0.1))

	def refused(self, e, came):
		"""Without an answer only by a process that ended before the request came."""
		status = getattr(e, "status_code", None)
		assert status in (None, 502, 503, 504), f"{self.id} was refused: {e!r}"
		kinds = TROUBLES if status else {"upgrade"}
		assert self.chaos.explains(kinds, None, came), f"{self.id} was refused by {status or 'nothing'}, though all was well"

	def closed(self, code, came):
		self.closes += 1
		assert self.chaos.explains(EXPLAINS.get(code, ()), self.at, came), f"{self.id} at {self.at} was closed by {code} without need"

	async def talk(self, ws):
		while not self.chaos.over:
			self.sent += 1
			text = f"{self.id} {self.sent} " + random.Random(f"{self.id} {self.sent}").randbytes(self.random.randrange(MESSAGE // 2)).hex()
			await ws.send(text)
			name, got = (await asyncio.wait_for(ws.recv(), HANG)).split(" ", 1)
			assert got == text, f"{self.id} at {self.sent} was sent what is not its own: {got[:100]}"
			self.note(name)
			await asyncio.sleep(self.random.uniform(0, 0.05))

	def note(self, name):
		"""Who has to go elsewhere in the old process, when the table has been handed over, is not known to the new one."""
		if self.home not in (None, name):
			was = self.chaos.gateways[self.home]
			assert was.disturbed >= self.seen or self.lost_place, f"{self.id} went from {self.home} to {name}, though {self.home} was well"
			self.lost_place = self.placed_in_upgrade
		self.home = self.at = name
		self.seen = time.monotonic()
		self.progress = self.seen


class Chaos:
	def __init__(self, lab, store):
		self.lab, self.random = lab, random.Random(SEED)
		self.gateways = {n: lab._keep(lab.gateways, Gateway(n)) for n in ("gw1", "gw2", "gw3", "gw4")}
		self.removed, self.troubles = set(), []
		self.file = asyncio.Lock()
		self.store = lab.redis() if store == "redis" else None
		self.over, self.retries = False, 2
		self.daemon = lab.start(list(self.gateways.values()), **self.sections())
		lab.rewrite(self.daemon, list(self.gateways.values()), **self.sections())
		lab.others.append(Successor(self.daemon))
		self.pid = self.daemon.pid
		self.url = "ws://%s:%d/" % self.daemon.address()

	def sections(self):
		more = {"store": {"type": "redis", "url": self.store.url, "timeout": "5s"}} if self.store else {}
		return {
			"globals": {"shutdown_grace": "2s"}, "more": more, "log": {"level": "info"},
			"pool": {"affinity": "header:X-Key, cookie", "check": "http", "check_interval": "100ms", "check_timeout": "1s",
				"check_rise": 1, "check_fall": 2, "retries": self.retries, "drain_rate": "500/s", "response_timeout": "10s"}}

	def signal(self, number):
		os.kill(self.pid, number)

	async def ctl(self, *words):
		return await asyncio.to_thread(subprocess.run, [Path(program()).parent / "stickyctl", "-s", self.lab.directory / "stickyd.sock",
			*words], capture_output=True, text=True, timeout=60)

	async def ordered(self, *words):
		out = await self.ctl(*words)
		assert out.returncode == 0, out

	def explains(self, kinds, name, since):
		return any(t.explains(kinds, name, since) for t in self.troubles)

	async def pause(self, most=0.5):
		await asyncio.sleep(self.random.uniform(0, most))

	async def wait(self, condition, what):
		end = time.monotonic() + HANG
		while not condition():
			assert time.monotonic() < end, f"waited in vain for {what}"
			await asyncio.sleep(0.02)

	# what can happen to a gateway

	async def kill(self, g):
		g.kill()
		await self.pause()
		await asyncio.to_thread(g.start)

	async def freeze(self, g):
		g.process.send_signal(signal.SIGSTOP)
		await self.pause(2)
		g.process.send_signal(signal.SIGCONT)

	async def remove(self, g):
		self.removed.add(g.name)
		await self.apply()
		await self.pause()
		self.removed.remove(g.name)
		await self.apply()

	async def drain(self, g):
		await self.ordered("drain", g.name, "--deadline", self.random.choice(["0s", "200ms", "10m"]))
		await self.pause(1)
		await self.ordered("ready", g.name)

	async def up(self, g):
		"""And all are again, since what an upgrade could not know any more has to be seen anew."""
		end = time.monotonic() + HANG
		while time.monotonic() < end:
			out = await self.ctl("--json", "gateways")
			if out.returncode == 0 and any(x["name"] == g.name and x["state"] == "up" for x in json.loads(out.stdout)["gateways"]):
				return
		raise AssertionError(f"waited in vain for {g.name} to be up")

	async def trouble_one(self, what):
		g = self.gateways[self.random.choice(sorted(self.gateways))]
		g.disturb()
		t = Trouble(what.__name__, g.name)
		self.troubles.append(t)
		await what(g)
		await self.up(g)
		g.settle()
		t.ended = time.monotonic()

	# what can happen to all

	async def reload(self):
		self.retries = self.random.randint(1, 4)
		await self.apply()

	async def apply(self):
		async with self.file:		# nobody writes while it is read
			kept = [g for n, g in sorted(self.gateways.items()) if n not in self.removed]
			self.random.shuffle(kept)
			self.lab.rewrite(self.daemon, kept, **self.sections())
			await self.ordered("reload")

	async def weight(self):
		await self.ordered("weight", self.random.choice(sorted(self.gateways.keys() - self.removed)), str(self.random.randint(1, 5)))

	async def rotate(self):
		log = self.lab.directory / "stickyd.access"
		if log.exists():
			log.rename(log.with_suffix(f".{time.monotonic_ns()}.access"))
		self.signal(signal.SIGUSR1)

	async def upgrade(self):
		before = len(successors(self.daemon))
		self.signal(signal.SIGUSR2)
		await self.wait(lambda: len(successors(self.daemon)) > before, "the new process")
		self.pid = int(successors(self.daemon)[before])
		await self.wait(lambda: processes(self.daemon) == [self.pid], "the old process to end")

	async def lose_store(self):
		if self.store:
			await asyncio.to_thread(self.store.kill)
			await self.pause(1)
			await asyncio.to_thread(self.store.start)

	async def trouble_all(self, what):
		t = Trouble(what.__name__, None)
		self.troubles.append(t)
		await what()
		t.ended = time.monotonic()

	# all of it

	def one_or_two(self):
		"""No reload during an upgrade, which refuses it."""
		ones = [self.kill, self.freeze, self.drain, self.remove]
		alls = [self.reload, self.reload, self.weight, self.rotate, self.upgrade, self.lose_store]
		one, all_ = self.random.choice(ones), self.random.choice(alls)
		if all_ == self.upgrade and one in (self.remove, self.drain):
			one = self.kill
		return [[one], [all_], [one, all_]][self.random.randrange(3)], ones

	async def round(self, players):
		events, ones = self.one_or_two()
		print(f"{time.monotonic():.1f} {' and '.join(e.__name__ for e in events)}", flush=True)
		await asyncio.gather(*(self.trouble_one(e) if e in ones else self.trouble_all(e) for e in events))
		began = time.monotonic()
		await self.wait(lambda: all(p.progress > began for p in players), "everyone to get on")
		self.troubles = [t for t in self.troubles if t.ended + 2 * HANG > began]

	async def run(self):
		players = [Player(self, i) for i in range(CLIENTS)]
		tasks = [asyncio.create_task(p.live()) for p in players]

		async def rounds():
			await self.wait(lambda: all(p.home for p in players), "everyone to be in")
			for _ in range(ROUNDS):
				await self.round(players)
			self.over = True
		try:
			await asyncio.gather(rounds(), *tasks)
		finally:
			for t in tasks:
				t.cancel()
		return players

	# afterwards

	def records(self):
		lines = [line for path in self.lab.directory.glob("*.access") for line in path.read_text().splitlines()]
		return [json.loads(line) for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize("store", ["memory", "redis"])
def test_nobody_is_harmed(lab, store):
	chaos = Chaos(lab, store)

	def left():
		return len(os.listdir(f"/proc/{chaos.pid}/fd")), len(os.listdir(f"/proc/{chaos.pid}/task"))
	descriptors, threads = left()
	print(f"seed {SEED}")
	players = asyncio.run(chaos.run())
	print(f"{sum(p.sent for p in players)} messages, {sum(p.closes for p in players)} closes")
	# An idle connection to a gateway, and a check under way, for each.
	until(lambda: left()[0] <= descriptors + 2 * len(chaos.gateways) and left()[1] == threads, "all to be given back", 60)
	until(lambda: processes(chaos.daemon) == [chaos.pid], "one process to be left")
	ids = [r["id"] for r in chaos.records()]
	assert len(ids) == len(set(ids)), "a line of the access log is there twice"
	if not sanitizer():
		rss = int(Path(f"/proc/{chaos.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
		assert rss < 64 << 20
