'use strict';
// Chat templates, beside another implementation of Jinja (npm @huggingface/jinja): the same text, byte for byte.
// The real models' templates lie beside the checkout and are skipped where they do not.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { weir } = require('../e2e/lib/command.js');
const { makeFolder, writeFile } = require('../e2e/lib/files.js');
const { missing, modelPath } = require('../e2e/lib/server.js');

const skip = missing();
const TEMPLATES = path.join(__dirname, '../../../shared/data/templates');
const NOW = 1772000000; // seconds

const RealDate = Date;
const frozenDate = class extends RealDate {
    constructor(...args) {
        super(...(args.length > 0 ? args : [NOW * 1000]));
    }
};

const tools = [
    { type: 'function', function: { name: 'get_weather', description: 'The weather, "now" <b>',
        parameters: { type: 'object', required: ['city'], properties: {
            city: { type: 'string', description: 'Name of a city' }, days: { type: 'integer' },
            unit: { type: 'string', enum: ['c', 'f'] } } } } },
    { type: 'function', function: { name: 'now', description: 'The time',
        parameters: { type: 'object', properties: {} } } },
];
const system = { role: 'system', content: ' Be kind. ' };
const hello = { role: 'user', content: 'Hello  "there" <é> 🙂 \n you ' };
const answer = { role: 'assistant', content: 'Hi & bye' };
const more = { role: 'user', content: 'More?' };
const calling = (content, args) => ({ role: 'assistant', content,
    tool_calls: [{ id: 'call12345', type: 'function', function: { name: 'get_weather', arguments: args } }] });
const result = { role: 'tool', tool_call_id: 'call12345', content: '{"t": 21}' };

const CONVERSATIONS = {
    'one turn': { messages: [hello] },
    'a system message': { messages: [system, hello] },
    'several turns': { messages: [system, hello, answer, more] },
    'thoughts in the text': { messages: [hello, { ...answer, content: '<think>\nhm\n</think>\n\nYes.' }, more] },
    'an answer at the end': { messages: [hello, answer] },
    'tools': { messages: [hello], tools },
    'tools and a system message': { messages: [system, hello], tools },
    'a call and its result': { messages: [hello, calling('', { city: 'Rome', days: 2 }), result], tools },
    'a call with its arguments as text': {
        messages: [system, hello, calling('Let me see', '{"city":"Rome"}'), result, answer, more], tools },
    'two calls and their results': { messages: [hello, { role: 'assistant', content: '', tool_calls: [
        ...calling('', { city: 'Rome' }).tool_calls,
        { id: 'call67890', type: 'function', function: { name: 'now', arguments: {} } }] },
    result, { role: 'tool', tool_call_id: 'call67890', content: '12:00' }], tools },
    'thinking on': { messages: [hello], chat_template_kwargs: { enable_thinking: true } },
    'thinking off': { messages: [system, hello, answer, more], chat_template_kwargs: { enable_thinking: false } },
    'reasoning apart': { messages: [hello, { ...answer, reasoning_content: 'because' }, more] },
};

// What the reference makes of it, or the error it ends with.
function reference(template, conversation, add_generation_prompt) {
    const messages = structuredClone(conversation.messages).map(
        (m) => (m.reasoning_content ? { ...m, thinking: m.reasoning_content } : m));
    globalThis.Date = frozenDate;
    try {
        return { text: template.render({ messages, tools: conversation.tools ?? null, documents: null,
            add_generation_prompt, bos_token: '<s>', eos_token: '</s>', ...conversation.chat_template_kwargs }) };
    } catch (error) {
        return { error };
    } finally {
        globalThis.Date = RealDate;
    }
}

function compare(Template, source, templateFile, folder) {
    const template = new Template(source);
    let compared = 0;
    for (const [name, conversation] of Object.entries(CONVERSATIONS)) {
        const messages = writeFile(folder, 'messages.json', conversation);
        for (const prompt of [true, false]) {
            const { text, error } = reference(template, conversation, prompt);
            const { status, stdout, stderr } = weir(['render', '--template', templateFile, '--messages', messages,
                '--bos', '<s>', '--eos', '</s>', '--time', String(NOW), ...(prompt ? [] : ['--no-generation-prompt'])]);
            if (error) {
                assert.equal(status, 1, `${name}: the reference refuses (${error.message}), weir gives ${stdout}`);
                continue;
            }
            assert.equal(status, 0, `${name}: ${stderr}`);
            assert.equal(stdout, text, name);
            compared++;
        }
    }
    assert.ok(compared > 0, 'no conversation could be rendered');
}

