'use strict';
// Prometheus' text format 0.0.4, read strictly: what a reader would stumble over fails a test.

const assert = require('node:assert/strict');

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/;
const NUMBER = /^(?:[+-]Inf|NaN|[+-]?[0-9.]+(?:e[+-]?[0-9]+)?)$/;

function parseLabels(text) {
    const labels = {};
    for (let rest = text; rest;) {
        const match = LABEL.exec(rest);
        assert.ok(match, `labels: ${text}`);
        const [all, name, value, comma] = match;
        assert.ok(!(name in labels), `twice: ${name} in ${text}`);
        labels[name] = value.replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));
        rest = rest.slice(all.length);
        assert.ok(comma !== ',' || rest, `a comma at the end: ${text}`);
    }
    return labels;
}

const numberOf = (text) => ({ '+Inf': Infinity, '-Inf': -Infinity, NaN }[text] ?? Number(text));

function checkHistogram(name, samples) {
    const groups = new Map();
    for (const { suffix, labels: { le, ...labels }, value } of samples) {
        const key = JSON.stringify(labels);
        const group = groups.get(key) ?? { buckets: [] };
        groups.set(key, group);
        if (suffix === '_bucket') {
            group.buckets.push([numberOf(le), value]);
        } else {
            group[suffix] = value;
        }
    }
    for (const { buckets, _sum, _count } of groups.values()) {
        assert.equal(buckets.at(-1)[0], Infinity, name);
        assert.equal(buckets.at(-1)[1], _count, name);
        assert.notEqual(_sum, undefined, name);
        buckets.slice(1).forEach(([le, n], i) => assert.ok(le > buckets[i][0] && n >= buckets[i][1], name));
    }
}

// {families: Map(name -> {type, help, samples}), value(name, labels)}: the sum of what fits, 0 for nothing.
function parseMetrics(text) {
    const families = new Map();
    const seen = new Set();
    let family;
    assert.ok(text.endsWith('\n'));
    for (const line of text.slice(0, -1).split('\n')) {
        const help = /^# HELP (\S+) (.+)$/.exec(line);
        const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line);
        if (help) {
            assert.match(help[1], NAME);
            assert.ok(!families.has(help[1]), `the lines of ${help[1]} stand apart`);
            family = { name: help[1], help: help[2], samples: [] };
            families.set(help[1], family);
        } else if (type) {
            assert.equal(type[1], family.name);
            assert.equal(family.type, undefined);
            family.type = type[2];
            assert.equal(type[2] === 'counter', type[1].endsWith('_total'), type[1]);
        } else {
            const match = /^([^{ ]+)(?:\{(.*)\})? (\S+)$/.exec(line);
            assert.ok(match && NUMBER.test(match[3]), line);
            const [, name, labels = '', number] = match;
            assert.ok(name.startsWith(family.name), line);
            const suffix = name.slice(family.name.length);
            assert.ok((family.type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']).includes(suffix), line);
            assert.ok(!seen.has(name + labels), `twice: ${line}`);
            seen.add(name + labels);
            family.samples.push({ suffix, labels: parseLabels(labels), value: numberOf(number) });
        }
    }
    for (const { name, type, samples } of families.values()) {
        if (type === 'histogram') {
            checkHistogram(name, samples);
        } else if (type === 'counter') {
            samples.forEach(({ value }) => assert.ok(value >= 0, name));
        }
    }
    const value = (name, labels = {}, suffix = '') => (families.get(name)?.samples ?? [])
        .filter((sample) => sample.suffix === suffix && Object.entries(labels).every(([k, v]) => sample.labels[k] === String(v)))
        .reduce((sum, sample) => sum + sample.value, 0);
    return { families, value };
}

async function readMetrics(server, options) {
    const response = await server.fetch('/metrics', options);
    const text = await response.text();
    assert.equal(response.status, 200, text);
    assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
    return { text, ...parseMetrics(text) };
}

module.exports = { parseMetrics, readMetrics };
