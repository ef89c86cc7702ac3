#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The experiment that stickyd exists for: clients that lose their network come back to the gateway they were on.

Usage: experiment.py STICKYD, the program to try.

Two gateways (gateway.py) stand behind stickyd, which terminates TLS. Clients connect from phones (network.py), lose
their network several times, and come back from other addresses. Beside them go clients that do the same and forget
stickyd's cookie: if these too came back to where they were, the experiment would prove nothing, and it says so.
Prints a table, and exits with 0 if all was as expected, 1 if not.
"""

import asyncio
import collections
import http.client
import http.cookies
import json
import pathlib
import random
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time

import websockets

import network
from network import LTE, WIFI

CLIENTS = 20
HOST = "game.example"
PATIENCE_S = 20                 # for anything that must happen soon
STREAM_S = 3                    # how long the connections play whose Wi-Fi goes away under them
LOG_LINES = 40                  # so many of its last are shown if anything failed
PAUSE_S = 3                     # the longest pause that a player may notice with Multipath TCP

# What a client may meet when the proxy, a gateway or the network fails it.
TROUBLE = (OSError, asyncio.TimeoutError, http.client.HTTPException, websockets.WebSocketException, ValueError)

CONFIGURATION = """\
[global]
state_dir = {directory}/state
shutdown_grace = 1s

[listener public]
bind = {address}:{port}
pool = game
tls = yes
certificate = {directory}/certificate.pem {directory}/key.pem
mptcp = {mptcp}

[pool game]
gateway = gw1 127.0.0.1:{gw1}
gateway = gw2 127.0.0.1:{gw2}
affinity = cookie
balance = roundrobin
check = http
check_path = /healthz
check_interval = 200ms
check_timeout = 5s
"""


class Site:
    """stickyd, its two gateways and its certificate, in a directory of their own."""

    def __init__(self, stickyd, net, directory):
        self.stickyd, self.net, self.directory = stickyd, net, pathlib.Path(directory)
        self.log = self.directory / "stickyd.log"
        self.gateways, self.gateway_ports = {}, {"gw1": 0, "gw2": 0}
        self.proxy = None
        self.tls = None

    def start(self):
        for name in self.gateway_ports:
            self.start_gateway(name)
        self.make_certificate()
        (self.directory / "state").mkdir(mode=0o700)
        configuration = self.directory / "stickyd.ini"
        configuration.write_text(CONFIGURATION.format(
            directory=self.directory, address=self.net.proxy_address, port=self.net.proxy_port,
            mptcp="yes" if self.net.has_mptcp() else "no", **self.gateway_ports))
        with self.log.open("wb") as log:
            self.proxy = self.net.start([self.stickyd, "-c", configuration], stdout=log, stderr=log)
        self.port = self.wait_for_proxy()

    def start_gateway(self, name):
        """The first time on any free port, later on the same one again."""
        program = pathlib.Path(__file__).with_name("gateway.py")
        gateway = self.net.start([sys.executable, program, name, str(self.gateway_ports[name])],
                                 stdout=subprocess.PIPE, text=True)
        self.gateways[name] = gateway
        self.gateway_ports[name] = int(gateway.stdout.readline() or 0)
        if self.gateway_ports[name] == 0:
            raise RuntimeError(f"the gateway {name} did not start")

    def kill_gateway(self, name):
        self.gateways[name].kill()
        self.gateways[name].wait()
        self.gateways[name].stdout.close()

    def make_certificate(self):
        certificate = self.directory / "certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}",
                        "-keyout", self.directory / "key.pem", "-out", certificate], check=True, capture_output=True)
        self.tls = ssl.create_default_context(cafile=certificate)

    def wait_for_proxy(self):
        """Waits until stickyd says that it is ready, and reads from its log where it listens."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and self.proxy.poll() is None:
            log = self.log.read_text()
            if re.search(r"stickyd \S+ is ready", log):
                return int(re.search(r"listener public: listening on \S+:(\d+)", log)[1])
            time.sleep(0.02)
        raise RuntimeError(f"stickyd did not start:\n{self.log.read_text()}")

    def stop(self):
        """Ends what was started."""
        for name in self.gateways:
            self.kill_gateway(name)
        if self.proxy is not None and self.proxy.poll() is None:
            self.proxy.kill()
            self.proxy.wait()

    def stop_proxy(self):
        """Stops stickyd properly, and tells whether that worked."""
        if self.proxy.poll() is not None:
            return f"had ended with {self.proxy.returncode}"
        self.proxy.terminate()
        try:
            return f"status {self.proxy.wait(PATIENCE_S)}"
        except subprocess.TimeoutExpired:
            return "does not stop"


