'use strict';
// Reads the cases of pytest's parametrize marks out of a Python file: literals only, whatever else stands in a case
// makes it one that can not be read.

const OPAQUE = Symbol('not a literal');

const ESCAPES = { n: '\n', t: '\t', r: '\r', '\\': '\\', "'": "'", '"': '"', '\n': '' };

class Literals {
    constructor(text, at) {
        this.text = text;
        this.at = at;
    }

    skipBlanks() {
        const blanks = /(?:\s+|#[^\n]*|\\\n)*/y;
        blanks.lastIndex = this.at;
        blanks.exec(this.text);
        this.at = blanks.lastIndex;
    }

    peek() {
        this.skipBlanks();
        return this.text[this.at];
    }

    match(expression) {
        this.skipBlanks();
        expression.lastIndex = this.at;
        const found = expression.exec(this.text);
        if (found) {
            this.at = expression.lastIndex;
        }
        return found;
    }

    string() {
        const [, prefix, quote] = this.match(/([rRbBuUfF]{0,2})('''|"""|'|")/y);
        const isRaw = /r/i.test(prefix);
        let value = '';
        while (!this.text.startsWith(quote, this.at)) {
            let c = this.text[this.at++];
            if (c === '\\' && !isRaw) {
                c = this.text[this.at++];
                const digits = { x: 2, u: 4, U: 8 }[c];
                if (digits) {
                    value += String.fromCodePoint(parseInt(this.text.substr(this.at, digits), 16));
                    this.at += digits;
                    continue;
                }
                c = ESCAPES[c] ?? `\\${c}`;
            }
            value += c;
        }
        this.at += quote.length;
        return /f/i.test(prefix) ? OPAQUE : value;
    }

    list(end) {
        const values = [];
        let isTuple = end === ']';
        this.at++;
        while (this.peek() !== end) {
            values.push(this.expression());
            if (this.peek() === ',') {
                this.at++;
                isTuple = true;
            }
        }
        this.at++;
        return isTuple ? values : values[0] ?? [];
    }

    primary() {
        const c = this.peek();
        if (c === '(' || c === '[') {
            return this.list(c === '(' ? ')' : ']');
        }
        if (c === '{') {
            this.list('}');
            return OPAQUE;
        }
        if (/['"]/.test(c) || /^[rRbBuUfF]{1,2}['"]/.test(this.text.substr(this.at, 3))) {
            let value = this.string();
            while (/^(['"]|[rRbBuUfF]{1,2}['"])/.test((this.skipBlanks(), this.text.substr(this.at, 3)))) {
                const next = this.string(); // adjacent strings are one
                value = value === OPAQUE || next === OPAQUE ? OPAQUE : value + next;
            }
            return value;
        }
        const number = this.match(/-?\d+(?:\.\d*)?/y);
        if (number) {
            return Number(number[0]);
        }
        const name = this.match(/[A-Za-z_][\w.]*/y);
        if (!name) {
            this.at++; // a sign that literals do not have
            return OPAQUE;
        }
        while (this.peek() === '(' || this.peek() === '[') {
            this.list(this.peek() === '(' ? ')' : ']');
        }
        return { True: true, False: false, None: null }[name[0]] ?? OPAQUE;
    }

    expression() {
        let value = this.primary();
        for (let sign; (sign = this.match(/[*+:=]|for\b|in\b|if\b/y)); ) {
            const next = this.primary();
            if (sign[0] === '*' && typeof next === 'number' && Array.isArray(value)) {
                value = Array.from({ length: next }, () => value).flat();
            } else if (sign[0] === '*' && typeof next === 'number' && typeof value === 'string') {
                value = value.repeat(next);
            } else if (sign[0] === '+' && typeof next === typeof value && typeof value === 'string') {
                value += next;
            } else {
                value = OPAQUE;
            }
        }
        return value;
    }
}

// The marks of a file: [{ names, cases }], cases as objects of the values that could be read.
function readParametrize(text) {
    const marks = [];
    for (const found of text.matchAll(/@pytest\.mark\.parametrize\(/g)) {
        const literals = new Literals(text, found.index + found[0].length - 1);
        const [names, cases] = literals.list(')');
        if (typeof names !== 'string' || !Array.isArray(cases)) {
            continue;
        }
        const keys = names.split(',').map((name) => name.trim());
        marks.push({
            names: keys,
            cases: cases.map((values) => {
                const list = keys.length === 1 ? [values] : values;
                return Array.isArray(list) ? Object.fromEntries(keys.map((key, i) => [key, list[i]])) : {};
            }),
        });
    }
    return marks;
}

module.exports = { OPAQUE, readParametrize };
