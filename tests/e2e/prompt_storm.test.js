'use strict';
// Many writers of prompts, and a server that is killed again and again: no update is lost, and the last activation that
// was acknowledged is in force. WEIR_STORM_KILLS sets how often (10), WEIR_STORM_VERSIONS how many versions are put
// without a kill (200).

const assert = require('node:assert/strict');
const path = require('node:path');
const test = require('node:test');

const { makeFolder } = require('./lib/files.js');
const { startServer, missing } = require('./lib/server.js');

const skip = missing();
const KILLS = Number(process.env.WEIR_STORM_KILLS ?? 10);
const VERSIONS = Number(process.env.WEIR_STORM_VERSIONS ?? 200);
const WRITERS = 8;
const PROFILES = Array.from({ length: 10 }, (_, i) => `p${i}`);

const target = (name, more = '') => `/admin/prompts/${name}${more}`;

// The version that a PUT was given, or null when the server was gone before it answered.
async function put(server, name, text) {
    try {
        const response = await server.admin('PUT', target(name), { text });
        assert.equal(response.status, 200);
        return (await response.json()).revision;
    } catch (error) {
        if (error instanceof assert.AssertionError) {
            throw error;
        }
        return null;
    }
}

async function versionsOf(server, name) {
    const all = [];
    for (let before = 0; ; before = all.at(-1).version) {
        const { versions } = await (await server.admin('GET', target(name, `/versions?limit=1000&before=${before}`))).json();
        all.push(...versions);
        if (versions.length < 1000) {
            return all;
        }
    }
}

test('eight writers lose nothing', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--state', path.join(makeFolder(t), 'state.db')] });
    let next = 0;
    const writer = async () => {
        while (next < VERSIONS) {
            const n = next++;
            assert.ok(await put(server, PROFILES[n % PROFILES.length], `Version ${n}.`));
        }
    };
    await Promise.all(Array.from({ length: WRITERS }, writer));
    let total = 0;
    for (const name of PROFILES) {
        const versions = await versionsOf(server, name);
        const numbers = versions.map(({ version }) => version);
        assert.deepEqual(numbers, numbers.map((_, i) => numbers.length - i), 'one after another, without a gap');
        const profile = await (await server.admin('GET', target(name))).json();
        assert.equal(profile.active, profile.latest, 'the last one is in force');
        total += versions.length;
    }
    assert.equal(total, VERSIONS);
});

test('what was acknowledged survives kill -9 at any moment', { skip }, async (t) => {
    const args = ['--state', path.join(makeFolder(t), 'state.db')];
    const acknowledged = new Map(); // profile -> greatest revision that an answer told
    for (let round = 0; round < KILLS; round++) {
        const server = await startServer(t, { args });
        for (const [name, revision] of acknowledged) {
            const profile = await (await server.admin('GET', target(name))).json();
            assert.ok(profile.revision >= revision, `${name}: ${profile.revision} after ${revision}`);
            assert.equal(profile.active, profile.latest, 'each put activates: one without the other is half a change');
        }
        let running = true;
        const writer = async (id) => {
            for (let n = 0; running; n++) {
                const name = PROFILES[(id + n) % PROFILES.length];
                const revision = await put(server, name, `Round ${round}, writer ${id}, ${n}.`);
                if (revision !== null) {
                    acknowledged.set(name, Math.max(revision, acknowledged.get(name) ?? 0));
                }
            }
        };
        const writers = Array.from({ length: WRITERS }, (_, id) => writer(id));
        await new Promise((resolve) => setTimeout(resolve, 20 + ((round * 37) % 180)));
        await server.kill();
        running = false;
        await Promise.all(writers);
    }
    assert.ok(acknowledged.size > 0);
});
