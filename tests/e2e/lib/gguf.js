'use strict';
// Reads a GGUF file: its metadata and its tensors' bytes, for tests that write a model in another format. Writes one
// with other metadata, for tests that want a model with another template.

const fs = require('node:fs');

const NUMBERS = {
    0: ['readUInt8', 1], 1: ['readInt8', 1], 2: ['readUInt16LE', 2], 3: ['readInt16LE', 2], 4: ['readUInt32LE', 4],
    5: ['readInt32LE', 4], 6: ['readFloatLE', 4], 7: ['readUInt8', 1], 10: ['readBigUInt64LE', 8],
    11: ['readBigInt64LE', 8], 12: ['readDoubleLE', 8],
};
const STRING = 8, ARRAY = 9;

const WRITES = {
    0: 'writeUInt8', 1: 'writeInt8', 2: 'writeUInt16LE', 3: 'writeInt16LE', 4: 'writeUInt32LE', 5: 'writeInt32LE',
    6: 'writeFloatLE', 7: 'writeUInt8', 10: 'writeBigUInt64LE', 11: 'writeBigInt64LE', 12: 'writeDoubleLE',
};

// fields: {key: {type, itemType, value}}, in the file's order; infos: the bytes that describe the tensors; data: those
// that hold them.
function parse(bytes) {
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
    const single = (type) => (type === STRING ? string() : number(type));
    const field = () => {
        const type = number(4);
        if (type !== ARRAY) return { type, value: single(type) };
        const itemType = number(4), count = number(10);
        return { type, itemType, value: Array.from({ length: count }, () => single(itemType)) };
    };
    const nTensors = number(10), nKeys = number(10);
    const fields = {};
    for (let i = 0; i < nKeys; i++) {
        const key = string();
        fields[key] = field();
    }
    const infosBegin = at;
    const tensors = Array.from({ length: nTensors }, () => {
        const name = string();
        const dims = Array.from({ length: number(4) }, () => number(10));
        return { name, dims, type: number(4), offset: number(10) };
    });
    const alignment = fields['general.alignment']?.value ?? 32;
    const data = bytes.subarray(Math.ceil(at / alignment) * alignment);
    return { fields, tensors, infos: bytes.subarray(infosBegin, at), data, alignment };
}

function readGguf(file) {
    const { fields, tensors, data } = parse(fs.readFileSync(file));
    const metadata = Object.fromEntries(Object.entries(fields).map(([key, { value }]) => [key, value]));
    for (const t of tensors) {
        const size = 4 * t.dims.reduce((a, b) => a * b, 1); // F32
        t.data = data.subarray(t.offset, t.offset + size);
    }
    return { metadata, tensors };
}

function encode(type, value) {
    if (type === STRING) {
        const text = Buffer.from(value);
        return Buffer.concat([encode(10, text.length), text]);
    }
    const bytes = Buffer.alloc(NUMBERS[type][1]);
    bytes[WRITES[type]](type === 10 || type === 11 ? BigInt(value) : value);
    return bytes;
}

function encodeField({ type, itemType, value }) {
    return type === ARRAY
        ? [encode(4, ARRAY), encode(4, itemType), encode(10, value.length),
            ...value.map((item) => encode(itemType, item))]
        : [encode(4, type), encode(type, value)];
}

// Copies a model; `change` gets its metadata, as readGguf gives it, to alter the values, and a function that gives the
// bytes of a row of a Q8_0 matrix, to alter them.
function rewriteGguf(source, target, change) {
    const bytes = fs.readFileSync(source);
    const { fields, tensors, infos, data, alignment } = parse(bytes);
    const metadata = Object.fromEntries(Object.entries(fields).map(([key, { value }]) => [key, value]));
    change(metadata, (name, row) => {
        const { dims, offset } = tensors.find((t) => t.name === name);
        const size = (dims[0] / 32) * 34; // a scale of 2 bytes for each 32
        return data.subarray(offset + row * size, offset + (row + 1) * size);
    });
    const head = Buffer.concat([
        bytes.subarray(0, 8), encode(10, tensors.length), encode(10, Object.keys(fields).length),
        ...Object.entries(fields).flatMap(([key, field]) =>
            [encode(STRING, key), ...encodeField({ ...field, value: metadata[key] })]),
        infos,
    ]);
    fs.writeFileSync(target, Buffer.concat([head, Buffer.alloc(-head.length & (alignment - 1)), data]));
}

// A random LoRA adapter for the model in `source`: pairs of rank `rank` for the matrices of `parts`, the same for the
// same seed. `change` gets the fields to alter.
function writeAdapter(source, target, { seed = 1, rank = 4, strength = 1, parts = ['attn_q', 'attn_v', 'ffn_down'],
    change = () => {} } = {}) {
    const { fields, tensors } = parse(fs.readFileSync(source));
    let state = seed >>> 0;
    const random = () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return state / 2 ** 31 - 1;
    };
    const made = [];
    for (const { name, dims } of tensors) {
        if (!parts.some((part) => name.endsWith(`.${part}.weight`))) continue;
        for (const [suffix, shape] of [['lora_a', [dims[0], rank]], ['lora_b', [rank, dims[1]]]]) {
            const size = shape[0] * shape[1];
            const scale = suffix === 'lora_a' ? 1 / Math.sqrt(dims[0]) : strength;
            made.push({ name: `${name}.${suffix}`, shape, numbers: Float32Array.from({ length: size }, () => random() * scale) });
        }
    }
    const keys = {
        'general.type': { type: STRING, value: 'adapter' },
        'general.architecture': { type: STRING, value: fields['general.architecture'].value },
        'adapter.type': { type: STRING, value: 'lora' },
        'adapter.lora.alpha': { type: 6, value: rank },
    };
    change(keys);
    let offset = 0;
    const infos = made.map(({ name, shape, numbers }) => {
        const info = Buffer.concat([encode(STRING, name), encode(4, 2), encode(10, shape[0]), encode(10, shape[1]),
            encode(4, 0), encode(10, offset)]);
        offset += Math.ceil(numbers.byteLength / 32) * 32;
        return info;
    });
    const head = Buffer.concat([Buffer.from('GGUF'), encode(4, 3), encode(10, made.length),
        encode(10, Object.keys(keys).length),
        ...Object.entries(keys).flatMap(([key, field]) => [encode(STRING, key), ...encodeField(field)]), ...infos]);
    const data = made.flatMap(({ numbers }) => [Buffer.from(numbers.buffer), Buffer.alloc(-numbers.byteLength & 31)]);
    fs.writeFileSync(target, Buffer.concat([head, Buffer.alloc(-head.length & 31), ...data]));
}

module.exports = { readGguf, rewriteGguf, writeAdapter };