class Client:
    """A player with a phone: keeps cookies as a browser does, remembers where he was and how many moves he has made."""

    def __init__(self, site, number, forgets=None):
        self.site, self.number, self.forgets = site, number, forgets
        self.cookies = {}
        self.ws = None          # the WebSocket connection, dead ones included
        self.gateway, self.moves = None, 0
        self.always_stayed = True

    def keep(self, set_cookies):
        for line in set_cookies:
            for name, morsel in http.cookies.SimpleCookie(line).items():
                if name != self.forgets:
                    self.cookies[name] = morsel.value

    def cookie_header(self):
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}

    async def log_in(self, link):
        """A page over HTTPS, as the first thing that a client does."""
        sock = self.site.net.connect(self.number, link, self.site.port)
        connection = http.client.HTTPConnection(HOST, self.site.port)
        with self.site.tls.wrap_socket(sock, server_hostname=HOST) as connection.sock:
            connection.request("GET", "/login", headers=self.cookie_header())
            response = connection.getresponse()
            if response.status != 200:
                raise http.client.HTTPException(f"the login was answered with {response.status}")
            self.keep(response.headers.get_all("Set-Cookie", []))
            self.gateway = json.loads(response.read())["gateway"]

    async def connect(self, link, protocol=socket.IPPROTO_TCP):
        self.ws = None
        sock = self.site.net.connect(self.number, link, self.site.port, protocol)
        self.ws = await websockets.connect(
            f"wss://{HOST}:{self.site.port}/play", sock=sock, ssl=self.site.tls, server_hostname=HOST,
            extra_headers=self.cookie_header(), open_timeout=PATIENCE_S, close_timeout=0.1, ping_interval=None)
        self.keep(self.ws.response_headers.get_all("Set-Cookie"))

    async def move(self):
        """Makes a move. Tells whether it was the next one of the same session on the same gateway."""
        await self.connection().send("a move")
        answer = json.loads(await asyncio.wait_for(self.ws.recv(), PATIENCE_S))
        same = answer["gateway"] == self.gateway and answer["moves"] == self.moves + 1
        self.gateway, self.moves = answer["gateway"], answer["moves"]
        return same

    async def come_back(self, link):
        await self.connect(link)
        same = await self.move()
        self.always_stayed = self.always_stayed and same
        return same

    async def drop(self):
        """Loses the connection by a reset: no goodbye of WebSocket, nor of TLS."""
        sock = self.connection().transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.ws.transport.abort()
        await self.ws.wait_closed()

    async def is_told(self):
        """The proxy ended the connection, and did not leave the client in the dark."""
        await asyncio.wait_for(self.connection().wait_closed(), PATIENCE_S)
        return True

    def connection(self):
        if self.ws is None:
            raise ConnectionError("is not connected")
        return self.ws


class Table:
    """What was tried, expected and seen. A row is printed as soon as it is known."""

    row = "{:<48} {:>7}  {:<22}  {:<16}  {}"

    def __init__(self):
        self.held = self.failed = self.skipped = 0
        self.troubles = []
        print(self.row.format("what was tried", "clients", "expected", "seen", "").rstrip())
        print("-" * 106)

    def add(self, what, clients, expected, seen, held):
        self.held += held
        self.failed += not held
        self.print_row(what, clients, expected, seen, "ok" if held else "FAILED")

    def skip(self, what, why):
        self.skipped += 1
        self.print_row(what, "-", "-", why, "skipped")

    def print_row(self, *columns):
        print(self.row.format(*columns))
        for trouble, times in collections.Counter(self.troubles).items():
            print(f"    {times} x {trouble}")
        self.troubles.clear()
        sys.stdout.flush()

    async def count(self, attempts):
        """How many of them came true; what went wrong with the others is told under the next row."""
        n = 0
        for attempt in attempts:
            try:
                n += bool(await attempt)
            except TROUBLE as error:
                self.troubles.append(f"{type(error).__name__}: {error}".removesuffix(": "))
        return n

    async def add_all(self, what, clients, expected, attempts):
        """A row about something that has to be true of each of these clients, and of one at least."""
        n = await self.count(attempts)
        self.add(what, len(clients), expected, f"{n} of {len(clients)}", n == len(clients) > 0)


