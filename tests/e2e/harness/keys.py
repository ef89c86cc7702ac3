# SPDX-License-Identifier: BSD-2-Clause
"""How a client says where it belongs: its key in each place that a selector looks at, signed if need be, and cookies of others."""

import base64
import hashlib
import hmac
from urllib.parse import quote

# Every place for a key that a client can choose by itself.
KEYED = ["header:X-Player", "query:player", "path:2", "cookie:player", "subprotocol:player."]


def carrying(selector, key):
	"""Target and fields of a request that has the key where the selector looks, among other things."""
	kind, _, name = selector.partition(":")
	if kind == "header":
		return "/", f"{name}: {key}"
	if kind == "query":
		return (f"/?a=1&{name}={quote(key, safe='')}&b=2",)
	if kind == "path":
		return ("/room" * (int(name) - 1) + f"/{quote(key, safe='')}/more?a=1",)
	if kind == "cookie":
		return "/", f"Cookie: a=1; {name}={key}; b=2"
	assert kind == "subprotocol", selector
	return "/", f"Sec-WebSocket-Protocol: chat.v2, {name}{key}"


def signed(secret, key):
	"""KEY.SIGNATURE, as an operator's login hands it out."""
	digest = hmac.new(secret, key.encode("latin-1"), hashlib.sha256).digest()
	return f"{key}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def legacy(gateway, last=1600000000, first=1500000000):
	"""The value of another balancer's cookie."""
	return f"{hashlib.md5(gateway.address.encode()).hexdigest()}|{last}|{first}"
