'use strict';
// An HTTP client for load programs: it speaks to an OpenAI-compatible server, notes when each piece of an answer
// came, and reports every end that a request can have instead of throwing.
//
//   const server = new Client({ url: 'http://127.0.0.1:8080', key: null, connections: 16 });
//   const answer = await server.chat({ messages, stream: true });
//
// Times are those of performance.now(), in milliseconds.

const http = require('node:http');

const { fail, USAGE_STATUS, sleep } = require('./tools.js');

const CHAT = '/v1/chat/completions';
const IDLE_SOCKET_MS = 30_000; // less than servers wait before they close an idle connection
const TIMEOUT_MS = 600_000;

// Splits a body that comes in pieces into server-sent events (WHATWG HTML); onData gets the data of each.
// Comments, such as pings, are skipped.
function eventReader(onData) {
    const decoder = new TextDecoder();
    let text = '';
    let data = [];
    return (bytes) => {
        text += decoder.decode(bytes, { stream: true });
        const lines = text.split('\n');
        text = lines.pop();
        for (const line of lines.map((l) => l.replace(/\r$/, ''))) {
            if (line === '' && data.length > 0) {
                onData(data.join('\n'));
                data = [];
            } else if (line.startsWith('data:')) {
                data.push(line.slice(5).replace(/^ /, ''));
            }
        }
    };
}

// A JSON object, or null where the text is none.
function parsed(text) {
    try {
        const value = JSON.parse(text);
        return typeof value === 'object' ? value : null;
    } catch {
        return null;
    }
}

// What is known of an answer. `failure` is null when it came to its end, else why not: 'left' (this side went
// away), 'timeout', 'cut' (the body ended early), 'no [DONE]', 'error event', or the code of a socket's error.
function newAnswer(body) {
    return {
        stream: body.stream === true,
        status: 0, headers: {}, error: null, failure: null,
        reconnects: 0, // a kept connection turned out to be closed
        done: false, // [DONE] was read
        finish: null, usage: null,
        sentAt: performance.now(), endedAt: null,
        firstAt: null, // first token, see takeChunk
        textAt: [], // when each chunk with text came
    };
}

// The first token is the first chunk with text. A token may have no text of its own (a part of a character, a
// control token): then the first chunk behind the one that only names the role stands for it.
function takeChunk(answer, chunk, now) {
    answer.error = chunk.error ?? answer.error;
    answer.usage = chunk.usage ?? answer.usage;
    const choice = chunk.choices?.[0];
    if (!choice) {
        return;
    }
    answer.finish = choice.finish_reason ?? answer.finish;
    const hasText = Boolean(choice.delta?.content || choice.delta?.reasoning_content);
    if (hasText) {
        answer.textAt.push(now);
    }
    if (hasText || choice.delta?.role === undefined) {
        answer.firstAt ??= now;
    }
}

function takeEvent(answer, data) {
    if (data === '[DONE]') {
        answer.done = true;
        return;
    }
    const chunk = parsed(data);
    if (chunk === null) {
        answer.error ??= { message: `no JSON: ${data.slice(0, 100)}` };
    } else {
        takeChunk(answer, chunk, performance.now());
    }
}

function takeWhole(answer, text) {
    const body = parsed(text);
    answer.error = body === null ? { message: `no JSON: ${text.slice(0, 100)}` } : body.error ?? null;
    answer.usage = body?.usage ?? null;
    answer.finish = body?.choices?.[0]?.finish_reason ?? null;
}

function bodyText(response, onText) {
    const parts = [];
    response.on('data', (bytes) => parts.push(bytes));
    response.on('end', () => onText(Buffer.concat(parts).toString()));
}

// Whether a kept connection turned out to be one that the server had closed; the request may be sent again (RFC 9112
// 9.3.1). llama-server closes behind streams, without saying "Connection: close".
function isStale(answer, error) {
    return answer.status === 0 && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
}

// One chat request on its way to an answer.
class Call {
    constructor(client, body, how, onEnd) {
        this.client = client;
        this.text = typeof body === 'string' ? body : JSON.stringify(body);
        this.how = how;
        this.onEnd = onEnd;
        this.answer = newAnswer(body);
        this.timers = [setTimeout(() => this.stop('timeout'), how.timeoutMs ?? TIMEOUT_MS)];
        if (how.leaveAfterMs !== undefined) {
            this.timers.push(setTimeout(() => this.leave(), how.leaveAfterMs));
        }
        this.send();
    }

    send() {
        this.request = this.client.begin('POST', CHAT, this.text, this.how.socket);
        this.request.on('socket', (socket) => (this.isKept = this.client.hasUsed(socket)));
        this.request.on('response', (response) => this.read(response));
        this.request.on('error', (error) => {
            if (this.isKept && isStale(this.answer, error) && this.answer.endedAt === null) {
                this.answer.reconnects++;
                this.send();
            } else {
                this.end(error.code ?? error.message);
            }
        });
    }