def shuffled(clients):
    """Any order: if all came back in the order in which they came, taking turns alone would lead each to its gateway."""
    return random.sample(clients, len(clients))


async def come(table, clients, strangers):
    """Newcomers: half of them log in over HTTPS before they connect, the others connect at once."""
    first, others = clients[::2], clients[1::2]

    async def log_in_and_connect(client):
        await client.log_in(WIFI)
        await client.connect(WIFI)
        return await client.move()

    async def connect(client):
        await client.connect(WIFI)
        await client.move()
        return "STICKYD" in client.cookies

    await table.add_all("log in over HTTPS, then connect by WSS", first, "the login's gateway",
                        map(log_in_and_connect, first))
    await table.add_all("connect by WSS at once", others, "a cookie with the 101", map(connect, others))
    spread = collections.Counter(client.gateway for client in clients)
    table.add("all these newcomers", len(clients), "spread over gw1, gw2",
              ", ".join(f"{name}: {n}" for name, n in spread.items()), set(spread) == {"gw1", "gw2"})
    await table.count(map(connect, strangers))


async def change_networks(table, net, clients, strangers):
    """Three changes. The first time the connections are reset. Then, where links can be pulled, nobody says anything:
    the clients come back while the proxy and the gateway still hold their old connections for alive."""
    for silently, old, new in (False, WIFI, LTE), (True, LTE, WIFI), (True, WIFI, LTE):
        if silently and net.pulls_links:
            how = f"{old} pulled silently"
        else:
            how = f"connections reset on {old}"
            await table.count(client.drop() for client in clients + strangers)
        net.lose(old)
        net.restore(new)
        await table.add_all(f"{how}, back over {new}", clients, "same gateway, session",
                            (client.come_back(new) for client in shuffled(clients)))
        await table.count(client.come_back(new) for client in shuffled(strangers))
    lost = sum(not client.always_stayed for client in strangers)
    table.add("control: all that, but the cookie is forgotten", len(strangers), "most lose the session",
              f"{lost} lost it", lost > len(strangers) / 4)


async def lose_a_gateway(table, site, clients):
    """A gateway dies. Its clients, and only these, are taken to the other one, and left there when it is back."""
    site.net.restore(WIFI)
    struck = [client for client in clients if client.gateway == "gw1"]
    spared = [client for client in clients if client.gateway == "gw2"]

    async def is_reassigned(client):
        old_cookie = client.cookies.get("STICKYD")
        await client.come_back(WIFI)
        return client.gateway == "gw2" and client.cookies.get("STICKYD") != old_cookie

    site.kill_gateway("gw1")
    await table.add_all("gw1 killed: its clients", struck, "connection is ended", (client.is_told() for client in struck))
    await table.add_all("  they come back with the old cookie", struck, "gw2, a new cookie", map(is_reassigned, struck))
    await table.add_all("  gw2's own clients meanwhile", spared, "connection goes on", (client.move() for client in spared))
    site.start_gateway("gw1")
    start = time.monotonic()
    found = await table.count([newcomer_gets_to(site, "gw1")])
    table.add("gw1 is back: newcomers", 1, "get there, too", f"after {time.monotonic() - start:.1f} s", found == 1)
    await table.count(client.drop() for client in clients)
    await table.add_all("  all others reconnect", clients, "same gateway, session",
                        (client.come_back(LTE) for client in shuffled(clients)))


