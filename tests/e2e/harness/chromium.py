# SPDX-License-Identifier: BSD-2-Clause
"""Headless Chromium by its DevTools protocol, spoken by python3-websockets."""

import asyncio
import json
import shutil
import subprocess
import urllib.request

import websockets

from .wait import until


def is_there():
	return shutil.which("chromium") is not None


class Chromium:
	def __init__(self, directory, third_party_cookies=False):
		"""third_party_cookies: of pages that another site's page brings along; whether they are kept differs by distribution."""
		profile = directory / "chromium"
		if third_party_cookies:
			(profile / "Default").mkdir(parents=True)
			settings = {"profile": {"cookie_controls_mode": 0, "block_third_party_cookies": False}}
			(profile / "Default/Preferences").write_text(json.dumps(settings))
		with open(directory / "chromium.log", "ab") as err:
			self.process = subprocess.Popen(["chromium", "--headless=new", "--no-sandbox", "--disable-gpu",
				"--disable-dev-shm-usage", "--ignore-certificate-errors", "--remote-debugging-port=0",
				f"--user-data-dir={profile}", "about:blank"],
				stdin=subprocess.DEVNULL, stdout=err, stderr=err)
		port_file = profile / "DevToolsActivePort"
		until(lambda: port_file.exists() and port_file.read_text().count("\n"), "Chromium to listen", 60)
		self.port = int(port_file.read_text().split("\n")[0])

	def run(self, url, script, clear_cookies=False):
		"""Loads a page and runs an asynchronous function's body in it; returns what that returns."""
		return asyncio.run(asyncio.wait_for(self._run(url, script, clear_cookies), 90))

	def _page(self):
		with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/json") as answer:
			return next((p for p in json.load(answer) if p["type"] == "page"), None)

	async def _run(self, url, script, clear_cookies):
		page = until(self._page, "a page in Chromium")
		async with websockets.connect(page["webSocketDebuggerUrl"], max_size=None) as self.devtools:
			self.number = 0
			self.seen = set()	# events so far
			await self._call("Page.enable")
			await self._call("Network.enable")
			await self._call("Page.navigate", url=url)
			await self._event("Page.loadEventFired")
			if clear_cookies:
				await self._call("Network.clearBrowserCookies")
			answer = await self._call("Runtime.evaluate", expression=f"(async () => {{ {script} }})()",
				awaitPromise=True, returnByValue=True)
			assert "exceptionDetails" not in answer, answer
			cookies = (await self._call("Network.getCookies", urls=[url]))["cookies"]
			return answer["result"]["value"], cookies

	async def _call(self, method, **parameters):
		self.number += 1
		await self.devtools.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
		while (message := json.loads(await self.devtools.recv())).get("id") != self.number:
			self.seen.add(message.get("method"))
		assert "error" not in message, message
		return message["result"]

	async def _event(self, method):
		while method not in self.seen:
			self.seen.add(json.loads(await self.devtools.recv()).get("method"))

	def stop(self):
		self.process.terminate()
		try:
			self.process.wait(20)
		except subprocess.TimeoutExpired:
			self.process.kill()
			self.process.wait()
