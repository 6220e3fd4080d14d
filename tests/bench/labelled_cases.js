'use strict';
// How well the filters "pii" and "secrets" find what others labelled: the tests of Presidio's recognisers and of
// gitleaks' rules. Both are read where they lie and are no part of Weir.
//
//   git clone https://github.com/microsoft/presidio; git clone https://github.com/gitleaks/gitleaks
//   node tests/bench/labelled_cases.js --presidio presidio --gitleaks gitleaks [options]
//
//   --presidio DIR   a checkout of Presidio
//   --gitleaks DIR   a checkout of gitleaks
//   --weir PATH      the program (build/release/weir)
//   --only REGEX     of gitleaks only the rules whose name matches
//   --misses         lists every case where labels and filter differ
//
// A case of Presidio is a text with the ranges that should be found; a range counts as found when a range that the
// filter reports shares a character with it. Each text is tried as it stands, and once more behind a word that says
// what the number is, as many ids are not looked for without one. A case of gitleaks is a text in which its rule finds
// something, or nothing.

const fs = require('node:fs');
const path = require('node:path');
const { execFileSync, spawnSync } = require('node:child_process');

const { readOptions } = require('./tools.js');
const { readRules, readTemplates } = require('./labelled_go.js');
const { OPAQUE, readParametrize } = require('./labelled_python.js');

const options = readOptions({ presidio: '', gitleaks: '', weir: 'build/release/weir', only: '', misses: false });

// Presidio's test files, the rules that look for the same, and a word that may stand before it.
const PRESIDIO = {
    email: [['email']],
    iban: [['iban']],
    credit_card: [['card']],
    ip: [['ipv4', 'ipv6']],
    mac: [['mac']],
    crypto: [['crypto']],
    phone: [['phone']],
    us_ssn: [['ssn'], 'SSN'],
    us_itin: [['us_itin'], 'ITIN'],
    us_mbi: [['us_mbi']],
    us_npi: [['us_npi'], 'NPI'],
    us_passport: [['passport'], 'passport'],
    uk_passport: [['passport'], 'passport'],
    es_passport: [['passport'], 'pasaporte'],
    in_passport: [['passport'], 'passport'],
    it_passport: [['passport'], 'passaporto'],
    kr_passport: [['passport'], 'passport'],
    aba_routing: [['us_routing'], 'routing'],
    ca_sin: [['ca_sin'], 'SIN'],
    uk_nhs: [['uk_nhs'], 'NHS'],
    uk_nino: [['uk_nino']],
    uk_driving_licence: [['uk_driving_licence']],
    de_tax_id: [['de_tax_id'], 'Steuer-ID'],
    de_social_security: [['de_social_security']],
    es_nif: [['es_nif']],
    es_nie: [['es_nie']],
    it_fiscal_code: [['it_fiscal_code']],
    it_vat_code: [['it_vat'], 'partita IVA'],
    se_personnummer: [['se_personnummer'], 'personnummer'],
    fi_personal_identity_code: [['fi_hetu']],
    pl_pesel: [['pl_pesel'], 'PESEL'],
    tr_national_id: [['tr_tckn'], 'TCKN'],
    za_id_number: [['za_id']],
    in_aadhaar: [['in_aadhaar'], 'Aadhaar'],
    in_pan: [['in_pan'], 'PAN'],
    kr_rrn: [['kr_rrn'], 'RRN'],
    kr_frn: [['kr_frn'], 'FRN'],
    th_tnin: [['th_id'], 'Thai ID'],
    sg_fin: [['sg_nric']],
    au_tfn: [['au_tfn'], 'TFN'],
    au_abn: [['au_abn'], 'ABN'],
    au_acn: [['au_acn'], 'ACN'],
    au_medicare: [['au_medicare'], 'Medicare'],
};
// The rules of "secrets" that stand for one service each.
const RULES_OF_SECRETS = new Set([
    'adobe', 'age', 'alibaba', 'anthropic', 'artifactory', 'atlassian', 'aws', 'clojars',
    'cloudflare', 'databricks', 'digitalocean', 'discord', 'doppler', 'dynatrace', 'facebook', 'figma',
    'flyio', 'github', 'gitlab', 'google', 'grafana', 'groq', 'heroku', 'huggingface',
    'jwt', 'linear', 'mailgun', 'newrelic', 'notion', 'npm', '1password', 'openai',
    'openshift', 'perplexity', 'planetscale', 'postman', 'pulumi', 'pypi', 'rubygems', 'sendgrid',
    'sendinblue', 'sentry', 'shopify', 'slack', 'sourcegraph', 'square', 'stripe', 'telegram',
    'twilio', 'twitter', 'vault', 'xai',
]);

