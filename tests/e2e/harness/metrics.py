# SPDX-License-Identifier: BSD-2-Clause
"""What /metrics says, of a stickyd that is started with admin=LISTEN."""

import re

from .http import Client

LISTEN = {"listen": "127.0.0.1:0"}


def metrics(daemon):
	"""{sample with its labels: number}"""
	port = re.search(r"admin: listening on 127\.0\.0\.1:(\d+)", daemon.log).group(1)
	with Client(("127.0.0.1", int(port))) as c:
		answer = c.get("/metrics", "Connection: close", host="127.0.0.1")
	assert answer.status == 200, (answer.line, answer.fields, answer.body)
	lines = answer.text.splitlines()
	return {sample: float(value) for sample, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}
