'use strict';
// Debian's Prometheus on a port and a folder of its own, stopped when the test ends.

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const path = require('node:path');

const { makeFolder, writeFile } = require('./files.js');
const { freePort } = require('./port.js');

// Standard output. What is missing is an error, never a test that is skipped: scripts/packages.sh lists it.
function promtool(args, input = '') {
    const { status, stdout, stderr, error } = spawnSync('promtool', args, { input, encoding: 'utf8', timeout: 120_000 });
    assert.ifError(error);
    assert.equal(status, 0, `promtool ${args.join(' ')}: ${stdout}${stderr}`);
    return stdout;
}

// What Prometheus' linter says of a text, but for names that are vLLM's.
function lintMetrics(text) {
    return promtool(['check', 'metrics'], text.split('\n').filter((line) => !line.includes('vllm:')).join('\n'));
}

// config: prometheus.yml.
async function startPrometheus(t, config) {
    const folder = makeFolder(t);
    const file = writeFile(folder, 'prometheus.yml', config);
    const port = await freePort();
    const child = spawn('prometheus', [
        `--config.file=${file}`, `--storage.tsdb.path=${path.join(folder, 'data')}`, `--web.listen-address=127.0.0.1:${port}`, '--log.level=warn',
    ], { stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
    const exited = new Promise((resolve, reject) => {
        child.on('error', reject);
        child.on('close', resolve);
    });
    t.after(async () => {
        child.kill('SIGTERM');
        await exited;
    });
    const url = `http://127.0.0.1:${port}`;
    const api = async (route, params = {}) => {
        const response = await fetch(`${url}/api/v1/${route}?${new URLSearchParams(params)}`);
        const body = await response.json();
        assert.equal(body.status, 'success', `${route} ${JSON.stringify(params)}: ${body.error}`);
        return body.data;
    };
    for (let ready = false; !ready;) {
        assert.equal(child.exitCode, null, stderr);
        ready = await fetch(`${url}/-/ready`).then((r) => r.ok, () => false);
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return { api, query: async (query) => (await api('query', { query })).result };
}

module.exports = { lintMetrics, promtool, startPrometheus };