// Recognisers of models and services, and what is no data of people.
const NO_KIND = /entity|pattern|lm|_ner|spacy|stanza|transformers|gliner|langextract|ahds|azure|date|url/;

const folder = fs.mkdtempSync(path.join(require('node:os').tmpdir(), 'weir-cases-'));
process.on('exit', () => fs.rmSync(folder, { recursive: true }));

function makeChain(filter) {
    const file = path.join(folder, `${JSON.stringify(filter).replace(/\W+/g, '_')}.json`);
    fs.writeFileSync(file, JSON.stringify({ name: 'cases', filters: [{ ...filter, action: 'note' }] }));
    return file;
}

// The ranges that a chain finds, in bytes.
function find(chain, text) {
    const run = spawnSync(options.weir, ['filter', '--chain', chain], { input: text, encoding: 'utf8' });
    if (run.status !== 0) {
        throw new Error(`${options.weir} filter: ${run.stderr || run.error}`);
    }
    return run.stderr.split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

function commitOf(checkout) {
    try {
        return execFileSync('git', ['-C', checkout, 'rev-parse', '--short', 'HEAD'], { encoding: 'utf8', stdio: 'pipe' }).trim();
    } catch {
        return 'unknown';
    }
}

function percent(part, whole) {
    return whole === 0 ? '-' : `${((100 * part) / whole).toFixed(0)} %`;
}

function printTable(head, rows) {
    const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => String(row[i]).length)));
    for (const row of [head, ...rows]) {
        console.log(row.map((cell, i) => (i === 0 ? String(cell).padEnd(widths[i]) : String(cell).padStart(widths[i]))).join('  '));
    }
}

// ---- Presidio ----

function toPairs(positions) {
    const pairs = Array.isArray(positions) && typeof positions[0] === 'number' ? [positions] : positions;
    return Array.isArray(pairs) ? pairs.filter((pair) => Array.isArray(pair) && pair.length === 2) : [];
}

function presidioCases(file) {
    const cases = [];
    for (const { names, cases: marked } of readParametrize(fs.readFileSync(file, 'utf8'))) {
        const positionsKey = names.find((name) => /^expected_(position|positions|res)$/.test(name));
        for (const values of marked) {
            const text = values.text ?? values.iban;
            const count = values.expected_len;
            if (typeof text === 'string' && typeof count === 'number' && text !== OPAQUE) {
                cases.push({ text, count, ranges: count > 0 ? toPairs(values[positionsKey]) : [] });
            }
        }
    }
    return cases;
}

// Labels found, labels missed, and finds without a label.
function judge(chain, before, { text, count, ranges }) {
    const bytes = (characters) => Buffer.byteLength(before + Array.from(text).slice(0, characters).join(''));
    const found = find(chain, before + text);
    if (ranges.length !== count) {
        const hits = Math.min(count, found.length);
        return { hits, misses: count - hits, extra: found.length - hits };
    }
    const labels = ranges.map(([from, to]) => ({ from: bytes(from), to: bytes(to) }));
    const overlaps = (a) => (b) => a.from < b.to && b.from < a.to;
    const hits = labels.filter((label) => found.some(overlaps(label))).length;
    const extra = found.filter((range) => !labels.some(overlaps(range))).length;
    return { hits, misses: count - hits, extra };
}

function judgeAll(name, chain, before, cases) {
    const sum = { hits: 0, misses: 0, extra: 0 };
    for (const one of cases) {
        const result = judge(chain, before, one);
        for (const key of Object.keys(sum)) {
            sum[key] += result[key];
        }
        if (options.misses && result.misses + result.extra > 0) {
            console.log(`${name}: missed ${result.misses}, extra ${result.extra}: ${JSON.stringify(before + one.text)}`);
        }
    }
    return sum;
}

