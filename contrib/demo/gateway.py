#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A small WebSocket gateway, as a game or a chat has them: it keeps its players' sessions in its memory alone.

Usage: gateway.py NAME PORT (0: any); the port is printed once it listens.

A player logs in at /login, or connects by WebSocket at once. Either way the cookie "session" names the session from
then on, and whoever comes with it goes on where he was, if he comes to this very gateway. Every message is a move: it is
counted, and answered with the gateway's name and the session's count. Another gateway, or this one after a crash, has
never heard of that session, and starts a new one.
"""

import asyncio
import http
import http.cookies
import json
import secrets
import sys

import websockets

name, port = sys.argv[1], int(sys.argv[2])
moves = {}                      # of each session: how many so far


def session_of(headers, kind):
    cookies = http.cookies.SimpleCookie(headers.get(kind))
    session = cookies["session"].value if "session" in cookies else None
    return session if session in moves else None


def session_header(path, request_headers):
    """The header that gives a player a new session, unless he has one here."""
    if session_of(request_headers, "Cookie"):
        return []
    session = secrets.token_hex(8)
    moves[session] = 0
    return [("Set-Cookie", f"session={session}; Path=/; HttpOnly")]


def state(session):
    return json.dumps({"gateway": name, "session": session, "moves": moves[session]})


async def answer_page(path, request_headers):
    """Plain HTTP: the page that the health check asks for, and the login. None lets a WebSocket handshake go on."""
    if path == "/healthz":
        return http.HTTPStatus.OK, [], b"well\n"
    if path == "/login":
        headers = session_header(path, request_headers)
        session = session_of(request_headers, "Cookie") or session_of(dict(headers), "Set-Cookie")
        return http.HTTPStatus.OK, [("Content-Type", "application/json"), *headers], state(session).encode()
    return None


async def play(ws):
    session = session_of(ws.request_headers, "Cookie") or session_of(ws.response_headers, "Set-Cookie")
    try:
        async for _ in ws:
            moves[session] += 1
            await ws.send(state(session))
    except websockets.ConnectionClosedError:
        pass                    # the player lost the connection; the session is kept, he may be back


async def main():
    async with websockets.serve(play, "127.0.0.1", port, process_request=answer_page, extra_headers=session_header,
                                ping_interval=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


asyncio.run(main())
