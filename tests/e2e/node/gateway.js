// SPDX-License-Identifier: BSD-2-Clause
// A gateway made of the `ws` library: node gateway.js NAME PORT. Prints its port.
'use strict';
const { WebSocketServer } = require('ws');
const [name, port] = process.argv.slice(2);

const server = new WebSocketServer({
	host: '127.0.0.1',
	port: Number(port),
	maxPayload: 256 * 1024 * 1024,
	perMessageDeflate: { threshold: 64 },
	handleProtocols: (offered) => (offered.has('chat.v2') ? 'chat.v2' : false),
});
server.on('listening', () => console.log(server.address().port));
server.on('connection', (ws, request) => {
	ws.send(name);
	ws.on('error', () => {});
	ws.on('message', (data, isBinary) => {
		const text = isBinary ? '' : data.toString();
		if (text === 'fields')
			ws.send(JSON.stringify(request.headers));
		else
			ws.send(data, { binary: isBinary });
	});
});
