'use strict';
// Runs the program as a person in a terminal does.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');

const { programPath } = require('./server.js');

function weir(args, input = '') {
    return spawnSync(programPath(), args, { input, encoding: 'utf8', timeout: 120_000 });
}

/* Standard output; the test fails with standard error unless the status is 0. */
function succeed(args, input) {
    const { status, stdout, stderr } = weir(args, input);
    assert.equal(status, 0, `weir ${args.join(' ')}: ${stderr}`);
    return stdout;
}

module.exports = { weir, succeed };
