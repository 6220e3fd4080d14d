// Filter chains: a playground that shows what a chain releases and holds at every step of a text, and the versions.

import { useState } from 'preact/hooks';

import { call, get, part } from './api.js';
import { linkTo, useLoad } from './hooks.js';
import { TraceView } from './trace.jsx';
import { Badge, ErrorBox, Field, Overtaken, count, useActions } from './ui.jsx';
import { Versions } from './versions.jsx';

const POLL_MS = 5000;

const choices = (value, set, options) => (
    <select value={value} onChange={set}>
        {options.map((option) => (
            <option key={option}>{option}</option>
        ))}
    </select>
);

function Playground({ base, versions, draft }) {
    const { run, fail } = useActions();
    const [form, setForm] = useState({ text: '', which: '', side: 'output', channel: 'content', chunk: '1' });
    const [trace, setTrace] = useState(null);
    const set = (name) => (event) => setForm({ ...form, [name]: event.currentTarget.value });
    const start = (event) => {
        event.preventDefault();
        const { text, which, side, channel, chunk } = form;
        const body = { text, side, channel, chunk: Number(chunk) };
        try {
            if (which === 'draft') body.chain = JSON.parse(draft);
        } catch (error) {
            fail(new Error(`The draft is no JSON: ${error.message}`));
            return;
        }
        if (which !== '' && which !== 'draft') body.version = Number(which);
        run('Trace', async () => {
            setTrace(null);
            setTrace({ text, side, result: (await call('POST', `${base}/trace`, { body })).value });
        });
    };
    return (
        <section aria-labelledby="playground">
            <h3 id="playground">Playground</h3>
            <p class="fine">Nothing of it is stored or counted. Filters that ask services outside are left out.</p>
            <form onSubmit={start}>
                <Field label="Text to send through the chain">
                    <textarea rows="4" required value={form.text} onInput={set('text')} spellcheck={false} />
                </Field>
                <div class="row">
                    <Field label="Chain">
                        <select value={form.which} onChange={set('which')}>
                            <option value="">what requests get</option>
                            {versions.map(({ version }) => (
                                <option key={version} value={version}>
                                    version {version}
                                </option>
                            ))}
                            <option value="draft">the draft below</option>
                        </select>
                    </Field>
                    <Field label="Side">{choices(form.side, set('side'), ['output', 'input'])}</Field>
                    <Field label="Channel">{choices(form.channel, set('channel'), ['content', 'reasoning', 'tool_args'])}</Field>
                    <Field label="Bytes a step">
                        <input type="number" min="1" max="16384" required value={form.chunk} onInput={set('chunk')} />
                    </Field>
                </div>
                <button class="main">Trace</button>
            </form>
            {trace && <TraceView key={trace.result} {...trace} />}
        </section>
    );
}

// draft: {text, etag}, the latter of the state that it was begun on.
function Draft({ base, object, draft, setDraft, onChange }) {
    const { ask, fail } = useActions();
    const { value: state } = object;
    const store = (activate) => () => {
        let body;
        try {
            body = JSON.parse(draft.text);
        } catch (error) {
            fail(new Error(`The draft is no JSON: ${error.message}`));
            return;
        }
        ask({
            title: activate ? `Store and activate a new version of ${state.name}?` : `Store a new version of ${state.name}?`,
            text: activate
                ? 'The next request that passes this chain passes the new version. Those that run keep theirs.'
                : 'It is stored, and no request passes it before it is activated.',
            button: activate ? 'Store and activate' : 'Store',
            run: async () => {
                try {
                    const stored = await call('PUT', base + (activate ? '' : '?activate=false'), {
                        body,
                        ifMatch: draft.etag,
                        ifNew: !draft.etag,
                    });
                    setDraft({ ...draft, etag: stored.etag });
                } finally {
                    onChange();
                }
            },
        });
    };
    return (
        <section>
            <h3>Draft</h3>
            <Field label="Chain as JSON">
                <textarea
                    rows="10"
                    class="code"
                    value={draft.text}
                    spellcheck={false}
                    onInput={(event) => setDraft({ ...draft, text: event.currentTarget.value })}
                />
            </Field>
            <Overtaken isSo={object.etag !== draft.etag} onAccept={() => setDraft({ ...draft, etag: object.etag })} />
            <div class="row">
                <button type="button" onClick={store(false)}>
                    Store
                </button>
                <button type="button" class="main" onClick={store(true)}>
                    Store and activate
                </button>
            </div>
        </section>
    );
}

const pretty = (chain) => JSON.stringify(chain ?? { filters: [] }, null, 2);

function Chain({ name }) {
    const base = `/admin/filters/${part(name)}`;
    const { value: object, error, reload } = useLoad(() => call('GET', base), [base], POLL_MS);
    const state = object?.value;
    const { value: versions } = useLoad(
        async () => (state?.latest > 0 ? (await get(`${base}/versions?limit=1000`)).versions : []),
        [base, object?.etag]
    );
    const { run } = useActions();
    const [edited, setEdited] = useState(null);
    const draft = edited ?? { text: pretty(state?.chain), etag: object?.etag };
    const open = (version) =>
        run(`Opening version ${version}`, async () =>
            setEdited({ text: pretty((await get(`${base}/versions/${version}`)).chain), etag: object.etag })
        );
    return (
        <section class="card" aria-labelledby="chain-name">
            <h2 id="chain-name">{name}</h2>
            <ErrorBox error={error} />
            {state && (
                <p>
                    Requests get version {state.version}, {count(state.filters, 'filter')}, from {state.from}
                    {state.sha256 && (
                        <>
                            {' '}
                            · <code>{state.sha256.slice(0, 12)}</code>
                        </>
                    )}{' '}
                    {state.active > 0 && <Badge word="active" />}
                </p>
            )}
            {object && <Playground base={base} versions={versions ?? []} draft={draft.text} />}
            {object && <Draft base={base} object={object} draft={draft} setDraft={setEdited} onChange={reload} />}
            {state?.latest > 0 && (
                <Versions
                    base={base}
                    noun="chain"
                    object={object}
                    onOpen={open}
                    onChange={reload}
                    columns={[
                        ['Filters', (row) => row.filters],
                        ['Bytes', (row) => row.bytes],
                    ]}
                />
            )}
        </section>
    );
}

export function Filters({ route: [chosen = 'default'] }) {
    const { value, error } = useLoad(() => get('/admin/filters?limit=1000'), [], POLL_MS);
    const names = [
        ...new Set(['default', chosen, ...(value ? [...value.chains, ...value.served] : []).map(({ name }) => name)]),
    ].sort();
    return (
        <>
            <h1>Filters</h1>
            <ErrorBox error={error} />
            <nav class="tabs" aria-label="Filter chains">
                {names.map((name) => (
                    <a key={name} href={linkTo('filters', name)} aria-current={name === chosen ? 'page' : undefined}>
                        {name}
                    </a>
                ))}
            </nav>
            <Chain key={chosen} name={chosen} />
        </>
    );
}
