'use strict';
// Constrained decoding beside another implementation of JSON Schema (npm ajv, 2020-12): whatever a schema's
// grammar lets through is valid, and no instance that JSON-Schema-Test-Suite calls invalid is let through. The suite
// lies beside the checkout and is skipped where it does not.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const Ajv2020 = require('ajv/dist/2020');
const addFormats = require('ajv-formats');

const { missing, programPath } = require('../e2e/lib/server.js');

const skip = missing();
const SUITE = path.join(__dirname, '../../../shared/data/json-schema/tests/draft2020-12');
const SAMPLES = Number(process.env.WEIR_SCHEMA_SAMPLES ?? 20);

// One JSON object a line to `weir grammar --batch`, one back.
function batch(requests) {
    const input = requests.map((request) => JSON.stringify(request)).join('\n') + '\n';
    const { status, stdout, stderr } = spawnSync(programPath(), ['grammar', '--batch'],
        { input, encoding: 'utf8', maxBuffer: 1 << 30, timeout: 600_000 });
    assert.equal(status, 0, stderr);
    const replies = stdout.trim().split('\n').map((line) => JSON.parse(line));
    assert.equal(replies.length, requests.length);
    return replies;
}

function compile(schema) {
    const ajv = new Ajv2020({ strict: false, logger: false, ownProperties: true });
    addFormats(ajv);
    return ajv.compile(schema);
}

function checkSamples(schema, samples) {
    const valid = compile(schema);
    for (const text of samples) {
        let value;
        try {
            value = JSON.parse(text);
        } catch {
            assert.fail(`not JSON: ${text}\nschema ${JSON.stringify(schema)}`);
        }
        assert.ok(valid(value), `${text}\n${JSON.stringify(valid.errors)}\nschema ${JSON.stringify(schema)}`);
    }
}

function suiteGroups() {
    const folders = ['', 'optional', 'optional/format'];
    return folders.flatMap((folder) => fs.readdirSync(path.join(SUITE, folder))
        .filter((file) => file.endsWith('.json'))
        .flatMap((file) => JSON.parse(fs.readFileSync(path.join(SUITE, folder, file), 'utf8'))
            .map((group) => ({ ...group, file: path.join(folder, file.replace('.json', '')) }))));
}

test('JSON-Schema-Test-Suite: nothing invalid is let through', { skip: skip || (!fs.existsSync(SUITE) &&
    'JSON-Schema-Test-Suite is not beside the checkout') }, () => {
    const groups = suiteGroups();
    const replies = batch(groups.map(({ schema, tests }, i) => ({ schema, sample: SAMPLES, seed: i,
        check: tests.map(({ data }) => JSON.stringify(data)) })));
    const table = {};
    const problems = [];
    let unfinished = 0;
    groups.forEach(({ file, description, schema, tests }, i) => {
        const reply = replies[i];
        const row = (table[file] ??= { schemas: 0, taken: 0, samples: 0, valid: 0, allowed: 0 });
        row.schemas++;
        if (reply.error) {
            return;
        }
        row.taken++;
        row.samples += reply.samples.length;
        unfinished += reply.unfinished;
        tests.forEach(({ valid, data, description: what }, k) => {
            row.valid += valid;
            row.allowed += valid && reply.accepts[k];
            if (reply.accepts[k] && !valid) {
                problems.push(`${file}: ${description}: ${what}: ${JSON.stringify(data)} is let through`);
            }
        });
        try {
            checkSamples(schema, reply.samples);
        } catch (error) {
            problems.push(`${file}: ${description}: ${error.message}`);
        }
    });
    console.log('keyword                          schemas  taken  samples  valid instances allowed');
    for (const [file, r] of Object.entries(table)) {
        console.log(`${file.padEnd(34)}${String(r.schemas).padStart(6)}${String(r.taken).padStart(7)}` +
            `${String(r.samples).padStart(9)}${`${r.allowed}/${r.valid}`.padStart(14)}`);
    }
    const sum = (key) => Object.values(table).reduce((n, row) => n + row[key], 0);
    console.log(`${sum('taken')} of ${sum('schemas')} schemas taken, ${sum('samples')} samples, ${unfinished} unfinished`);
    assert.deepEqual(problems, []);
    assert.ok(sum('taken') > 190, 'too few schemas are taken');
    assert.ok(unfinished * 20 < sum('samples'), 'too many samples do not end');
});