function runPresidio(checkout) {
    const tests = path.join(checkout, 'presidio-analyzer', 'tests');
    const sums = new Map();
    const lacking = [];
    for (const file of fs.readdirSync(tests).sort()) {
        const name = /^test_(\w+)_recognizer\.py$/.exec(file)?.[1];
        if (!name || !PRESIDIO[name]) {
            if (name && !NO_KIND.test(name)) {
                lacking.push(name);
            }
            continue;
        }
        const [rules, word] = PRESIDIO[name];
        const chain = makeChain({ type: 'pii', rules });
        const cases = presidioCases(path.join(tests, file));
        const bare = judgeAll(name, chain, '', cases);
        const named = word ? judgeAll(name, chain, `${word}: `, cases) : bare;
        const sum = sums.get(rules.join(', ')) ?? { texts: 0, bare: [], named: [] };
        sum.texts += cases.length;
        sum.bare.push(bare);
        sum.named.push(named);
        sums.set(rules.join(', '), sum);
    }
    const add = (results, key) => results.reduce((sum, result) => sum + result[key], 0);
    const figures = (results) => {
        const [hits, misses, extra] = ['hits', 'misses', 'extra'].map((key) => add(results, key));
        return [percent(hits, hits + misses), percent(hits, hits + extra)];
    };
    const rows = [...sums].sort(([a], [b]) => a.localeCompare(b)).map(([name, { texts, bare, named }]) => [
        name, texts, add(bare, 'hits') + add(bare, 'misses'), ...figures(bare), ...figures(named),
    ]);
    console.log(`Presidio ${commitOf(checkout)}`);
    printTable(['rule', 'texts', 'labels', 'recall', 'precision', 'named: recall', 'precision'], rows);
    console.log(`kinds of theirs without a rule: ${lacking.join(', ')}\n`);
}

if (options.presidio) {
    runPresidio(options.presidio);
}

// ---- gitleaks ----

// The rule for those of theirs that begin so; others go by their first word.
const GITLEAKS = [
    [/^gcp|^google/, 'google'],
    [/^vault/, 'vault'],
    [/^1password/, '1password'],
    [/^(jira|atlassian)/, 'atlassian'],
    [/^new-relic/, 'newrelic'],
    [/^sourcegraph/, 'sourcegraph'],
];

function ruleFor(id, rules) {
    if (id === 'generic-api-key') {
        return 'assignment';
    }
    if (id === 'private-key') {
        return 'private_key';
    }
    const named = GITLEAKS.find(([begin]) => begin.test(id))?.[1] ?? id.split('-')[0];
    return rules.has(named) ? named : null;
}

function runGitleaks(checkout) {
    const config = path.join(checkout, 'cmd', 'generate', 'config');
    const templates = readTemplates(fs.readFileSync(path.join(config, 'utils', 'generate.go'), 'utf8'));
    const chain = makeChain({ type: 'secrets' });
    const sums = new Map();
    let unread = 0;
    for (const file of fs.readdirSync(path.join(config, 'rules')).filter((name) => name.endsWith('.go')).sort()) {
        for (const rule of readRules(fs.readFileSync(path.join(config, 'rules', file), 'utf8'), templates)) {
            if (!new RegExp(options.only).test(rule.id)) {
                continue;
            }
            unread += rule.unread;
            const ours = ruleFor(rule.id, RULES_OF_SECRETS) ?? `(${rule.id.split('-')[0]})`;
            const sum = sums.get(ours) ?? { ids: 0, positives: 0, byRule: 0, byOther: 0, negatives: 0, wrong: 0, wrongOther: 0 };
            sums.set(ours, sum);
            sum.ids++;
            for (const text of rule.positives) {
                const codes = find(chain, text).map(({ code }) => code);
                sum.positives++;
                sum.byRule += codes.includes(ours) ? 1 : 0;
                sum.byOther += !codes.includes(ours) && codes.length > 0 ? 1 : 0;
                if (options.misses && codes.length === 0) {
                    console.log(`${rule.id}: missed: ${JSON.stringify(text)}`);
                }
            }
            for (const text of rule.negatives) {
                const codes = find(chain, text).map(({ code }) => code);
                sum.negatives++;
                sum.wrong += codes.includes(ours) ? 1 : 0;
                sum.wrongOther += !codes.includes(ours) && codes.length > 0 ? 1 : 0;
                if (options.misses && codes.length > 0) {
                    console.log(`${rule.id}: ${codes} found: ${JSON.stringify(text.slice(0, 300))}`);
                }
            }
        }
    }
    const rows = [...sums].sort(([a], [b]) => a.localeCompare(b)).map(([name, s]) => [
        name, s.ids, s.positives, percent(s.byRule, s.positives), percent(s.byRule + s.byOther, s.positives),
        s.negatives, s.wrong, s.wrongOther, percent(s.byRule, s.byRule + s.wrong),
    ]);
    console.log(`gitleaks ${commitOf(checkout)}, ${unread} cases that could not be read`);
    printTable(['rule', 'theirs', 'positives', 'by rule', 'by any', 'negatives', 'wrong', 'other', 'precision'], rows);
}

if (options.gitleaks) {
    runGitleaks(options.gitleaks);
}
