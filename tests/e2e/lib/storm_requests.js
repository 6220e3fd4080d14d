'use strict';
// What clients ask in a storm, and what makes an answer whole; and the filter chains that are swapped meanwhile.

// mulberry32: the storm's own numbers, so that a seed (WEIR_STORM_SEED) gives much the same storm again.
let seed = Number(process.env.WEIR_STORM_SEED ?? 1);
function random() {
    seed = (seed + 0x6d2b79f5) | 0;
    let x = Math.imul(seed ^ (seed >>> 15), seed | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
}
const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];

// ---- what clients ask ----

const TEXTS = ['Tell me a story.', 'Write to jane.doe@example.org or call +49 30 123456.', 'A heron stood in the water.',
    'You are a stupid worthless idiot.', 'The office opens at nine. It closes at five. '.repeat(8)];
const FORM = (n) => ({ type: 'json_schema', json_schema: { name: 'form', schema: {
    type: 'object', properties: { [`field${n}`]: { type: 'string', maxLength: 12 } }, required: [`field${n}`], additionalProperties: false,
} } });
const CALLS = [{ id: 'call_1', type: 'function', function: { name: 'look', arguments: '{"at": "heron", "n": 17}' } }];

const TOOL = (n) => ({ type: 'function', function: { name: `look${n}`, description: 'looks', parameters: {
    type: 'object', properties: { at: { type: 'string', maxLength: 12 } }, required: ['at'], additionalProperties: false,
} } });

const modelName = () => pick([undefined, undefined, 'tiny', 'tiny@1', 'tiny@2', 'tiny@3']);
const user = () => ({ role: 'user', content: pick(TEXTS) });
const tokens = () => 1 + below(40);
const chat = () => ({
    messages: random() < 0.2 ? [user(), { role: 'assistant', content: null, tool_calls: CALLS }, { role: 'tool', tool_call_id: 'call_1', content: pick(TEXTS) }]
        : [user()],
    max_tokens: tokens(),
    n: pick([undefined, undefined, 2]),
    stop: pick([undefined, ['e ']]),
    ...pick([{}, {}, {}, { response_format: FORM(below(50)) }, { tools: [TOOL(below(5)), TOOL(9)], tool_choice: pick(['auto', 'required']) },
        { logprobs: true, top_logprobs: below(5) }]),
    deadline_ms: pick([undefined, undefined, undefined, 30]),
    moderation: pick([undefined, undefined, { model: 'default', policy: { input: { mode: 'score' }, output: { mode: 'block' } } }]),
});

const isDone = ({ data }) => data === '[DONE]';
const isTyped = (...types) => ({ data }) => types.includes(JSON.parse(data).type);
const hasChoices = (body) => body.choices.length > 0 && body.choices.every(({ finish_reason: finish }) => finish);

// [method, route, body, of a whole answer: whether it is one, of a stream's last event: the same]
const PUBLIC = [
    ['POST', '/v1/chat/completions', chat, hasChoices, isDone],
    ['POST', '/v1/chat/completions', chat, hasChoices, isDone],
    ['POST', '/v1/completions', () => ({ prompt: [pick(TEXTS), pick(TEXTS)], max_tokens: tokens() }), hasChoices, isDone],
    ['POST', '/v1/messages', () => ({ messages: [user()], max_tokens: tokens() }), ({ stop_reason: reason }) => reason, isTyped('message_stop', 'error')],
    ['POST', '/v1/responses', () => ({ input: pick(TEXTS), max_output_tokens: tokens() }), ({ status }) => ['completed', 'incomplete'].includes(status),
        isTyped('response.completed', 'response.incomplete', 'response.failed')],
    ['POST', '/v1/embeddings', () => ({ input: [pick(TEXTS), pick(TEXTS)] }), ({ data }) => data.length === 2],
    ['POST', '/v1/moderations', () => ({ input: [pick(TEXTS), pick(TEXTS)], model: undefined }), ({ results }) => results.length === 2],
    ['POST', '/v1/messages/count_tokens', () => ({ messages: [user()] }), ({ input_tokens: count }) => count > 0],
    ['POST', '/tokenize', () => ({ content: pick(TEXTS) }), ({ tokens: ids }) => ids.length > 0],
    ['POST', '/detokenize', () => ({ tokens: [5, 6, 7] }), ({ content }) => content.length > 0],
    ['GET', '/v1/models', null, ({ data }) => data.length > 0],
    ['GET', '/v1/models/tiny@2', null, ({ id }) => id === 'tiny@2' || id === 'tiny'],
    ['GET', '/healthz', null, ({ status }) => status === 'ok'],
    ['GET', '/metrics', null, null],
];
const ADMIN = [
    ['GET', '/admin/findings?texts=true', null, ({ findings }) => findings],
    ['GET', '/admin/filters', null, ({ served }) => served.length > 0],
    ['GET', '/admin/filters/default/versions?limit=20', null, ({ versions }) => versions],
    ['GET', '/admin/prompts', null, ({ profiles }) => profiles],
    ['GET', '/admin/audit?limit=20', null, ({ audit }) => audit],
    ['GET', '/admin/models', null, ({ versions }) => versions.filter(({ state }) => state === 'serving').length === 1],
    ['GET', '/admin/models/tiny/versions/1', null, ({ version }) => version === '1'],
    ['POST', '/admin/filters/replay', () => ({ chain: pick(CHAINS)('http://127.0.0.1:9/'), stored: 50 }), ({ complete }) => complete !== undefined],
    ['POST', '/admin/filters/default/dry-run', () => ({ text: pick(TEXTS) }), ({ events }) => events],
];

// ---- what is changed ----

const hook = (url, more = {}) => ({ type: 'webhook', url, timeout_ms: 150, retries: 1, breaker_failures: 0, ...more });
const words = (more) => ({ type: 'wordlist', words: ['heron', 'idiot'], ...more });
const named = (...filters) => ({ name: 'default', filters });
const CHAINS = [
    () => named(),
    () => named(words({ side: 'both', action: 'mask' }), { type: 'pii', side: 'both' }),
    (url) => named(hook(url, { side: 'output', fail: 'open', max_batch_bytes: 64 }), words({ view: 'normalised', mode: 'record', name: 'watched' })),
    (url) => named(hook(url, { side: 'both', fail: 'closed' }), { type: 'classifier', side: 'input', action: 'note' }),
    (url) => named({ type: 'classifier', side: 'both', action: 'note' }, hook(url, { side: 'input', fail: 'open', batch: 'text' }),
        { type: 'pii', side: 'output', mode: 'record' }),
    () => named(words({ side: 'input', action: 'stop', view: 'normalised' })),
];

module.exports = { random, below, pick, modelName, PUBLIC, ADMIN, CHAINS };
