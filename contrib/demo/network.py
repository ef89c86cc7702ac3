# SPDX-License-Identifier: BSD-2-Clause
"""The network of the experiment: phones that reach a proxy over Wi-Fi and over LTE.

Where this user may make network namespaces, the phones and the proxy have one each, with two virtual cables between
them that can be pulled (Namespaces). Where not, all is on this machine's loopback, and a phone merely comes from other
addresses of 127.0.0.0/8 (Loopback). Both have the same methods, so that the experiment need not know which it is.
"""

import contextlib
import ctypes
import os
import shutil
import socket
import struct
import subprocess
import threading

WIFI, LTE = "wifi", "lte"
CONNECT_TIMEOUT_S = 5

CLONE_NEWNET = 0x40000000       # linux/sched.h
SOL_MPTCP, MPTCP_INFO = 284, 1  # linux/mptcp.h, and of struct mptcp_info there: the first member, the flags, a flag
MPTCP_INFO_HEAD = struct.Struct("=B7xI")
MPTCP_INFO_FLAG_FALLBACK = 1

libc = ctypes.CDLL(None, use_errno=True)


def setns(fd):
    """Moves the calling thread into a network namespace."""
    if libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns failed")


def start(command, **options):
    """Starts a process, which ends with us should we have no time to end it."""
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], **options)


class Namespace:
    """A network namespace of our own, with its own interfaces, addresses, routes and ports.

    It has no name, only a file descriptor: once nothing holds that and no process is inside, the kernel takes the
    namespace away with all that is in it. So, however the program ends, nothing is left behind.
    """

    def __init__(self):
        self.fd = -1
        # unshare moves the thread that calls it, so a thread of its own makes the namespace, and ends.
        maker = threading.Thread(target=self._make)
        maker.start()
        maker.join()
        if self.fd == -1:
            raise PermissionError("no right to make a network namespace")
        self.ip("link set lo up")

    def _make(self):
        if libc.unshare(CLONE_NEWNET) == 0:
            self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    def close(self):
        os.close(self.fd)
        self.fd = -1

    @contextlib.contextmanager
    def inside(self):
        """A socket, thread or process that is made in here belongs to the namespace for good."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            setns(self.fd)
            yield
        finally:
            setns(home)
            os.close(home)

    def ip(self, *commands):
        """Runs commands of ip(8), each without the word ip."""
        with self.inside():
            done = subprocess.run(["ip", "-batch", "-"], input="\n".join(commands), text=True, capture_output=True)
        if done.returncode != 0:
            raise OSError(f"ip: {done.stderr.strip()}")


class Namespaces:
    """A namespace for the phones, one for the proxy, and two cables between them.

        phones                                        proxy
        wifi   192.0.2.10, .11, ...    -----------    192.0.2.1      wifi
        lte    198.51.100.10, ...      -----------    198.51.100.1   lte        203.0.113.1, where the proxy listens

    The addresses are those that RFC 5737 keeps for documentation; nobody outside the namespaces meets them. What comes
    from a link's address goes out over that link or not at all: each has a routing table of its own.
    """

    pulls_links = True
    proxy_address = "203.0.113.1"
    proxy_port = 443
    networks = {WIFI: "192.0.2", LTE: "198.51.100"}
    tables = {WIFI: 100, LTE: 200}

    def __init__(self, phones):
        self.proxy = Namespace()
        self.phones = Namespace()
        self.proxy.ip(f"address add {self.proxy_address}/32 dev lo")
        for link, network in self.networks.items():
            self.proxy.ip(f"link add {link} type veth peer name {link} netns /proc/{os.getpid()}/fd/{self.phones.fd}",
                          f"address add {network}.1/24 dev {link}",
                          f"link set {link} up")
            self.phones.ip(f"rule add from {network}.0/24 table {self.tables[link]}",
                           *(f"address add {self.phone_address(n, link)}/24 dev {link}" for n in range(phones)))
            self.restore(link)

    def close(self):
        self.phones.close()
        self.proxy.close()

    def phone_address(self, number, link):
        return f"{self.networks[link]}.{10 + number}"

    def start(self, command, **options):
        """Starts a process on the proxy's side."""
        with self.proxy.inside():
            return start(command, **options)

    def connect(self, number, link, port, protocol=socket.IPPROTO_TCP):
        """A phone's connection to the proxy, from its address on that link."""
        with self.phones.inside():
            return connect(self.phone_address(number, link), (self.proxy_address, port), protocol)

    def lose(self, link):
        """Pulls a link: nobody is told, and nothing more comes through."""
        self.phones.ip(f"link set {link} down")

    def restore(self, link):
        self.phones.ip(f"link set {link} up",
                       f"route replace {self.proxy_address} via {self.networks[link]}.1 dev {link} "
                       f"table {self.tables[link]}")

    def has_mptcp(self):
        with self.proxy.inside(), contextlib.suppress(OSError):
            socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP).close()
            return True
        return False

    def use_mptcp(self, number):
        """Gives a phone's Multipath TCP connections a second path over LTE, and lets the proxy take it.

        To be called while these are open and quiet: at least Linux 6.18 now and then mixes up the bytes of a connection
        when several writes follow each other while a path is being added (seen with nothing but sockets, too).

        The path is not marked as a backup: Linux then tries the dead first one with every message until it counts as
        stale, and each waits for a retransmission (0.8 s instead of 0.2 s, and not once but for seconds).
        """
        self.proxy.ip("mptcp limits set subflows 2")
        self.phones.ip("mptcp limits set subflows 2",
                       f"mptcp endpoint add {self.phone_address(number, LTE)} dev {LTE} subflow")


class Loopback:
    """The same without any right: a phone's Wi-Fi is in 127.0.1.0/24, its LTE in 127.0.2.0/24."""

    pulls_links = False
    proxy_address = "127.0.0.1"
    proxy_port = 0              # any that is free
    networks = {WIFI: "127.0.1", LTE: "127.0.2"}

    def __init__(self, phones):
        pass

    def close(self):
        pass

    phone_address = Namespaces.phone_address

    def start(self, command, **options):
        return start(command, **options)

    def connect(self, number, link, port, protocol=socket.IPPROTO_TCP):
        return connect(self.phone_address(number, link), (self.proxy_address, port), protocol)

    def lose(self, link):
        """Nothing to pull here."""

    restore = lose

    def has_mptcp(self):
        return False


def make(phones):
    """The better of the two that can be had here, and why it is not the first one if it is not."""
    if shutil.which("ip") is None:
        return Loopback(phones), "ip(8) is not installed"
    try:
        return Namespaces(phones), None
    except OSError as error:
        return Loopback(phones), str(error)


def connect(source, address, protocol):
    # Not left to asyncio, which takes no other protocol than TCP here.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
    try:
        sock.settimeout(CONNECT_TIMEOUT_S)
        sock.bind((source, 0))
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


def mptcp_paths(sock):
    """How many paths a Multipath TCP connection has; 0 if the other side does not speak it."""
    try:
        more, flags = MPTCP_INFO_HEAD.unpack(sock.getsockopt(SOL_MPTCP, MPTCP_INFO, MPTCP_INFO_HEAD.size))
    except OSError:
        return 0
    return 0 if flags & MPTCP_INFO_FLAG_FALLBACK else 1 + more