// Schemas as programs send them: taken, and what comes out is valid.
const REALISTIC = {
    'a person': { type: 'object', properties: { name: { type: 'string' }, age: { type: 'integer', minimum: 0, maximum: 150 },
        email: { type: 'string', format: 'email' }, tags: { type: 'array', items: { type: 'string', maxLength: 10 }, maxItems: 5 } },
    required: ['name', 'age'], additionalProperties: false },
    'optional properties': { type: 'object', properties: Object.fromEntries([...'abcdefghijkl'].map((c) => [c, { type: 'boolean' }])),
        required: ['c', 'k'] },
    'a union by a tag': { oneOf: [
        { type: 'object', properties: { kind: { const: 'circle' }, r: { type: 'number', exclusiveMinimum: 0 } }, required: ['kind', 'r'] },
        { type: 'object', properties: { kind: { const: 'box' }, w: { type: 'number' }, h: { type: 'number' } }, required: ['kind', 'w'] }] },
    'a tree': { $ref: '#/$defs/node', $defs: { node: { type: 'object', properties: { value: { type: 'integer' },
        children: { type: 'array', items: { $ref: '#/$defs/node' } } }, required: ['value', 'children'], additionalProperties: false } } },
    'a list': { $defs: { list: { type: 'object', properties: { head: { type: 'string' },
        tail: { anyOf: [{ $ref: '#/$defs/list' }, { type: 'null' }] } }, required: ['head', 'tail'] } }, $ref: '#/$defs/list' },
    'a dictionary': { type: 'object', additionalProperties: { type: 'number', minimum: -1, maximum: 1 }, maxProperties: 6 },
    'declared and additional': { type: 'object', properties: { id: { type: 'integer' }, idx: { type: 'string' } },
        required: ['id'], additionalProperties: { type: 'boolean' } },
    'names by patterns': { type: 'object', patternProperties: { '^x_': { type: 'integer' }, '_s$': { type: ['integer', 'string'] } },
        properties: { id: { type: 'null' } }, additionalProperties: false },
    'names of a form': { type: 'object', propertyNames: { pattern: '^[a-z]{2,4}$' }, additionalProperties: { type: 'integer' } },
    'formats': { type: 'object', properties: Object.fromEntries(['date', 'time', 'date-time', 'duration', 'email', 'hostname', 'ipv4',
        'ipv6', 'uuid'].map((f) => [f, { type: 'string', format: f }])), required: ['date', 'time', 'date-time', 'duration', 'email',
        'hostname', 'ipv4', 'ipv6', 'uuid'] },
    'patterns': { type: 'array', prefixItems: [{ type: 'string', pattern: 'foo' }, { type: 'string', pattern: '^\\d{3}-\\w+$', maxLength: 9 },
        { type: 'string', pattern: '^[^"\\\\]*$', minLength: 3 }, { type: 'string', pattern: '(ab|c)+$' },
        { type: 'string', pattern: '^(\\n|\\t|é|😀|\\u{1F600}){2,5}$' }], items: false, minItems: 5 },
    'all of patterns': { type: 'string', allOf: [{ pattern: 'a' }, { pattern: '^[abc]*$' }, { pattern: 'cc$' }], minLength: 4, maxLength: 12 },
    'integers': { type: 'array', prefixItems: [{ type: 'integer', minimum: -17, maximum: 1234 }, { type: 'integer', minimum: 995 },
        { type: 'integer', exclusiveMaximum: -20 }, { type: 'integer', multipleOf: 7 }, { type: 'integer', multipleOf: 30, minimum: 11,
            maximum: 1000 }, { type: 'integer', exclusiveMinimum: -1.5, exclusiveMaximum: 3 }], minItems: 6 },
    'numbers': { type: 'array', prefixItems: [{ type: 'number', minimum: 0.05, maximum: 0.95 }, { type: 'number', minimum: -3.25 },
        { type: 'number', exclusiveMinimum: 2, exclusiveMaximum: 3 }, { type: 'number', maximum: -10 },
        { type: 'number', minimum: -0.5, maximum: 1000.125 }, { type: 'number', minimum: 7, maximum: 7 },
        { type: 'number', exclusiveMinimum: 0, maximum: 1 }], minItems: 7 },
    'all of': { allOf: [{ type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] },
        { properties: { a: { minimum: 5 }, b: { type: 'string' } }, required: ['b'] }] },
    'an enum': { enum: ['a "quoted" \\ one', 'ünï', 3, -2.5, null, true, { a: [1, { b: 'c' }] }, [], ''] },
    'an enum of a type': { type: ['integer', 'string'], enum: [1, 1.5, 'a', null], minimum: 2 },
    'not a type': { not: { type: ['object', 'array', 'number'] } },
    'anything': {},
    'any object': { type: 'object' },
    'any array': { type: 'array', minItems: 2, maxItems: 4 },
    'nullable types': { type: ['string', 'null'], minLength: 2, maxLength: 4 },
    'counted properties': { type: 'object', properties: { a: {}, b: {}, c: {}, d: {} }, minProperties: 2, maxProperties: 3 },
    'long strings': { type: 'object', properties: { s: { type: 'string', maxLength: 2000 }, t: { type: 'string', minLength: 30 } },
        required: ['s', 't'] },
};

