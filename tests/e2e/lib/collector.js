'use strict';
// A collector of traces that speaks OTLP/HTTP with JSON: it checks the form of what it gets and keeps it.

const assert = require('node:assert/strict');
const http = require('node:http');

const TRACE = /^(?!0{32})[0-9a-f]{32}$/;
const SPAN = /^(?!0{16})[0-9a-f]{16}$/;

// What opentelemetry-proto's AnyValue may be here; 64-bit numbers are strings.
function valueOf(value) {
    const [[kind, content]] = Object.entries(value);
    switch (kind) {
        case 'stringValue':
            assert.equal(typeof content, 'string');
            return content;
        case 'intValue':
            assert.match(content, /^-?[0-9]+$/);
            return Number(content);
        case 'arrayValue':
            return content.values.map(valueOf);
        default:
            return assert.fail(`a value of kind ${kind}`);
    }
}

function attributesOf(list = []) {
    const attributes = Object.fromEntries(list.map(({ key, value }) => [key, valueOf(value)]));
    assert.equal(Object.keys(attributes).length, list.length, 'no attribute stands twice');
    return attributes;
}

function readSpan(span) {
    assert.match(span.traceId, TRACE);
    assert.match(span.spanId, SPAN);
    assert.ok(span.parentSpanId === undefined || SPAN.test(span.parentSpanId), span.parentSpanId);
    assert.match(span.startTimeUnixNano, /^[0-9]{19}$/);
    const [begin, end] = [BigInt(span.startTimeUnixNano), BigInt(span.endTimeUnixNano)];
    assert.ok(end >= begin, span.name);
    return { ...span, begin, end, attributes: attributesOf(span.attributes) };
}

class Collector {
    constructor(t) {
        this.spans = [];
        this.resources = [];
        this.requests = []; // their headers and paths
        this.status = 200; // to answer with; null: nothing, ever
        this.problem = null;
        this.server = http.createServer((request, response) => this.#take(request, response));
        t.after(() => {
            this.server.closeAllConnections();
            this.server.close();
            assert.ifError(this.problem);
        });
    }

    async listen(port = 0) {
        await new Promise((resolve) => this.server.listen(port, '127.0.0.1', resolve));
        this.port = this.server.address().port;
        this.url = `http://127.0.0.1:${this.port}`;
        return this;
    }

    async #take(request, response) {
        let body = '';
        for await (const bytes of request) {
            body += bytes;
        }
        this.requests.push({ path: request.url, headers: request.headers });
        if (this.status === null) {
            return;
        }
        try {
            this.status < 300 && this.#keep(JSON.parse(body));
        } catch (problem) {
            this.problem ??= problem;
        }
        response.writeHead(this.status, { 'content-type': 'application/json' }).end('{}');
    }

    #keep(document) {
        for (const { resource, scopeSpans } of document.resourceSpans) {
            this.resources.push(attributesOf(resource.attributes));
            this.spans.push(...scopeSpans.flatMap(({ spans }) => spans).map(readSpan));
        }
    }

    // The spans of one trace by their names.
    trace(id) {
        return Object.fromEntries(this.spans.filter(({ traceId }) => traceId === id).map((span) => [span.name, span]));
    }
}

async function startCollector(t, port) {
    return new Collector(t).listen(port);
}

module.exports = { startCollector };
