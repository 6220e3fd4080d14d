'use strict';
// A repository of model versions for a test, and a server on it.

const fs = require('node:fs');
const path = require('node:path');

const { makeFolder } = require('./files.js');
const { startServer } = require('./server.js');

const NAME = 'tiny';
const PATIENCE_MS = 60_000; // versions are loaded at low priority

// Makes a version appear whole, by a rename; one that is there is replaced. grow: the bytes that the model file shall
// seem to have.
function putVersion(repo, name, version, { file, manifest, files = {}, grow = 0 }) {
    const target = path.join(repo, name, version);
    const making = `${target}.tmp`;
    fs.mkdirSync(making, { recursive: true });
    fs.copyFileSync(file, path.join(making, 'model.gguf'));
    if (grow > 0) {
        fs.truncateSync(path.join(making, 'model.gguf'), grow);
    }
    for (const [other, text] of Object.entries(files)) {
        fs.writeFileSync(path.join(making, other), text);
    }
    if (manifest) {
        fs.writeFileSync(path.join(making, 'model.json'), JSON.stringify(manifest));
    }
    if (fs.existsSync(target)) {
        fs.renameSync(target, path.join(repo, name, `.old-${version}`));
    }
    fs.renameSync(making, target);
    fs.rmSync(path.join(repo, name, `.old-${version}`), { recursive: true, force: true });
}

// versions: {name: {file, manifest, files}} as putVersion takes them.
async function startRepo(t, versions, args = []) {
    const folder = makeFolder(t);
    const repo = path.join(folder, 'repo');
    for (const [version, what] of Object.entries(versions)) {
        putVersion(repo, NAME, version, what);
    }
    return { server: await startServer(t, { model: NAME, args: ['--repo', repo, ...args] }), repo, folder };
}

// {version: state}
async function listVersions(server) {
    const { versions } = await (await server.admin('GET', '/admin/models')).json();
    return Object.fromEntries(versions.map(({ version, state }) => [version, state]));
}

async function waitFor(condition, everyMs = 50) {
    const begin = Date.now();
    while (!(await condition())) {
        if (Date.now() - begin > PATIENCE_MS) {
            throw new Error('what was waited for has not come');
        }
        await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
}

async function waitForState(server, version, state) {
    let seen;
    await waitFor(async () => (seen = (await listVersions(server))[version]) === state).catch((e) => {
        throw new Error(`version ${version} is ${seen}, not ${state}: ${e.message}\n${server.stderr}`);
    });
}

module.exports = { startRepo, putVersion, listVersions, waitFor, waitForState };
