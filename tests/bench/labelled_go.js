'use strict';
// Reads the true and false positives of gitleaks' rules out of their Go sources. What stands there is a small part of
// Go: strings, lists and maps of them, and calls of a few helpers, some of which make random samples of a regular
// expression. These are made here from a fixed seed.

const { randomFrom } = require('./tools.js');

const UNKNOWN = Symbol('not understood');

// ---- random text of a regular expression ----

const CLASSES = { d: '0-9', w: 'A-Za-z0-9_', s: ' ' };

class Sampler {
    constructor(expression, random) {
        this.text = expression;
        this.at = 0;
        this.random = random;
    }

    below(n) {
        return Math.floor(this.random() * n);
    }

    // A choice between sequences; each is made, one is taken.
    choice() {
        const choices = [''];
        for (; this.at < this.text.length && this.text[this.at] !== ')'; ) {
            if (this.text[this.at] === '|') {
                this.at++;
                choices.push('');
            } else {
                choices[choices.length - 1] += this.repeated();
            }
        }
        return choices[this.below(choices.length)];
    }

    repeated() {
        const begin = this.at;
        let sample = this.one();
        const end = this.at;
        const found = /^(?:\{(\d+)(,?)(\d*)\}|[?*+])\??/.exec(this.text.slice(end));
        if (!found) {
            return sample;
        }
        const least = found[1] ? Number(found[1]) : found[0][0] === '+' ? 1 : 0;
        const most = found[0][0] === '?' ? 1 : found[1] && !found[2] ? least : found[3] ? Number(found[3]) : least + 10;
        const count = least + this.below(most - least + 1);
        sample = '';
        for (let i = 0; i < count; i++) {
            this.at = begin;
            sample += this.one();
        }
        this.at = end + found[0].length;
        return sample;
    }

    one() {
        const c = this.text[this.at++];
        if (c === '(') {
            const flags = /^\?[a-zA-Z-]*:?/.exec(this.text.slice(this.at));
            this.at += flags ? flags[0].length : 0;
            const sample = this.choice();
            this.at++;
            return sample;
        }
        if (c === '[') {
            return this.ofClass();
        }
        if (c === '\\') {
            const escaped = this.text[this.at++];
            return CLASSES[escaped] ? this.ofRanges(CLASSES[escaped]) : escaped === 'b' ? '' : escaped;
        }
        return c === '.' ? this.ofRanges('a-z') : /[\^$]/.test(c) ? '' : c;
    }

    ofClass() {
        let ranges = '';
        for (; this.text[this.at] !== ']'; this.at++) {
            if (this.text[this.at] === '\\') {
                const escaped = this.text[++this.at];
                ranges += CLASSES[escaped] ?? `\\${escaped}`;
            } else {
                ranges += this.text[this.at];
            }
        }
        this.at++;
        return this.ofRanges(ranges);
    }

    ofRanges(ranges) {
        const all = new RegExp(`[${ranges.replace(/\[/g, '\\[')}]`);
        const members = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i)).filter((c) => all.test(c));
        return members[this.below(members.length)];
    }
}

// ---- expressions ----

const TOKEN = /\s+|\/\/[^\n]*|\/\*[^]*?\*\/|`[^`]*`|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[A-Za-z_]\w*|\d[\w.]*|:=|\.\.\.|[^]/y;

function tokenize(text) {
    const tokens = [];
    for (TOKEN.lastIndex = 0; TOKEN.lastIndex < text.length; ) {
        const [token] = TOKEN.exec(text);
        if (!/^(\s|\/\/|\/\*)/.test(token)) {
            tokens.push(token);
        }
    }
    return tokens;
}

function unquote(token) {
    return token[0] === '`' ? token.slice(1, -1) : JSON.parse(token.replace(/\\([aevx'])/g, '\\\\$1'));
}

class Evaluator {
    constructor(tokens, names, helpers) {
        this.tokens = tokens;
        this.at = 0;
        this.names = names;
        this.helpers = helpers;
    }

    take(token) {
        const isNext = this.tokens[this.at] === token;
        this.at += isNext ? 1 : 0;
        return isNext;
    }

    expression() {
        let value = this.primary();
        while (this.take('+')) {
            const next = this.primary();
            value = typeof value === 'string' && typeof next === 'string' ? value + next : UNKNOWN;
        }
        return value;
    }

    // The values up to a closing bracket; of a map's entries the values.
    list(end) {
        const values = [];
        while (this.at < this.tokens.length && !this.take(end)) {
            let value = this.expression();
            if (this.take(':')) {
                value = this.expression();
            }
            if (this.take('...')) {
                values.push(...(Array.isArray(value) ? value : [UNKNOWN]));
            } else {
                values.push(value);
            }
            if (!this.take(',') && this.tokens[this.at] !== end) {
                this.at++; // some other sign: what it means is not known
                values[values.length - 1] = UNKNOWN;
            }
        }
        return values;
    }

