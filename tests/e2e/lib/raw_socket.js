'use strict';
// A raw connection to a server, to send exactly the bytes a test wants and to read responses without a
// client library's forgiveness.

const net = require('node:net');
const tls = require('node:tls');

const DEFAULT_TIMEOUT_MS = 20_000;

class RawSocket {
    constructor(socket) {
        this.socket = socket;
        this.received = Buffer.alloc(0);
        this.ended = false;
        this.waiters = [];
        const wake = () => this.waiters.splice(0).forEach((resolve) => resolve());
        const end = () => {
            this.ended = true;
            wake();
        };
        socket.on('data', (data) => {
            this.received = Buffer.concat([this.received, data]);
            wake();
        });
        socket.on('end', end);
        socket.on('close', end);
        socket.on('error', end); // a reset is an end too
    }

    static connect(host, port) {
        return RawSocket.opened(net.connect({ host, port, allowHalfOpen: true }), 'connect');
    }

    static connectUnix(path) {
        return RawSocket.opened(net.connect({ path, allowHalfOpen: true }), 'connect');
    }

    static connectTls(options) {
        return RawSocket.opened(tls.connect({ rejectUnauthorized: false, ...options }), 'secureConnect');
    }

    static opened(socket, event) {
        return new Promise((resolve, reject) => {
            socket.once('error', reject);
            socket.once(event, () => {
                socket.off('error', reject);
                resolve(new RawSocket(socket));
            });
        });
    }

    write(data) {
        this.socket.write(data);
    }

    // Waits until `done()` is true or the server has closed; which of them is the result.
    async until(done, timeoutMs = DEFAULT_TIMEOUT_MS) {
        const deadline = Date.now() + timeoutMs;
        while (!done() && !this.ended) {
            const left = deadline - Date.now();
            if (left <= 0) {
                throw new Error(`no answer within ${timeoutMs} ms; received: ${this.received}`);
            }
            let timer;
            await new Promise((resolve) => {
                this.waiters.push(resolve);
                timer = setTimeout(resolve, left);
            });
            clearTimeout(timer);
        }
        return done();
    }

    take(length) {
        const taken = this.received.subarray(0, length);
        this.received = this.received.subarray(length);
        return taken;
    }

    async takeExactly(length) {
        if (!(await this.until(() => this.received.length >= length))) {
            throw new Error(`the connection ended inside a response: ${this.received}`);
        }
        return this.take(length);
    }

    // Everything up to and including `text`.
    async takeThrough(text) {
        let at = -1;
        const found = () => (at = this.received.indexOf(text)) >= 0;
        if (!(await this.until(found))) {
            throw new Error(`the connection ended before ${JSON.stringify(text)}: ${this.received}`);
        }
        return this.take(at + text.length).toString('latin1');
    }

    async takeChunks() {
        const parts = [];
        for (;;) {
            const size = parseInt(await this.takeThrough('\r\n'), 16);
            parts.push(await this.takeExactly(size));
            await this.takeThrough('\r\n');
            if (size === 0) {
                return Buffer.concat(parts);
            }
        }
    }

    // One response: {status, headers (names in lower case), body}. headOnly: the request was HEAD.
    async response({ headOnly = false } = {}) {
        const [statusLine, ...lines] = (await this.takeThrough('\r\n\r\n')).trimEnd().split('\r\n');
        const headers = {};
        for (const line of lines) {
            const colon = line.indexOf(':');
            headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
        }
        const status = Number(statusLine.split(' ')[1]);
        let body = Buffer.alloc(0);
        if (headOnly || status < 200 || status === 204 || status === 304) {
            // no body, whatever the fields say
        } else if (headers['transfer-encoding'] === 'chunked') {
            body = await this.takeChunks();
        } else if ('content-length' in headers) {
            body = await this.takeExactly(Number(headers['content-length']));
        } else {
            await this.until(() => false);
            body = this.take(this.received.length);
        }
        return { status, headers, body: body.toString('utf8') };
    }

    // True when the server closes without sending anything more.
    async isClosed() {
        await this.until(() => this.received.length > 0);
        return this.ended && this.received.length === 0;
    }

    // Closes this side only; the server sees the end of its input.
    end() {
        this.socket.end();
    }

    destroy() {
        this.socket.destroy();
    }
}

module.exports = { RawSocket };
