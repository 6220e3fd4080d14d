'use strict';
// Files for a test: a folder of its own, and model files made from the one that tests run on.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { programPath } = require('./server.js');

function makeFolder(t) {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-e2e-'));
    t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
    return folder;
}

function writeFile(folder, name, content) {
    const file = path.join(folder, name);
    fs.writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
    return file;
}

const Q8_0_BLOCK = 34; // bytes: a float16 scale and 32 int8 values

function findTensor(model, wanted) {
    const json = execFileSync(programPath(), ['inspect', '--json', model], { maxBuffer: 1 << 28 });
    return JSON.parse(json).tensors.find(({ name }) => name === wanted);
}

// A copy of the model that is valid and answers differently: in one matrix every weight has the other sign.
function writeOtherVersion(model, target) {
    const tensor = findTensor(model, 'blk.5.ffn_down.weight');
    const bytes = fs.readFileSync(model);
    for (let block = tensor.offset; block < tensor.offset + tensor.bytes; block += Q8_0_BLOCK) {
        bytes[block + 1] ^= 0x80; // the scale's sign bit
    }
    fs.writeFileSync(target, bytes);
}

// A copy of finite weights with which no logits are: the last norm is near the largest float32.
function writeOverflowing(model, target) {
    const tensor = findTensor(model, 'output_norm.weight');
    const bytes = fs.readFileSync(model);
    for (let at = tensor.offset; at < tensor.offset + tensor.bytes; at += 4) {
        bytes.writeFloatLE(3e38, at);
    }
    fs.writeFileSync(target, bytes);
}

module.exports = { makeFolder, writeFile, writeOtherVersion, writeOverflowing };
