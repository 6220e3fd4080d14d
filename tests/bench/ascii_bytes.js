'use strict';
// Makes a model of random weights say only valid UTF-8: in a file of `weir synth` (its made-up vocabulary: three control
// tokens, the 256 bytes, then words) the bytes from 0x80 on become control tokens, which have no text. Changed in
// place. llama-server needs it: it cannot parse an answer with a stray byte, and ends it with an error event.
//
//   node tests/bench/ascii_bytes.js FILE.gguf
//
// Prints how many tokens it changed.

const fs = require('node:fs');

const KEY = 'tokenizer.ggml.token_type';
const HEAD_BYTES = 64 << 20; // metadata of any vocabulary is shorter
const ARRAY = 9, INT32 = 5;  // GGUF v3 value types
const N_SPECIAL = 3, NORMAL = 1, CONTROL = 3;
const INT32_BYTES = 4;

// Where the kinds of tokens stand: behind the key come its type, the type of the items (u32) and their count (u64).
function kindsOffset(head) {
    const key = Buffer.alloc(8 + KEY.length);
    key.writeBigUInt64LE(BigInt(KEY.length));
    key.write(KEY, 8);
    const at = head.indexOf(key);
    const type = at + key.length;
    if (at < 0 || head.readUInt32LE(type) !== ARRAY || head.readUInt32LE(type + 4) !== INT32) {
        throw new Error(`no array ${KEY}`);
    }
    return type + 16;
}

function changeKinds(kinds) {
    let changed = 0;
    for (let byte = 0; byte < 256; byte++) {
        const at = (N_SPECIAL + byte) * INT32_BYTES;
        const kind = kinds.readInt32LE(at);
        if (byte < 0x80 ? kind !== NORMAL : kind !== NORMAL && kind !== CONTROL) {
            throw new Error('this is not the vocabulary of weir synth');
        }
        if (byte >= 0x80 && kind === NORMAL) {
            kinds.writeInt32LE(CONTROL, at);
            changed++;
        }
    }
    return changed;
}

function main(path) {
    const file = fs.openSync(path, 'r+');
    const head = Buffer.alloc(Math.min(HEAD_BYTES, fs.fstatSync(file).size));
    fs.readSync(file, head, 0, head.length, 0);
    const at = kindsOffset(head);
    const kinds = head.subarray(at, at + (N_SPECIAL + 256) * INT32_BYTES);
    const changed = changeKinds(kinds);
    fs.writeSync(file, kinds, 0, kinds.length, at);
    fs.closeSync(file);
    console.log(`${path}: ${changed} tokens are control tokens now`);
}

if (process.argv.length !== 3) {
    console.error('usage: node tests/bench/ascii_bytes.js FILE.gguf');
    process.exit(2);
}
main(process.argv[2]);
