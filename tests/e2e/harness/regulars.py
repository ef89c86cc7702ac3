# SPDX-License-Identifier: BSD-2-Clause
"""Clients that come back whenever they are closed, as games and chats do."""

import asyncio
import time

import websockets


class Regulars:
	"""Clients that come back when they are closed, each with the cookie that it was given last."""

	def __init__(self, daemon, size, fields=lambda i: {}, at_once=50):
		self.address = "ws://%s:%d/" % daemon.address()
		self.size, self.fields = size, fields
		self.homes = [[] for _ in range(size)]		# whom each has met, in order
		self.codes = [[] for _ in range(size)]
		self.cookies = [None] * size
		self.came = []			# when any of them had got in
		self.open = 0
		self.leaving = False
		self.door = asyncio.Semaphore(at_once)	# more would wait for this process alone

	async def _visit(self, i):
		fields = dict(self.fields(i))
		if self.cookies[i]:
			fields["Cookie"] = self.cookies[i]
		async with self.door:
			c = await websockets.connect(self.address, extra_headers=fields, ping_interval=None, open_timeout=30,
				compression=None)
			given = c.response_headers.get("Set-Cookie")
			self.cookies[i] = given.split(";")[0] if given else self.cookies[i]
			self.homes[i].append(await c.recv())
			self.came.append(time.monotonic())
		self.open += 1
		try:
			await c.wait_closed()
			self.codes[i].append(c.close_code)
		finally:
			self.open -= 1

	async def _live(self, i):
		while not self.leaving:
			await self._visit(i)

	async def __aenter__(self):
		self.tasks = [asyncio.create_task(self._live(i)) for i in range(self.size)]
		await self.all_open()
		return self

	async def __aexit__(self, *_):
		self.leaving = True
		for t in self.tasks:
			t.cancel()
		await asyncio.gather(*self.tasks, return_exceptions=True)

	async def until(self, condition, what, bound=40):
		for _ in range(int(bound / 0.05)):
			if condition():
				return
			for t in self.tasks:
				if t.done():
					t.result()
			await asyncio.sleep(0.05)
		raise AssertionError(f"waited {bound} s in vain for {what}")

	async def all_open(self):
		await self.until(lambda: self.open == self.size, "all clients to be connected")

	def counts(self):
		return {name: sum(h[-1] == name for h in self.homes) for name in {h[-1] for h in self.homes}}


async def ask(fn, *words, **query):
	"""Something that waits, aside."""
	return await asyncio.to_thread(fn, *words, **query)


async def rebalanced(api, crowd, **query):
	"""How many it has moved, when it is over."""
	answer = await ask(api.post, "/v1/rebalance", pool="app", **query)
	for _ in range(800):
		if (await ask(api.pool))["rebalancing"] is None:
			break
		await asyncio.sleep(0.05)
	else:
		raise AssertionError("the rebalance never ends")
	await crowd.all_open()
	return answer["moving"]
