# SPDX-License-Identifier: BSD-2-Clause
"""A rebalance: sessions of overfull gateways are closed, and their clients come back to others, with a cookie or a key."""

import asyncio

import pytest

from harness.api import Api
from harness.regulars import Regulars, ask, rebalanced


WAYS = {
	"cookie": (("cookie",), lambda i: {}),
	"key": (("header:X-Key",), lambda i: {"X-Key": f"k{i}"}),
	"both": (("header:X-Key", "cookie"), lambda i: {"X-Key": f"k{i}"}),
	"cookie first": (("cookie", "header:X-Key"), lambda i: {"X-Key": f"k{i}"}),
}


@pytest.mark.parametrize("way", WAYS)
def test_clients_of_an_overfull_gateway_go_elsewhere_and_stay_there(lab, way):
	selectors, fields = WAYS[way]
	gateways = [lab.library(f"gw{i}") for i in (1, 2, 3)]
	daemon = lab.start(gateways, pool={"affinity": ", ".join(selectors)})
	api = Api(lab)
	for name in ("gw2", "gw3"):
		api.post("/v1/down", gateway=name)

	async def story():
		async with Regulars(daemon, 60, fields) as crowd:
			assert crowd.counts() == {"gw1": 60}
			for name in ("gw2", "gw3"):
				await ask(api.post, "/v1/ready", gateway=name)
			assert await rebalanced(api, crowd, rate="100/s") == 40
			assert sorted(crowd.counts().values()) == [20, 20, 20]
			assert sum(len(h) == 2 for h in crowd.homes) == 40, "nobody moved twice"
			assert all(codes in ([], [1012]) for codes in crowd.codes)
			assert await rebalanced(api, crowd, rate="100/s") == 0, "it is even"
			return crowd
	crowd = asyncio.run(story())
	for i in range(60):		# each stays where it was taken
		c = lab.session(daemon, "/", *(f"{k}: {v}" for k, v in fields(i).items()), cookie=crowd.cookies[i])
		assert c.read_text() == crowd.homes[i][-1]
		c.close()


def test_it_is_told_why(lab):
	gateways = [lab.library(f"gw{i}") for i in (1, 2)]
	daemon = lab.start(gateways)
	api = Api(lab)
	api.post("/v1/down", gateway="gw2")

	async def story():
		async with Regulars(daemon, 4) as crowd:
			old = list(crowd.cookies)
			await ask(api.post, "/v1/ready", gateway="gw2")
			assert await rebalanced(api, crowd) == 2
			return next((old[i], h) for i, h in enumerate(crowd.homes) if len(h) == 2)
	cookie, homes = asyncio.run(story())
	assert homes == ["gw1", "gw2"]
	explained = api.get("/v1/explain", text=cookie)["pools"][0]
	assert (explained["gateway"], explained["now"], explained["because"]) == ("gw2", "reassigned", "rebalanced")
	assert any((m["from"], m["to"], m["why"]) == ("gw1", "gw2", "rebalanced") for m in explained["moves"])
	records = daemon.records(6)
	back = [r for r in records if r["because"] == "rebalanced"]
	assert len(back) == 2 and all((r["how"], r["gateway"]) == ("reassigned", "gw2") for r in back)
	ended = [r for r in records if r["why"] == "rebalanced"]
	assert len(ended) == 2 and all((r["close"], r["gateway"]) == (1012, "gw1") for r in ended)


def test_a_gateway_above_its_limit_says_so(lab):
	one, two = lab.library("gw1"), lab.library("gw2")
	daemon = lab.start([one])
	api = Api(lab)

	async def story():
		async with Regulars(daemon, 20) as crowd:
			limited = type("Limited", (), {"line": one.line + " max_sessions=10"})
			assert await ask(lab.reload, daemon, [limited, two])
			assert await rebalanced(api, crowd, rate="50/s") == 10
			assert crowd.counts() == {"gw1": 10, "gw2": 10}
			assert sorted(codes for codes in crowd.codes if codes) == [[1013]] * 10
	asyncio.run(story())


def test_weights_count_and_who_takes_nobody_is_left_alone(lab):
	gateways = [lab.library(f"gw{i}") for i in (1, 2, 3)]
	daemon = lab.start(gateways)
	api = Api(lab)
	for name in ("gw2", "gw3"):
		api.post("/v1/down", gateway=name)

	async def story():
		async with Regulars(daemon, 30) as crowd:
			await ask(api.post, "/v1/ready", gateway="gw2")
			await ask(api.post, "/v1/weight", gateway="gw2", weight=2)
			assert await rebalanced(api, crowd, rate="100/s") == 20
			assert crowd.counts() == {"gw1": 10, "gw2": 20}
	asyncio.run(story())


def test_bad_questions(lab):
	lab.start([lab.library("gw1")])
	api = Api(lab)
	assert api.ask("POST", "/v1/rebalance", pool="nosuch")[0] == 404
	assert api.ask("POST", "/v1/rebalance", pool="app", rate="fast")[0] == 400
	api.post("/v1/down", gateway="gw1")
	status, answer = api.ask("POST", "/v1/rebalance", pool="app")
	assert status == 409 and "takes newcomers" in answer["error"]
