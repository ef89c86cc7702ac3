# SPDX-License-Identifier: BSD-2-Clause
"""Which pool a request goes to, and redirects."""

import json

import pytest


def pools(lab, *names):
	return {f"pool {n}": {"gateway": lab.http(n).line, "check": "none"} for n in names}


def start(lab, routes, listener=None, names=("app", "one", "two", "three")):
	sections = pools(lab, *names)
	app = sections.pop("pool app")
	return lab.start(pool=app, listener=listener, more={
		**sections, **{f"route r{i}": r for i, r in enumerate(routes)}})


def reached(lab, daemon, host, target):
	answer = lab.get(daemon, target, host=host)
	return json.loads(answer.body)["gateway"] if answer.status == 200 else answer.status


def test_the_longest_prefix_wins_and_an_exact_host_before_a_wildcard(lab):
	daemon = start(lab, [
		{"path": "/api/", "pool": "one"},
		{"path": "/api/v2/", "pool": "two"},
		{"host": "*.example.com", "pool": "two"},
		{"host": "game.example.com, other.example.com", "pool": "three"},
		{"host": "game.example.com", "path": "/api/", "pool": "one"},
	])
	for host, target, want in [
		("x.test", "/", "app"),
		("x.test", "/api", "app"),
		("x.test", "/api/", "one"),
		("x.test", "/api/v1/x?y", "one"),
		("x.test", "/api/v2/x", "two"),
		("x.test", "/?/api/", "app"),
		("game.example.com", "/", "three"),
		("GAME.Example.COM:8443", "/", "three"),
		("game.example.com", "/api/x", "one"),
		("other.example.com", "/x", "three"),
		("a.example.com", "/", "two"),
		("a.b.example.com", "/", "two"),
		("example.com", "/", "app"),
		("badexample.com", "/", "app"),
	]:
		assert reached(lab, daemon, host, target) == want, (host, target)


def test_without_a_pool_of_its_own_a_listener_serves_its_routes_alone(lab):
	daemon = lab.start(listener={"pool": None}, pool={"gateway": lab.http("app").line}, more={
		"route game": {"host": "game.example.com", "pool": "app"}})
	assert reached(lab, daemon, "game.example.com", "/") == "app"
	assert reached(lab, daemon, "other.example.com", "/") == 421
	assert daemon.record(status=421)["why"] == "misdirected"


def test_a_route_of_one_listener(lab):
	more = pools(lab, "one")
	daemon = lab.start(lab.https(1), more={
		**more, "listener second": {"bind": "127.0.0.1:0", "pool": "app"},
		"route r": {"listener": "second", "path": "/x/", "pool": "one"}})
	assert reached(lab, daemon, "a", "/x/") == "gw1"
	with lab.client(daemon, listener="second") as c:
		assert b'"one"' in c.get("/x/").body


@pytest.mark.parametrize("redirect, status, location", [
	("https://{host}{uri}", 302, "https://game.example.com/a/b?c=d"),
	("https://{host}{uri} 301", 301, "https://game.example.com/a/b?c=d"),
	("https://new.example.com/ 308", 308, "https://new.example.com/"),
	("/login{uri} 307", 307, "/login/a/b?c=d"),
])
def test_redirects(lab, redirect, status, location):
	gateway = lab.http()
	daemon = lab.start([gateway], more={"route r": {"path": "/a/", "redirect": redirect}})
	with lab.client(daemon) as c:
		for _ in range(2):
			answer = c.get("/a/b?c=d", host="game.example.com")
			assert (answer.status, answer.get("location")) == (status, location)
	assert gateway.requests == []
	assert {(r["why"], r["status"]) for r in daemon.records(2)} == {("redirect", status)}
