'use strict';
// Every file of JSONTestSuite (Nicolas Seriot) as a body: what is not JSON is refused as such, what is JSON
// is read. The suite lies beside the checkout.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { startServer, missing } = require('./lib/server.js');

const SUITE = path.resolve(__dirname, '../../../shared/data/json-parsing/test_parsing');
const skip = missing() || (fs.existsSync(SUITE) ? false : `${SUITE} is not there`);
const ROUTES = ['/tokenize', '/v1/chat/completions', '/v1/embeddings', '/v1/moderations'];

// Stricter or more limited than the suite on purpose (tests/unit/base/test_json.c): NUL in a string, and a
// number of more than 63 characters.
const REFUSED = ['y_string_null_escape.json', 'y_object_escaped_null_in_key.json', 'y_number_double_close_to_zero.json'];

// The parser's errors name a place.
const isSyntaxError = ({ message }) => /^invalid JSON at line \d+, column \d+/.test(message);

test('bodies of JSONTestSuite', { skip }, async (t) => {
    const server = await startServer(t);
    const names = fs.readdirSync(SUITE).filter((name) => /^[nyi]_/.test(name));
    assert.ok(names.length > 300);
    for (const route of ROUTES) {
        await t.test(route, async () => {
            for (const name of names) {
                const body = fs.readFileSync(path.join(SUITE, name));
                const response = await server.fetch(route, { method: 'POST', body });
                const text = await response.text();
                assert.equal(response.status, 400, `${name}: ${text}`); // none has the fields that are needed
                const { error } = JSON.parse(text);
                if (name[0] === 'n') {
                    assert.ok(isSyntaxError(error), `${name} was read: ${text}`);
                } else if (name[0] === 'y' && !REFUSED.includes(name)) {
                    assert.ok(!isSyntaxError(error), `${name}: ${text}`);
                    assert.match(error.message, /the body must be a JSON object|"(messages|content|input)"/);
                }
            }
            assert.equal((await server.fetch('/healthz')).status, 200);
        });
    }
});