async def newcomer_gets_to(site, gateway):
    """Sends newcomers until one of them is at that gateway."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        newcomer = Client(site, 0)
        await newcomer.connect(LTE)
        await newcomer.move()
        await newcomer.drop()
        if newcomer.gateway == gateway:
            return True
        await asyncio.sleep(0.05)
    return False


async def change_while_playing(table, site):
    """Wi-Fi goes away under two clients that play on. One uses Multipath TCP, and his very connection lives on over LTE;
    the other one uses TCP, and his does not."""
    what, control = "Multipath TCP: wifi pulled while playing", "control: the same with plain TCP"
    if not site.net.has_mptcp():
        why = "no MPTCP here" if site.net.pulls_links else "no namespaces"
        table.skip(what, why)
        table.skip(control, why)
        return
    multipath, plain = Client(site, 0), Client(site, 1)
    ready = await table.count([begins(plain, socket.IPPROTO_TCP), begins(multipath, socket.IPPROTO_MPTCP),
                               finds_second_path(multipath)]) == 3
    streams = asyncio.gather(play_on(multipath), play_on(plain))
    await asyncio.sleep(0.5)
    site.net.lose(WIFI)
    (lives, pause), (plain_lives, plain_pause) = await streams
    table.add(what, 1, f"goes on within {PAUSE_S} s", pause_seen(lives, pause), ready and lives and pause < PAUSE_S)
    table.add(control, 1, "stalls", pause_seen(plain_lives, plain_pause),
              ready and not plain_lives and plain_pause > PAUSE_S)


def pause_seen(lives, pause):
    return f"pause of {pause:.2f} s" if lives else f"silent for {pause:.1f} s"


async def begins(client, protocol):
    await client.connect(WIFI, protocol)
    await client.move()
    return True


async def finds_second_path(client):
    """LTE becomes a second path of a connection that began on Wi-Fi."""
    sock = client.connection().transport.get_extra_info("socket")
    client.site.net.use_mptcp(client.number)
    deadline = time.monotonic() + PATIENCE_S
    while (paths := network.mptcp_paths(sock)) != 2:
        if time.monotonic() > deadline:
            raise ConnectionError(f"by Multipath TCP the connection has {paths} paths, and not 2")
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)        # see use_mptcp: until the proxy knows of the path as well
    return True


async def play_on(client):
    """Makes a move every 20 ms for some seconds. Tells whether each was answered, and the longest wait for an answer."""
    end = time.monotonic() + STREAM_S
    longest = 0
    while (sent := time.monotonic()) < end:
        try:
            answered = await asyncio.wait_for(client.move(), end + PAUSE_S - sent)
        except TROUBLE:
            answered = False
        longest = max(longest, time.monotonic() - sent)
        if not answered:
            return False, longest
        await asyncio.sleep(0.02)
    return True, longest


async def experiment(site, table):
    clients = [Client(site, number) for number in range(CLIENTS)]
    strangers = [Client(site, number, forgets="STICKYD") for number in range(CLIENTS, 2 * CLIENTS)]
    await come(table, clients, strangers)
    await change_networks(table, site.net, clients, strangers)
    await lose_a_gateway(table, site, clients)
    await change_while_playing(table, site)
    seen = site.stop_proxy()
    table.add("stickyd told to stop (SIGTERM)", "-", "stops, status 0", seen, seen == "status 0")


def run(stickyd, net):
    """All of it, with its table; true if all held."""
    with tempfile.TemporaryDirectory(prefix="stickyd-demo-") as directory:
        site = Site(stickyd, net, directory)
        try:
            site.start()
            table = Table()
            asyncio.run(experiment(site, table))
        finally:
            site.stop()
        if table.failed:
            print("\nThe end of stickyd's log:", *site.log.read_text().splitlines()[-LOG_LINES:], sep="\n    ")
    print()
    if table.failed:
        print(f"{table.failed} of {table.failed + table.held} FAILED.")
    else:
        print(f"All {table.held} held{f', {table.skipped} skipped' if table.skipped else ''}:",
              "clients that change networks reach the same gateway.")
    return table.failed == 0


def interrupted(*_):
    """Not asyncio's own handler: that cancels a task, and a wait that ends in the same moment loses the cancellation."""
    raise KeyboardInterrupt


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))
    signal.signal(signal.SIGINT, interrupted)
    started = time.monotonic()
    net, why_not = network.make(2 * CLIENTS)
    if net.pulls_links:
        print("Phones and proxy in network namespaces of their own; links are really pulled.\n")
    else:
        print(f"Without network namespaces ({why_not}): clients change between addresses of 127.0.0.0/8.\n")
    try:
        held = run(sys.argv[1], net)
    except KeyboardInterrupt:
        sys.exit("interrupted")
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        sys.exit(f"the experiment could not be made: {error}")
    finally:
        net.close()
    print(f"({time.monotonic() - started:.0f} s)")
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
