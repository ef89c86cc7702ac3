# SPDX-License-Identifier: BSD-2-Clause
"""A browser's own WebSocket: the cookie over WSS, through reconnects."""

import pytest

from harness.chromium import Chromium, is_there
from harness.wait import until

pytestmark = pytest.mark.skipif(not is_there(), reason="chromium is missing")

# Its icon is here already: a request for one would race with the sessions for the first cookie.
PAGE = "<!doctype html><title>game</title><link rel=icon href=data:,>"

# Opens a session n times in a row; what each gateway calls itself.
VISIT = """
	const visit = () => new Promise((done, fail) => {
		const ws = new WebSocket(`wss://${location.host}/game`);
		let gateway;
		ws.onmessage = (m) => {
			if (gateway === undefined) {
				gateway = m.data;
				ws.send('hello from a browser');
			} else {
				ws.onclose = (e) => (e.wasClean ? done(gateway) : fail(`closed by ${e.code}`));
				ws.close(1000);
			}
		};
		ws.onerror = () => fail('the session failed');
	});
	const seen = [];
	for (let i = 0; i < 4; i++)
		seen.push(await visit());
	return seen;
"""


@pytest.fixture
def browser(lab):
	chromium = Chromium(lab.directory)
	lab.others.append(chromium)
	return chromium


def start(lab):
	gateways = [lab.library(f"gw{i}", page=PAGE) for i in range(4)]
	return lab.start(gateways, pool={"balance": "roundrobin"},
		listener={"tls": "yes", "certificate": lab.authority.issue("127.0.0.1")})


def test_the_cookie_of_a_page_brings_the_session_to_its_gateway(lab, browser):
	daemon = start(lab)
	seen, cookies = browser.run(f"https://127.0.0.1:{daemon.port}/page", VISIT)
	ours = [c for c in cookies if c["name"] == "STICKYD"]
	assert len(ours) == 1 and ours[0]["httpOnly"] and ours[0]["secure"]
	assert len(set(seen)) == 1, seen
	page = daemon.record(target="/page")
	assert page["gateway"] == seen[0]


def test_the_cookie_of_a_101_brings_the_next_session_back(lab, browser):
	daemon = start(lab)
	seen, cookies = browser.run(f"https://127.0.0.1:{daemon.port}/page", VISIT, clear_cookies=True)
	assert [c["name"] for c in cookies] == ["STICKYD"]
	assert len(set(seen)) == 1, seen

	def sessions():
		return sorted(r["how"] for r in daemon.access() if r["kind"] == "session")
	until(lambda: sessions() == ["cookie"] * 3 + ["new"], "four sessions, the first a newcomer's")
