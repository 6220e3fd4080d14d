'use strict';
// The JSON Schema of weir.json, as npm's ajv reads it: it is a valid one, the example is valid by it, and it and the
// program refuse the same values of the same settings.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');

const Ajv2020 = require('ajv/dist/2020');

const { missing, modelPath, programPath } = require('../e2e/lib/server.js');

const skip = missing();
const ROOT = path.resolve(__dirname, '../..');

// JSON with comments; what looks like one in a string stays.
const parse = (text) => JSON.parse(text.replace(/("(?:\\.|[^"\\])*")|\/\/[^\n]*|\/\*[^]*?\*\//g, '$1'));

const run = (...args) => spawnSync(programPath(), ['serve', ...args], { encoding: 'utf8', cwd: ROOT });

function compile() {
    const schema = JSON.parse(run('--print-schema').stdout);
    return { schema, valid: new Ajv2020({ strict: true, strictTypes: true, allErrors: true }).compile(schema) };
}

test('the schema is strict draft 2020-12, and every default and the example are valid by it', { skip }, () => {
    const { schema, valid } = compile();
    const example = parse(fs.readFileSync(path.join(ROOT, 'docs/weir.json'), 'utf8'));
    assert.ok(valid(example), JSON.stringify(valid.errors));
    assert.ok(Object.keys(example).length > 10);
    const defaults = Object.entries(schema.properties).filter(([, property]) => 'default' in property);
    assert.ok(defaults.length > 25);
    assert.ok(valid(Object.fromEntries(defaults.map(([name, property]) => [name, property.default]))), JSON.stringify(valid.errors));
    assert.ok(!valid({ prot: 1 }));
});

// What the program says of a file: the names of settings that it refuses for their value.
function refusedBy(folder, settings) {
    const file = path.join(folder, 'weir.json');
    fs.writeFileSync(file, JSON.stringify(settings));
    const { status, stderr } = run('--config', file, '--check-config', '--model', modelPath());
    assert.ok([0, 2].includes(status), stderr);
    const ofValues = /is not allowed|is not known|is no mode|is wanted|is no /;
    return new Set(stderr.split('\n').filter((line) => ofValues.test(line)).map((line) => /\$\.(\w+)/.exec(line)?.[1]));
}

test('schema and program refuse the same values', { skip }, (t) => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-config-'));
    t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
    const { schema, valid } = compile();
    const names = Object.keys(schema.properties).filter((name) => name !== '$schema' && name !== 'model');
    const values = [true, false, null, 0, 1, -1, 0.5, 2, 16, 17, 1024, 1025, 65536, 1e12, 1e300, '', 'auto', 'off', 'f16', 'none', 'refuse',
        '0600', '0999', '1777', [], ['a=b'], ['ab'], [1], ['http://a'], {}];
    let refused = 0;
    for (const value of values) {
        const settings = Object.fromEntries(names.map((name) => [name, value]));
        const bySchema = valid(settings) ? new Set() : new Set(valid.errors.map((error) => error.instancePath.split('/')[1]));
        const byProgram = refusedBy(folder, settings);
        for (const name of names) {
            // Of these the program knows more than a pattern can say.
            const isStricter = ['cors_origin', 'adapter', 'allow_host', 'api_key', 'admin_key', 'prompts_dir', 'filters_dir', 'repo',
                'drift_alpha', 'drift_margin', 'otlp_endpoint']
                .includes(name) && !bySchema.has(name);
            assert.ok(isStricter || bySchema.has(name) === byProgram.has(name),
                `${name}: ${JSON.stringify(value)}: schema ${bySchema.has(name)}, program ${byProgram.has(name)}`);
        }
        refused += byProgram.size;
    }
    assert.ok(refused > names.length * 10);
});
