#!/usr/bin/env node
'use strict';
// docs/api-reference.md, made of runtime/api/openapi.json.
//     node scripts/api_reference.js            writes it
//     node scripts/api_reference.js --check    says whether it is as it would be written

const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.resolve(__dirname, '..');
const SOURCE = path.join(ROOT, 'runtime/api/openapi.json');
const TARGET = path.join(ROOT, 'docs/api-reference.md');
const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

const document = JSON.parse(fs.readFileSync(SOURCE, 'utf8'));

const anchor = (heading) => heading.toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-');
const cell = (text) => String(text ?? '').replace(/\s+/g, ' ').replaceAll('|', '\\|').trim();
const nameOf = (ref) => ref.split('/').at(-1);
const resolve = (node) => (node?.$ref ? node.$ref.split('/').slice(1).reduce((at, key) => at[key], document) : node);

// "array of `Message`", "string: `a`, `b`", "integer, 1 to 60"
function typeOf(schema) {
    if (!schema || schema === true) {
        return 'any';
    }
    if (schema.$ref) {
        return `[${nameOf(schema.$ref)}](#${anchor(nameOf(schema.$ref))})`;
    }
    const choices = schema.oneOf ?? schema.anyOf;
    if (choices) {
        return [...new Set(choices.map(typeOf))].join(' or ');
    }
    if (schema.allOf) {
        return schema.allOf.map(typeOf).join(' with ');
    }
    if ('const' in schema) {
        return `\`${JSON.stringify(schema.const)}\``;
    }
    if (schema.enum) {
        return schema.enum.map((value) => `\`${JSON.stringify(value)}\``).join(', ');
    }
    const types = [schema.type ?? (schema.properties ? 'object' : 'any')].flat();
    return types.map((type) => (type === 'array' && schema.items ? `array of ${typeOf(schema.items)}` : type)).join(' or ');
}

function boundsOf(schema) {
    const say = (low, high, what) => (low !== undefined && high !== undefined ? `${low} to ${high}${what}`
        : low !== undefined ? `at least ${low}${what}` : high !== undefined ? `at most ${high}${what}` : '');
    return [
        say(schema.minimum ?? schema.exclusiveMinimum, schema.maximum ?? schema.exclusiveMaximum, ''),
        say(schema.minLength, schema.maxLength, ' characters'),
        say(schema.minItems, schema.maxItems, ' items'),
        'default' in schema ? `default \`${JSON.stringify(schema.default)}\`` : '',
    ].filter(Boolean).join(', ');
}

// Rows of the fields of an object and of the objects in it that have no name of their own.
function* fieldsOf(schema, prefix = '') {
    for (const part of schema.allOf ?? []) {
        yield* fieldsOf(part.$ref ? { properties: {} } : part, prefix);
    }
    const required = new Set(schema.required ?? []);
    for (const [name, field] of Object.entries(schema.properties ?? {})) {
        const what = [boundsOf(field), field.deprecated ? 'deprecated' : '', field.description].filter(Boolean).join('. ');
        yield [`\`${prefix}${name}\``, typeOf(field), required.has(name) ? 'yes' : '', what];
        const inner = field.type === 'array' && field.items ? field.items : field;
        if (!inner.$ref && inner.properties) {
            yield* fieldsOf(inner, `${prefix}${name}${inner === field ? '' : '[]'}.`);
        }
    }
}

function table(head, rows) {
    return rows.length === 0 ? '' : `${[head, head.map(() => '---'), ...rows].map((row) =>
        `| ${row.map(cell).join(' | ')} |`).join('\n')}\n`;
}

function keyOf(security) {
    const names = new Set((security ?? []).flatMap((one) => Object.keys(one)));
    return names.has('adminKey') ? 'admin key' : names.has('apiKey') ? 'API key, if the server has any' : 'no key';
}

function contentOf(content) {
    return Object.entries(content ?? {}).map(([type, { schema, 'x-event': event }]) =>
        `\`${type}\`: ${typeOf(event ?? schema)}${schema?.description ? `. ${schema.description}` : ''}`).join('; ');
}

function* operation(method, route, item, { summary, description, security, parameters, requestBody, responses }) {
    yield `### ${method.toUpperCase()} ${route}\n`;
    yield `${summary}. Needs ${keyOf(security)}.${description ? ` ${description}` : ''}\n`;
    yield table(['parameter', 'in', 'type', 'needed', 'what'], [...(item.parameters ?? []), ...(parameters ?? [])].map(resolve)
        .map((p) => [`\`${p.name}\``, p.in, typeOf(p.schema), p.required ? 'yes' : '',
            [boundsOf(p.schema ?? {}), p.description].filter(Boolean).join('. ')]));
    const body = resolve(requestBody);
    if (body) {
        yield `Body: ${contentOf(body.content)}\n`;
        const { schema, example } = body.content['application/json'] ?? {};
        if (schema && !schema.$ref) {
            yield table(['field', 'type', 'needed', 'what'], [...fieldsOf(schema)]);
        }
        if (example) {
            yield `\`\`\`json\n${JSON.stringify(example)}\n\`\`\`\n`;
        }
    }
    yield table(['status', 'what', 'body', 'headers'], Object.entries(responses).map(([status, response]) => {
        const { description: what, content, headers } = resolve(response);
        return [status, what, contentOf(content), Object.keys(headers ?? {}).map((h) => `\`${h}\``).join(', ')];
    }));
}

function* reference() {
    yield '# API reference\n';
    yield `Made of [openapi.json](../runtime/api/openapi.json) by \`scripts/api_reference.js\`; a server gives the same at \`/openapi.json\`. How routes behave, with examples, is in [api.md](api.md).\n`;
    yield `${document.info.description}\n`;
    const operations = Object.entries(document.paths).flatMap(([route, item]) =>
        METHODS.filter((method) => item[method]).map((method) => ({ method, route, item, op: item[method] })));
    for (const { name, description } of document.tags) {
        yield `## ${name}\n`;
        if (description) {
            yield `${description}\n`;
        }
        for (const { method, route, item, op } of operations.filter(({ op: { tags } }) => tags.includes(name))) {
            yield* operation(method, route, item, op);
        }
    }
    yield '## Headers\n';
    yield table(['header', 'type', 'what'], Object.entries(document.components.headers).map(([name, header]) =>
        [`\`${name}\``, typeOf(header.schema), header.description]));
    yield '## Objects\n';
    for (const [name, schema] of Object.entries(document.components.schemas)) {
        yield `### ${name}\n`;
        const fields = [...fieldsOf(schema)];
        if (schema.description) {
            yield `${schema.description}\n`;
        }
        yield fields.length > 0 ? table(['field', 'type', 'needed', 'what'], fields) : `${typeOf(schema)}\n`;
    }
}

const text = `${[...reference()].filter(Boolean).join('\n').trimEnd()}\n`;
if (process.argv[2] !== '--check') {
    fs.writeFileSync(TARGET, text);
} else if (!fs.existsSync(TARGET) || fs.readFileSync(TARGET, 'utf8') !== text) {
    console.error(`docs/api-reference.md is not what runtime/api/openapi.json says: run node scripts/api_reference.js`);
    process.exit(1);
}
