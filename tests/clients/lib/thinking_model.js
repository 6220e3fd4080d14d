'use strict';
// The shipped model under a template of the Hermes and Qwen kind: one that shows tools, has calls written between
// <tool_call> and </tool_call>, and opens reasoning in the prompt unless it is told not to.

const path = require('node:path');

const { makeFolder } = require('../../e2e/lib/files.js');
const { rewriteGguf } = require('../../e2e/lib/gguf.js');
const { modelPath } = require('../../e2e/lib/server.js');

const TEMPLATE = `{%- macro turn(role, text) %}{{ '<|im_start|>' + role + '\\n' + text + '<|im_end|>\\n' }}{% endmacro -%}
{%- if tools %}
    {%- set list = namespace(text='Functions:\\n') %}
    {%- for tool in tools %}{% set list.text = list.text + (tool | tojson) + '\\n' %}{% endfor %}
    {{- turn('system', list.text + 'Call one: <tool_call>\\n{"name": ..., "arguments": ...}\\n</tool_call>') }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'tool' %}
        {{- turn('user', '<tool_response>\\n' + message.content + '\\n</tool_response>') }}
    {%- elif message.tool_calls %}
        {%- set said = namespace(text=message.content or '') %}
        {%- for call in message.tool_calls %}
            {%- set arguments = call.function.arguments | tojson %}
            {%- set said.text = said.text + '<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' %}
            {%- set said.text = said.text + arguments + '}\\n</tool_call>' %}
        {%- endfor %}
        {{- turn('assistant', said.text) }}
    {%- else %}
        {{- turn(message.role, message.content) }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant<think>' }}
    {%- if enable_thinking is defined and not enable_thinking %}{{ '\\n</think>\\n\\n' }}{% endif %}
{%- endif %}`;

// A word of the shipped model's answers that stands for the end of reasoning. The model never learnt to think; this way
// it thinks up to where it would have said the word, and answers with the rest: "23 + 45", then "68."
const WORD = 'Ġ='; // " =" as the vocabulary writes it
// The beginning of reasoning is a token that no text in ASCII has, with the numbers of the line break that is behind the
// role otherwise: so the model reads what it reads ever.
const BEGIN = 'õ', LINE_BREAK = 'Ċ';
const CONTROL = 3; // a token's type

function writeThinkingModel(t) {
    const file = path.join(makeFolder(t), 'weir-tiny.gguf');
    rewriteGguf(modelPath(), file, (metadata, row) => {
        const tokens = metadata['tokenizer.ggml.tokens'];
        const begin = tokens.indexOf(BEGIN);
        row('token_embd.weight', tokens.indexOf(LINE_BREAK)).copy(row('token_embd.weight', begin));
        for (const [id, name] of [[begin, '<think>'], [tokens.indexOf(WORD), '</think>']]) {
            tokens[id] = name;
            metadata['tokenizer.ggml.token_type'][id] = CONTROL;
        }
        metadata['tokenizer.ggml.merges'] = metadata['tokenizer.ggml.merges'].filter(
            (merge) => ![...merge.split(' '), merge.replace(' ', '')].includes(WORD));
        metadata['tokenizer.chat_template'] = TEMPLATE;
    });
    return file;
}

module.exports = { writeThinkingModel };
