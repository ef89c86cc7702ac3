#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A gateway as a process of its own, so that it can be killed and frozen: python3 -m harness.echo_gateway NAME
PORT. Tells its port; answers each message by its name, a blank, and the message."""

import asyncio
import http
import sys

import websockets

name, port = sys.argv[1], int(sys.argv[2])


async def session(ws, _path=None):
	try:
		async for message in ws:
			await ws.send(f"{name} {message}")
	except websockets.ConnectionClosed:
		pass


async def page(path, _headers):
	if path == "/healthz":
		return http.HTTPStatus.OK, [("Connection", "close")], b"well\n"
	return None


async def main():
	server = await websockets.serve(session, "127.0.0.1", port, process_request=page, ping_interval=None)
	print(server.sockets[0].getsockname()[1], flush=True)
	await asyncio.Future()

asyncio.run(main())
