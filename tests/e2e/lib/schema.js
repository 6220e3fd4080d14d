'use strict';
// As much of JSON Schema as runtime/api/openapi.json uses; what it does not know it refuses.

const assert = require('node:assert/strict');

const NOTES = ['description', 'default', 'example', 'contentEncoding'];

const typeOf = (value) => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value);
const isType = (value, type) => typeOf(value) === type || (type === 'integer' && Number.isInteger(value));

const KEYWORDS = {
    type: (value, types) => [types].flat().some((type) => isType(value, type)),
    const: (value, wanted) => value === wanted,
    enum: (value, list) => list.includes(value),
    minimum: (value, least) => typeof value !== 'number' || value >= least,
    maximum: (value, most) => typeof value !== 'number' || value <= most,
    minLength: (value, least) => typeof value !== 'string' || value.length >= least,
    minItems: (value, least) => !Array.isArray(value) || value.length >= least,
    maxItems: (value, most) => !Array.isArray(value) || value.length <= most,
    required: (value, names) => !isType(value, 'object') || names.every((name) => name in value),
    items: (value, schema, fits) => !Array.isArray(value) || value.every((item) => fits(item, schema)),
    properties: (value, schemas, fits) => Object.entries(schemas).every(([name, schema]) =>
        !isType(value, 'object') || !(name in value) || fits(value[name], schema)),
    additionalProperties: (value, schema, fits) => Object.values(value).every((item) => fits(item, schema)),
    oneOf: (value, schemas, fits) => schemas.filter((schema) => fits(value, schema)).length === 1,
    allOf: (value, schemas, fits) => schemas.every((schema) => fits(value, schema)),
    $ref: (value, name, fits, find) => fits(value, find(name)),
};

// A function that tells whether a value is what a schema of the document describes.
function validator(document) {
    const find = (name) => {
        const found = name.slice(2).split('/').reduce((node, key) => node?.[key], document);
        assert.ok(name.startsWith('#/') && found, `${name} is not in the document`);
        return found;
    };
    const fits = (value, schema) => Object.entries(schema).every(([keyword, wanted]) => {
        if (NOTES.includes(keyword)) {
            return true;
        }
        assert.ok(keyword in KEYWORDS, `the keyword "${keyword}" is not known`);
        return KEYWORDS[keyword](value, wanted, fits, find);
    });
    return { fits, find };
}

module.exports = { validator };
