// Filter chains: a playground that shows what a chain releases and holds at every step of a text, and the versions.

import { useState } from 'preact/hooks';

import { call, get, part } from './api.js';
import { linkTo, useLoad } from './hooks.js';
import { StoreDraft } from './store.jsx';
import { TraceView } from './trace.jsx';
import { Badge, ErrorBox, Field, count, useActions } from './ui.jsx';
import { Versions } from './versions.jsx';

const POLL_MS = 5000;

const choices = (value, set, options) => (
    <select value={value} onChange={set}>
        {options.map((option) => (
            <option key={option}>{option}</option>
        ))}
    </select>
);

function chainOf(draft) {
    try {
        return JSON.parse(draft);
    } catch (error) {
        throw new Error(`The draft is no JSON: ${error.message}`);
    }
}

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
            if (which === 'draft') body.chain = chainOf(draft);
        } catch (error) {
            fail(error);
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
    // {text, etag}, the latter of the state that it was begun on; null: the draft is what is active.
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
            {object && (
                <section>
                    <h3>Draft</h3>
                    <Field label="Chain as JSON">
                        <textarea
                            rows="10"
                            class="code"
                            value={draft.text}
                            spellcheck={false}
                            onInput={(event) => setEdited({ ...draft, text: event.currentTarget.value })}
                        />
                    </Field>
                    <StoreDraft
                        base={base}
                        noun="chain"
                        object={object}
                        etag={draft.etag}
                        bodyOf={() => chainOf(draft.text)}
                        onEtag={(etag) => setEdited((now) => now && { ...now, etag })}
                        reload={reload}
                    />
                </section>
            )}
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
