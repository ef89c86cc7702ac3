# SPDX-License-Identifier: BSD-2-Clause
"""A rolling deploy: each gateway is drained, restarted, made ready again, while its clients come back at once when they are closed.

STICKYD_CROWD: how many there are, where 2,000 are too many."""

import asyncio
import os

from harness.api import Api
from harness.gateways import has_node_ws
from harness.regulars import Regulars, ask, rebalanced
from harness.wait import until

CROWD = int(os.environ.get("STICKYD_CROWD", "2000"))
RATE = 200		# the default drain_rate


def most_in_a_second(times):
	times = sorted(times)
	first = most = 0
	for last, t in enumerate(times):
		while t - times[first] >= 1:
			first += 1
		most = max(most, last - first + 1)
	return most


def deploy(api, gateway):
	"""What an operator's script does."""
	api.post("/v1/drain", gateway=gateway.name, deadline="200ms")
	until(lambda: api.gateway(gateway.name)["sessions"] == 0, f"{gateway.name} to be empty", 60)
	gateway.kill()
	gateway.start()
	api.post("/v1/ready", gateway=gateway.name)
	api.wait_state(gateway.name, "up")


def test_a_rolling_deploy_with_a_crowd(lab):
	names = ("gw1", "gw2", "gw3")
	gateways = [lab.node(name) if has_node_ws() else lab.library(name) for name in names]
	daemon = lab.start(gateways, globals={"workers": 4})
	api = Api(lab)

	async def story():
		async with Regulars(daemon, CROWD) as crowd:
			begun = len(crowd.came)
			for gateway in gateways:
				await ask(deploy, api, gateway)
				await crowd.all_open()
			moved = await rebalanced(api, crowd)
			assert moved > 0, "who was last to be restarted had nobody"
			assert {code for codes in crowd.codes for code in codes} == {1012}, "every close is a proper one"
			assert most_in_a_second(crowd.came[begun:]) <= 2 * RATE
			assert max((await ask(api.sessions)).values()) <= 1.2 * CROWD / len(names)
	asyncio.run(story())
