'use strict';
// Waiting: for a time, or until something holds.

const assert = require('node:assert/strict');

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// What `condition` gives once that is true; `what` says what did not come in time.
async function until(condition, what, timeoutMs = 60_000) {
    for (const end = Date.now() + timeoutMs; Date.now() < end; await sleep(20)) {
        const value = await condition();
        if (value) {
            return value;
        }
    }
    return assert.fail(`${what} within ${timeoutMs} ms`);
}

module.exports = { sleep, until };