    primary() {
        const token = this.tokens[this.at++];
        if (token === undefined) {
            return UNKNOWN;
        }
        if (/^[`"]/.test(token)) {
            return unquote(token);
        }
        if (token === '[' || token === 'map') {
            // A type, and behind it the values of a literal.
            const type = /^[\w.*[\]]+$/;
            let end = this.at;
            while (end < this.tokens.length && type.test(this.tokens[end])) {
                end++;
            }
            if (this.tokens[end] !== '{') {
                this.at = end;
                return UNKNOWN;
            }
            this.at = end + 1;
            return this.list('}');
        }
        if (token === '(') {
            const [value] = this.list(')');
            return value;
        }
        if (!/^[A-Za-z_]/.test(token)) {
            return UNKNOWN;
        }
        let name = token;
        while (this.take('.')) {
            name = this.tokens[this.at++];
        }
        if (this.take('(')) {
            const values = this.list(')');
            const helper = this.helpers[name];
            return helper && !values.includes(UNKNOWN) ? helper(...values) : name === 'append' ? values.flat() : UNKNOWN;
        }
        return this.names.get(name) ?? UNKNOWN;
    }
}

// Runs the assignments among the tokens, in their order.
function runAssignments(tokens, names, helpers) {
    for (let i = 0; i + 1 < tokens.length; i++) {
        if (/^[A-Za-z_]\w*$/.test(tokens[i]) && (tokens[i + 1] === ':=' || tokens[i + 1] === '=') && tokens[i - 1] !== '.') {
            const evaluator = new Evaluator(tokens, names, helpers);
            evaluator.at = i + 2;
            names.set(tokens[i], evaluator.expression());
            i = evaluator.at - 1;
        }
    }
}

function makeHelpers(sampleTemplates) {
    const random = randomFrom(7);
    const sample = (expression) => new Sampler(expression, random).choice();
    const sized = (members) => (size) => `[${members}]{${size}}`;
    return {
        NewSecret: sample,
        newPlausibleSecret: (expression) => {
            for (;;) {
                const secret = sample(expression);
                if (/[1-9]/.test(secret)) {
                    return secret;
                }
            }
        },
        Numeric: sized('0-9'),
        Hex: sized('a-f0-9'),
        AlphaNumeric: sized('a-z0-9'),
        AlphaNumericExtendedShort: sized('a-z0-9_-'),
        AlphaNumericExtended: sized('a-z0-9=_\\-'),
        AlphaNumericExtendedLong: sized('a-z0-9\\/=_\\+\\-'),
        Hex8_4_4_4_12: () => [8, 4, 4, 4, 12].map((n) => `[0-9a-f]{${n}}`).join('-'),
        GenerateSampleSecret: (name, secret) => `${name}_api_token = "${secret}"`,
        GenerateSampleSecrets: (name, secret) =>
            sampleTemplates.map((template) =>
                template.replaceAll('{i}', name).replaceAll('{I}', name.toUpperCase()).replaceAll('{s}', secret)),
        Sprintf: (format, ...values) => {
            let i = 0;
            return format.replace(/%[sv]/g, () => values[i++]);
        },
        append: (list, ...values) => (Array.isArray(list) ? [...list, ...values] : UNKNOWN),
        ToUpper: (text) => text.toUpperCase(),
        ToLower: (text) => text.toLowerCase(),
        Repeat: (text, n) => text.repeat(Number(n)),
    };
}

// The templates that samples are made from, out of the file that declares them.
function readTemplates(text) {
    const names = new Map();
    runAssignments(tokenize(text), names, {});
    return names.get('samples');
}

// The rules of a file: [{ id, positives, negatives, unread }].
function readRules(text, templates) {
    const helpers = makeHelpers(templates);
    const global = new Map();
    runAssignments(tokenize(text.split(/^func /m)[0]), global, helpers);
    const rules = [];
    for (const body of text.split(/^func /m).slice(1)) {
        const id = /RuleID:\s+"([^"]+)"/.exec(body)?.[1];
        if (!id) {
            continue;
        }
        const names = new Map(global);
        const begin = body.search(/\/\/ validate|tps\s*:?=/);
        runAssignments(tokenize(begin < 0 ? '' : body.slice(begin)), names, helpers);
        const texts = (name) => (Array.isArray(names.get(name)) ? names.get(name).flat() : []);
        const all = [...texts('tps'), ...texts('fps')];
        rules.push({
            id,
            positives: texts('tps').filter((one) => typeof one === 'string'),
            negatives: texts('fps').filter((one) => typeof one === 'string'),
            unread: all.filter((one) => typeof one !== 'string').length,
        });
    }
    return rules;
}

module.exports = { readRules, readTemplates };
