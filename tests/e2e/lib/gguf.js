'use strict';
// Reads a GGUF file: its metadata and its tensors' bytes. For tests that write a model in another format.

const fs = require('node:fs');

const NUMBERS = {
    0: ['readUInt8', 1], 1: ['readInt8', 1], 2: ['readUInt16LE', 2], 3: ['readInt16LE', 2], 4: ['readUInt32LE', 4],
    5: ['readInt32LE', 4], 6: ['readFloatLE', 4], 7: ['readUInt8', 1], 10: ['readBigUInt64LE', 8],
    11: ['readBigInt64LE', 8], 12: ['readDoubleLE', 8],
};
const STRING = 8, ARRAY = 9;

function readGguf(file) {
    const bytes = fs.readFileSync(file);
    let at = 8; // behind magic and version
    const number = (type) => {
        const [method, size] = NUMBERS[type];
        const value = bytes[method](at);
        at += size;
        return Number(value);
    };
    const string = () => {
        const length = number(10);
        at += length;
        return bytes.toString('utf8', at - length, at);
    };
    const value = (type) => {
        if (type === STRING) return string();
        if (type !== ARRAY) return number(type);
        const item = number(4), count = number(10);
        return Array.from({ length: count }, () => value(item));
    };
    const nTensors = number(10), nKeys = number(10);
    const metadata = {};
    for (let i = 0; i < nKeys; i++) {
        const key = string();
        metadata[key] = value(number(4));
    }
    const tensors = Array.from({ length: nTensors }, () => {
        const name = string();
        const dims = Array.from({ length: number(4) }, () => number(10));
        return { name, dims, type: number(4), offset: number(10) };
    });
    const alignment = metadata['general.alignment'] ?? 32;
    const begin = Math.ceil(at / alignment) * alignment;
    for (const t of tensors) {
        const size = 4 * t.dims.reduce((a, b) => a * b, 1); // F32
        t.data = bytes.subarray(begin + t.offset, begin + t.offset + size);
    }
    return { metadata, tensors };
}

module.exports = { readGguf };