test('realistic schemas are taken and kept', { skip }, async (t) => {
    const names = Object.keys(REALISTIC);
    const replies = batch(names.map((name) => ({ schema: REALISTIC[name], sample: 10 * SAMPLES, seed: 1 })));
    for (const [i, name] of names.entries()) {
        await t.test(name, () => {
            assert.equal(replies[i].error, undefined);
            assert.ok(replies[i].samples.length > SAMPLES, `${replies[i].unfinished} do not end`);
            checkSamples(REALISTIC[name], replies[i].samples);
        });
    }
});

test('what can not be enforced is refused with its place', { skip }, async (t) => {
    const at = (keyword, value) => ({ type: 'object', properties: { a: { [keyword]: value } } });
    const refused = {
        '#/properties/a/not': at('not', { minLength: 3 }),
        '#/properties/a/if': at('if', { type: 'string' }),
        '#/properties/a/contains': at('contains', {}),
        '#/properties/a/uniqueItems': at('uniqueItems', true),
        '#/properties/a/dependentRequired': at('dependentRequired', { a: ['b'] }),
        '#/properties/a/unevaluatedProperties': at('unevaluatedProperties', false),
        '#/properties/a/format': at('format', 'idn-email'),
        '#/properties/a/minLenght': at('minLenght', 3),
        '#/properties/a/multipleOf': at('multipleOf', 0.01),
        '#/properties/a/pattern': at('pattern', '^(?=a)b'),
        '#/properties/a/oneOf': at('oneOf', [{ type: 'integer' }, { type: 'number' }]),
        '#/properties/a~1b~0/$ref': { properties: { 'a/b~': { $ref: 'http://example.com/x' } } },
    };
    const places = Object.keys(refused);
    const replies = batch(places.map((place) => ({ schema: refused[place] })));
    for (const [i, place] of places.entries()) {
        await t.test(place, () => {
            assert.ok(replies[i].error?.includes(`${place}:`), JSON.stringify(replies[i]));
            assert.equal(replies[i].unsupported, true);
        });
    }
});

// A small generator, the same on every machine (mulberry32).
function random(seed) {
    return () => {
        seed = (seed + 0x6D2B79F5) | 0;
        let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
}

function randomSchema(next, depth) {
    const below = (n) => Math.floor(next() * n);
    const maybe = (object) => Object.fromEntries(Object.entries(object).filter(() => next() < 0.5));
    const pick = (list) => list[below(list.length)];
    const number = () => (below(4000) - 2000) / pick([1, 1, 10, 100]);
    const kinds = ['integer', 'number', 'string', 'pattern', 'enum', 'boolean', 'null'];
    if (depth > 0) {
        kinds.push('object', 'object', 'array', 'tuple', 'anyOf', 'allOf');
    }
    const child = () => randomSchema(next, depth - 1);
    const between = (lo, hi, range) => {
        const a = below(range);
        return maybe({ [lo]: a, [hi]: a + below(range) });
    };
    switch (pick(kinds)) {
    case 'integer': return { type: 'integer', ...maybe({ minimum: number() - 2000, exclusiveMaximum: number() + 2000 }) };
    case 'number': return { type: 'number', ...maybe({ exclusiveMinimum: number() - 2000, maximum: number() + 2000 }) };
    case 'string': return { type: 'string', ...between('minLength', 'maxLength', 30) };
    case 'pattern': return { type: 'string', pattern: pick(['^a+b?$', '[0-9]{2}', '^(foo|bar)+$', 'x$', '^\\S{1,5}$', '.é']) };
    case 'enum': return { enum: [below(9), 'a', null, 'b"', [1], { a: 1 }].slice(below(3)) };
    case 'boolean': return { type: 'boolean' };
    case 'null': return { type: 'null' };
    case 'object': {
        const names = ['a', 'ab', 'b', 'c"', 'é', ''].filter(() => next() < 0.6);
        return { type: 'object', properties: Object.fromEntries(names.map((name) => [name, child()])),
            required: names.filter(() => next() < 0.5), ...maybe({ additionalProperties: pick([true, false, child()]) }),
            ...(next() < 0.3 ? { maxProperties: names.length + below(3) } : {}) };
    }
    case 'array': return { type: 'array', items: child(), ...between('minItems', 'maxItems', 4) };
    case 'tuple': return { type: 'array', prefixItems: [child(), child()], ...maybe({ items: pick([false, child()]), minItems: below(4) }) };
    case 'anyOf': return { anyOf: [child(), child()] };
    default: return { allOf: [child(), child()] };
    }
}

test('random schemas are kept', { skip }, () => {
    const next = random(7);
    const schemas = Array.from({ length: 400 }, () => randomSchema(next, 3));
    const replies = batch(schemas.map((schema, i) => ({ schema, sample: SAMPLES, seed: i })));
    const taken = schemas.filter((schema, i) => {
        const { error, samples } = replies[i];
        if (error === undefined) {
            checkSamples(schema, samples);
        }
        return error === undefined;
    });
    console.log(`${taken.length} of ${schemas.length} random schemas taken`);
    assert.ok(taken.length > schemas.length / 2);
});