test('templates of real models', { skip }, async (t) => {
    process.env.TZ = 'UTC'; // strftime_now of the reference shows local time
    const { Template } = await import('@huggingface/jinja');
    if (!fs.existsSync(TEMPLATES)) {
        t.skip(`no ${TEMPLATES}`);
        return;
    }
    const folder = makeFolder(t);
    for (const file of fs.readdirSync(TEMPLATES)) {
        await t.test(file, () => {
            const template = path.join(TEMPLATES, file);
            compare(Template, fs.readFileSync(template, 'utf8'), template, folder);
        });
    }
});

// What model families use of the language, in templates of our own. Where the two differ, Weir does as Jinja in
// Python: it prints booleans as True, counts code points, and keeps what a loop wrote before a break.
const OWN = {
    'roles and white space': `{%- for m in messages %}
    {%- if m.role == 'system' -%}
        [S] {{ m.content | trim }}
    {% elif loop.first and not loop.last %}
{{ m['role'] | upper }}
    {%- else %}
{{- loop.index0 ~ ':' ~ m.role + ' ' }}{{ m.content }}
    {%- endif %}
{%- endfor %}
{% if add_generation_prompt %}>>{% endif %}`,
    'macros and namespaces': `{% macro show(name, value='none', sep='=') %}{{ name }}{{ sep }}{{ value }};{% endmacro %}
{%- set ns = namespace(seen=false, count=0) -%}
{%- for m in messages -%}
    {%- if m.role == 'user' and not ns.seen %}{% set ns.seen = true %}{{ show('first', m.role | length) }}{% endif -%}
    {%- set ns.count = ns.count + 1 -%}
{%- endfor -%}
{{ show('n', ns.count, sep=':') }}{{ show('x') }}`,
    'lists': `{%- set users = messages | selectattr('role', 'equalto', 'user') | list -%}
{{ users | length }} {{ users | map(attribute='role') | join('/') }} {{ messages[-1].role }} {{ messages[1:] | length }}
{{- messages[::-1][0].role }} {{ [3, 1, 2] | sort | join }} {{ range(3) | list }}`,
    'strings': `{%- set c = messages[0].content -%}
{{ c.split('e') | length }}|{{ 'y' if 'kind' in c else 'n' }}|{{ c | replace('e', 'E') }}|{{ 'y' if c.startswith(' ') else 'n' }}
{{- c[1:4] }}|{{ 'a-b'.split('-')[1] }}|{{ 'Ab'.lower() }}|{{ '%' }}|{{ "a'b" }}`,
    'json': `{%- if tools %}{% for t in tools %}{{ t | tojson }}
{{ t.function.parameters | tojson(indent=2) }}{% endfor %}{% endif -%}
{%- for k, v in {'a': 1, 'b': [true, none, 1.5, 'ü"\\n']}.items() %}{{ k }}={{ v | tojson }} {% endfor %}`,
    'conditions': `{%- macro say(it) %}{{ 'y' if it else 'n' }}{% endmacro -%}
{{ 'yes' if tools else 'no' }} {{ nothing | default('d') }} {{ 7 // 2 }} {{ 7 % 4 }} {{ 2 ** 3 }}
{{ say(tools is defined) }}{{ say(nothing is defined) }}{{ say(messages[0].name is defined and messages[0].name) }}
{{- say(3 is odd) }}{{ say(1 < 2 and 2 <= 2) }}{{ say('x' is string) }}{{ say(messages is iterable) }}
{{- say(none is none) }}{{ say(not (1 == 1.0 and 'a' != 'b')) }}{{ say((messages | length) % 2 == 0) }}`,
    'breaks': `{%- for m in messages %}{% if loop.index == 2 %}{% continue %}{% endif %}{% if loop.index > 3 %}{% break %}{% endif %}{{ m.role }},{% endfor -%}
{%- for m in messages if m.role == 'tool' %}{{ m.content }}{% else %}no results{% endfor %}`,
};

test('templates of our own', { skip }, async (t) => {
    const { Template } = await import('@huggingface/jinja');
    const folder = makeFolder(t);
    const inModel = JSON.parse(weir(['inspect', '--json', modelPath()]).stdout).metadata['tokenizer.chat_template'].value;
    for (const [name, source] of Object.entries({ ...OWN, 'the shipped model': inModel })) {
        await t.test(name, () => compare(Template, source, writeFile(folder, 'own.jinja', source), folder));
    }
});
