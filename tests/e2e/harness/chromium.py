# SPDX-License-Identifier: BSD-2-Clause
"""Headless Chromium as a process; its page is a Tab."""

import json
import shutil
import subprocess
import urllib.request

from .tab import Tab
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

	def _page(self):
		with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/json") as answer:
			return next((p for p in json.load(answer) if p["type"] == "page"), None)

	def tab(self):
		"""Its one page."""
		return Tab(until(self._page, "a page in Chromium")["webSocketDebuggerUrl"])

	def run(self, url, script, clear_cookies=False):
		"""Loads a page and runs an asynchronous function's body in it; returns what that returns, and the cookies."""
		tab = self.tab()
		try:
			tab.open(url)
			if clear_cookies:
				tab.call("Network.clearBrowserCookies")
			value = tab.js(f"(async () => {{ {script} }})()")
			return value, tab.call("Network.getCookies", urls=[url])["cookies"]
		finally:
			tab.stop()

	def stop(self):
		self.process.terminate()
		try:
			self.process.wait(20)
		except subprocess.TimeoutExpired:
			self.process.kill()
			self.process.wait()
