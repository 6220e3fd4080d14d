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

// What is known of an answer. `failure` is null when it came to its end, else why not: 'left' (this side went
// away), 'timeout', 'cut' (the body ended early), 'no [DONE]', 'error event', or the code of a socket's error.
function newAnswer(body) {
    return {
        stream: body.stream === true,
        status: 0, headers: {}, error: null, failure: null,
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
    try {
        takeChunk(answer, JSON.parse(data), performance.now());
    } catch {
        answer.error ??= { message: `no JSON: ${data.slice(0, 100)}` };
    }
}

function takeWhole(answer, text) {
    let body = {};
    try {
        body = JSON.parse(text);
    } catch {
        answer.error = { message: `no JSON: ${text.slice(0, 100)}` };
    }
    answer.error = body.error ?? answer.error;
    answer.usage = body.usage ?? null;
    answer.finish = body.choices?.[0]?.finish_reason ?? null;
}

const isStream = (response) => (response.headers['content-type'] ?? '').startsWith('text/event-stream');

// Reads a response into the answer; onEvent is called behind each event of a stream.
function readResponse(response, answer, onEvent, end) {
    answer.status = response.statusCode;
    answer.headers = response.headers;
    const parts = [];
    const feed = eventReader((data) => {
        takeEvent(answer, data);
        onEvent();
    });
    response.on('data', isStream(response) ? feed : (bytes) => parts.push(bytes));
    response.on('end', () => {
        if (!isStream(response)) {
            takeWhole(answer, Buffer.concat(parts).toString());
            end(null);
        } else {
            end(answer.error ? 'error event' : answer.done ? null : 'no [DONE]');
        }
    });
    response.on('error', () => end('cut'));
    response.on('close', () => end('cut')); // after 'end' this says nothing new
}

class Client {
    constructor({ url, key = null, connections = Infinity }) {
        this.url = new URL(url);
        this.key = key;
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

    // A chat request; the promise is always kept. `body` may also be a text, for bodies that are no JSON.
    //   onEvent(answer, control)  behind each event; control.leave() goes away, control.pause(ms) stops reading
    //   leaveAfterMs              goes away then, whatever has come
    //   socket                    a connection to use instead of one of the agent's
    chat(body, { onEvent = () => {}, leaveAfterMs, timeoutMs = TIMEOUT_MS, socket } = {}) {
        const answer = newAnswer(body);
        const timers = [];
        return new Promise((resolve) => {
            const request = this.begin('POST', CHAT, typeof body === 'string' ? body : JSON.stringify(body), socket);
            const end = (failure) => {
                if (answer.endedAt === null) {
                    answer.endedAt = performance.now();
                    answer.failure = failure;
                    timers.forEach(clearTimeout);
                    resolve(answer);
                }
            };
            const stop = (failure) => {
                end(failure);
                request.destroy();
            };
            timers.push(setTimeout(stop, timeoutMs, 'timeout'));
            if (leaveAfterMs !== undefined) {
                timers.push(setTimeout(stop, leaveAfterMs, 'left'));
            }
            request.on('error', (error) => end(error.code ?? error.message));
            request.on('response', (response) => {
                const control = {
                    leave: () => stop('left'),
                    pause: (ms) => {
                        response.pause();
                        timers.push(setTimeout(() => response.resume(), ms));
                    },
                };
                readResponse(response, answer, () => onEvent(answer, control), end);
            });
        });
    }

    // {status, body} of a route that answers in JSON. Rejects when there is no answer.
    get(route) {
        return new Promise((resolve, reject) => {
            const request = this.begin('GET', route);
            request.on('error', reject);
            request.on('response', (response) => {
                const parts = [];
                response.on('data', (bytes) => parts.push(bytes));
                response.on('error', reject);
                response.on('end', () => {
                    const text = Buffer.concat(parts).toString();
                    let body = null;
                    try {
                        body = JSON.parse(text);
                    } catch {
                        // not every server's health is JSON
                    }
                    resolve({ status: response.statusCode, body });
                });
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
        return answer.status > 0 ? `${answer.status}, ${answer.failure}` : answer.failure;
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
