'use strict';
// Objects held against the types that Kubernetes' own client has for them: every field is known and of its type, and
// none that is needed is missing. Stricter than the server, which drops what it does not know.

const fs = require('node:fs');
const path = require('node:path');

const MODELS = path.join(__dirname, '../node_modules/@kubernetes/client-node/dist/gen/models');
const SCALARS = {
    string: (value) => typeof value === 'string',
    number: (value) => typeof value === 'number' && Number.isFinite(value),
    boolean: (value) => typeof value === 'boolean',
    Date: (value) => typeof value === 'string',
    any: () => true,
    object: (value) => typeof value === 'object',
    IntOrString: (value) => typeof value === 'string' || Number.isInteger(value),
};

const cache = new Map();

// {fields: Map of name to type, needed: names}, or undefined.
async function typeNamed(name) {
    if (!cache.has(name)) {
        const file = path.join(MODELS, `${name}.js`);
        if (!fs.existsSync(file)) {
            return undefined;
        }
        const { [name]: model } = await import(file);
        const declared = fs.readFileSync(path.join(MODELS, `${name}.d.ts`), 'utf8');
        const fields = new Map(model.getAttributeTypeMap().map(({ baseName, type, format }) => [baseName,
            format === 'int-or-string' ? 'IntOrString' : type]));
        cache.set(name, { fields, needed: [...declared.matchAll(/^ {4}'(\w+)': /gm)].map((match) => match[1]) });
    }
    return cache.get(name);
}

async function problemsOf(value, type, at) {
    const list = /^Array<(.*)>$/.exec(type);
    const map = /^\{ \[key: string\]: (.*); \}$/.exec(type);
    if (list) {
        return Array.isArray(value)
            ? (await Promise.all(value.map((one, i) => problemsOf(one, list[1], `${at}[${i}]`)))).flat()
            : [`${at}: a list is wanted`];
    }
    if (map) {
        return value && typeof value === 'object' && !Array.isArray(value)
            ? (await Promise.all(Object.entries(value).map(([key, one]) => problemsOf(one, map[1], `${at}.${key}`)))).flat()
            : [`${at}: a map is wanted`];
    }
    if (SCALARS[type]) {
        return SCALARS[type](value) ? [] : [`${at}: ${type} is wanted, not ${JSON.stringify(value)}`];
    }
    const known = await typeNamed(type);
    if (!known) {
        return [`${at}: the type ${type} is not known`];
    }
    if (!value || typeof value !== 'object' || Array.isArray(value)) {
        return [`${at}: ${type} is wanted, not ${JSON.stringify(value)}`];
    }
    const missing = known.needed.filter((name) => !(name in value)).map((name) => `${at}.${name} is missing`);
    const inside = Object.entries(value).map(([name, one]) => (known.fields.has(name)
        ? problemsOf(one, known.fields.get(name), `${at}.${name}`)
        : [`${at}.${name}: there is no such field`]));
    return [...missing, ...(await Promise.all(inside)).flat()];
}

// Of a whole object, by its apiVersion and kind.
async function problemsOfObject(object) {
    const version = String(object.apiVersion).split('/').at(-1);
    const name = `${version[0].toUpperCase()}${version.slice(1)}${object.kind}`;
    return problemsOf(object, name, `${object.kind}/${object.metadata?.name}`);
}

module.exports = { problemsOfObject };
