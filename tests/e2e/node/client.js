// SPDX-License-Identifier: BSD-2-Clause
// A client made of the `ws` library: node client.js URL LOCAL-ADDRESS COOKIE. Opens a session, sends text and binary messages of many
// sizes, and prints what it saw as JSON: gateway, Set-Cookie, subprotocol, extensions, how many echoes were right.
'use strict';
const crypto = require('crypto');
const WebSocket = require('ws');
const [url, localAddress, cookie] = process.argv.slice(2);

const seen = { echoes: 0 };
const sizes = [0, 1, 125, 126, 127, 65535, 65536, 1000000];
const messages = sizes.map((n) => crypto.randomBytes(n)).concat(sizes.map((n) => 'ü'.repeat(n / 2)));
const ws = new WebSocket(url, ['chat.v1', 'chat.v2'], {
	localAddress,
	headers: cookie ? { Cookie: cookie } : {},
	perMessageDeflate: { threshold: 64 },
	rejectUnauthorized: false,
});

ws.on('upgrade', (response) => { seen.setCookie = response.headers['set-cookie'] || []; });
ws.on('message', (data, isBinary) => {
	if (seen.gateway === undefined) {
		seen.gateway = data.toString();
		for (const m of messages)
			ws.send(m);
		return;
	}
	const want = messages[seen.echoes];
	if (isBinary !== (typeof want !== 'string') || !Buffer.from(want).equals(data))
		throw new Error(`echo ${seen.echoes} differs`);
	if (++seen.echoes === messages.length)
		ws.close(1000);
});
ws.on('close', (code) => {
	Object.assign(seen, { code, sent: messages.length, protocol: ws.protocol, extensions: ws.extensions });
	console.log(JSON.stringify(seen));
});