    read(response) {
        this.response = response;
        this.answer.status = response.statusCode;
        this.answer.headers = response.headers;
        if ((response.headers['content-type'] ?? '').startsWith('text/event-stream')) {
            this.readStream(response);
        } else {
            this.readWhole(response);
        }
        response.on('error', () => this.end('cut'));
        response.on('close', () => this.end('cut')); // behind 'end' this says nothing new
    }

    readStream(response) {
        response.on('data', eventReader((data) => {
            takeEvent(this.answer, data);
            this.how.onEvent?.(this.answer, this);
        }));
        response.on('end', () => this.end(this.answer.error ? 'error event' : this.answer.done ? null : 'no [DONE]'));
    }

    readWhole(response) {
        bodyText(response, (text) => {
            takeWhole(this.answer, text);
            this.end(null);
        });
    }

    // Stops reading for a while.
    pause(ms) {
        this.response.pause();
        this.timers.push(setTimeout(() => this.response.resume(), ms));
    }

    leave() {
        this.stop('left');
    }

    stop(failure) {
        this.end(failure);
        this.request.destroy();
    }

    end(failure) {
        if (this.answer.endedAt === null) {
            this.answer.endedAt = performance.now();
            this.answer.failure = failure;
            this.timers.forEach(clearTimeout);
            this.onEnd(this.answer);
        }
    }
}

class Client {
    constructor({ url, key = null, connections = Infinity }) {
        this.url = new URL(url);
        this.key = key;
        this.used = new WeakSet(); // connections that have carried a request
        this.agent = new http.Agent({ keepAlive: true, maxSockets: connections, timeout: IDLE_SOCKET_MS });
    }

    headers(body) {
        return {
            ...(body !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
            ...(this.key && { authorization: `Bearer ${this.key}` }),
        };
    }

    // Starts a request on a connection of the agent, or on `socket`.
    begin(method, route, body, socket) {
        const where = socket ? { createConnection: () => socket } : { agent: this.agent };
        const { hostname, port } = this.url;
        const request = http.request({ hostname: hostname.replace(/^\[|\]$/g, ''), port, method, path: route,
            headers: this.headers(body), ...where });
        request.setNoDelay(true);
        request.end(body);
        return request;
    }

    // Whether the connection has carried a request before; from now on it has.
    hasUsed(socket) {
        const isUsed = this.used.has(socket);
        this.used.add(socket);
        return isUsed;
    }

    // A chat request; the promise is always kept. `body` may also be a text, for bodies that are no JSON. `how`:
    //   onEvent(answer, call)  behind each event; call.leave() goes away, call.pause(ms) stops reading
    //   leaveAfterMs           goes away then, whatever has come
    //   timeoutMs              gives up then
    //   socket                 a connection to use instead of one of the agent's
    chat(body, how = {}) {
        return new Promise((resolve) => new Call(this, body, how, resolve));
    }

    // {status, body} of a route; body is null where it is no JSON. Rejects when there is no answer.
    get(route) {
        return new Promise((resolve, reject) => {
            this.begin('GET', route)
                .on('error', reject)
                .on('response', (response) => {
                    response.on('error', reject);
                    bodyText(response, (text) => resolve({ status: response.statusCode, body: parsed(text) }));
                });
        });
    }

    // The first model of /v1/models; ends the program when there is no server, or one that does not want us.
    async model() {
        let answer;
        try {
            answer = await this.get('/v1/models');
        } catch (error) {
            fail(`nothing answers at ${this.url.origin} (${error.code ?? error.message}); start the server first, ` +
                'or name it with --url', USAGE_STATUS);
        }
        if (answer.status === 401) {
            fail(`${this.url.origin} wants another API key (--key)`, USAGE_STATUS);
        }
        if (answer.status !== 200) {
            fail(`GET /v1/models of ${this.url.origin}: status ${answer.status}`, USAGE_STATUS);
        }
        return answer.body?.data?.[0] ?? {};
    }

    close() {
        this.agent.destroy();
    }
}

const isAnswered = (answer) => answer.status === 200 && answer.failure === null;
const isRefused = (answer) => answer.status === 429 && answer.failure === null;

// How a request ended, in a few words that can be counted.
function outcome(answer) {
    if (answer.failure !== null) {
        const message = answer.error?.message ? ` "${String(answer.error.message).slice(0, 100)}"` : '';
        return answer.status > 0 ? `${answer.status}, ${answer.failure}${message}` : answer.failure;
    }
    const code = answer.error?.code ?? answer.error?.type;
    return answer.status === 200 ? '200' : `${answer.status}${typeof code === 'string' ? ` ${code}` : ''}`;
}

// Waits as long as a 429 says: Retry-After in seconds, at most `most` milliseconds.
function waitAsTold(answer, most = Infinity) {
    const seconds = Number(answer.headers['retry-after'] ?? 1);
    return sleep(Math.min(most, 1000 * (Number.isFinite(seconds) ? seconds : 1)));
}

module.exports = { Client, isAnswered, isRefused, outcome, waitAsTold };
