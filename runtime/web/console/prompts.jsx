// Prompts: their versions, what has changed, an editor with a dry run, and which one is active.

import { useState } from 'preact/hooks';

import { call, get, part, session } from './api.js';
import { linkTo, useLoad } from './hooks.js';
import { StoreDraft } from './store.jsx';
import { Badge, ErrorBox, Field, useActions } from './ui.jsx';
import { Versions } from './versions.jsx';

const POLL_MS = 5000;
const OTHER_FIELDS = ['variables', 'examples', 'documents'];
const MODES = [
    ['prepend', "prepend: always, before the client's system messages"],
    ['default', 'default: only if the client sends none'],
    ['override', "override: always, the client's are left out"],
];

// What the server stored, as the editor has it: the rarer fields are one JSON text.
function draftOf(prompt) {
    const other = Object.fromEntries(
        OTHER_FIELDS.filter((name) => {
            const value = prompt?.[name];
            return value && Object.keys(value).length > 0;
        }).map((name) => [name, prompt[name]])
    );
    return {
        text: prompt?.text ?? '',
        mode: prompt?.mode ?? 'prepend',
        note: '',
        other: Object.keys(other).length > 0 ? JSON.stringify(other, null, 2) : '',
    };
}

function bodyOf({ text, mode, note, other }) {
    let more = {};
    try {
        more = other.trim() ? JSON.parse(other) : {};
    } catch (error) {
        throw new Error(`Variables, examples and documents are no JSON: ${error.message}`);
    }
    const author = session.actor();
    return { ...more, text, mode, ...(note && { note }), ...(author && { author }) };
}

function DryRun({ result }) {
    if (!result) return null;
    return (
        <section aria-label="Dry run" class="card">
            <h3>Dry run</h3>
            <p>
                {result.tokens} tokens, {result.shared_tokens} of them shared by all conversations; {result.left} of{' '}
                {result.context} are left.
            </p>
            {result.warnings.map((warning) => (
                <p class="problem" key={warning}>
                    {warning}
                </p>
            ))}
            <pre tabIndex={0} aria-label="What the model reads">
                {result.text}
            </pre>
        </section>
    );
}

function Editor({ base, object, opened, reload }) {
    const { run, fail } = useActions();
    const [etag, setEtag] = useState(object.etag); // of the state that the draft was begun on
    const [draft, setDraft] = useState(() => draftOf(opened?.prompt ?? object.value.prompt));
    const [result, setResult] = useState(null);
    const set = (name) => (event) => {
        const { value } = event.currentTarget;
        setDraft((now) => ({ ...now, [name]: value }));
    };
    const tryIt = () => {
        let body;
        try {
            body = bodyOf(draft);
        } catch (error) {
            fail(error);
            return;
        }
        run('Dry run', async () => setResult((await call('POST', `${base}/dry-run`, { body })).value));
    };
    // The note was that version's. Whatever has been written since then stays.
    const onStored = () => setDraft((now) => ({ ...now, note: now.note === draft.note ? '' : now.note }));
    return (
        <section>
            <h3>{opened ? `Edit, from version ${opened.version}` : 'Edit'}</h3>
            <Field label="Text" hint="{{name}} stands for a variable, which must be declared below.">
                <textarea rows="8" value={draft.text} onInput={set('text')} spellcheck={false} />
            </Field>
            <Field label="Mode">
                <select value={draft.mode} onChange={set('mode')}>
                    {MODES.map(([mode, label]) => (
                        <option key={mode} value={mode}>
                            {label}
                        </option>
                    ))}
                </select>
            </Field>
            <details open={draft.other !== ''}>
                <summary>Variables, examples, documents</summary>
                <Field
                    label="JSON"
                    hint={
                        '{"variables": {"day": "Monday"}, "examples": [{"user", "assistant"}], "documents": [{"title", "text"}]}'
                    }
                >
                    <textarea rows="6" value={draft.other} onInput={set('other')} spellcheck={false} />
                </Field>
            </details>
            <Field label="Note, for the list of versions">
                <input value={draft.note} onInput={set('note')} />
            </Field>
            <StoreDraft
                base={base}
                noun="prompt"
                object={object}
                etag={etag}
                bodyOf={() => bodyOf(draft)}
                onEtag={setEtag}
                onStored={onStored}
                reload={reload}
            >
                <button type="button" onClick={tryIt}>
                    Dry run
                </button>
            </StoreDraft>
            <DryRun result={result} />
        </section>
    );
}

function Prompt({ name }) {
    const base = `/admin/prompts/${part(name)}`;
    const { value: object, error, reload } = useLoad(() => call('GET', base), [base], POLL_MS);
    const { run } = useActions();
    const [opened, setOpened] = useState(null); // {version, prompt, nth}: each time a new editor
    const open = (version) =>
        run(`Opening version ${version}`, async () => {
            const prompt = await get(`${base}/versions/${version}`);
            setOpened((before) => ({ version, prompt, nth: (before?.nth ?? 0) + 1 }));
        });
    const state = object?.value;
    return (
        <section class="card" aria-labelledby="prompt-name">
            <h2 id="prompt-name">
                {name}{' '}
                {state &&
                    (state.active ? <Badge word={`version ${state.active} is active`} /> : <Badge word="nothing is active" />)}
            </h2>
            <ErrorBox error={error} />
            {state?.split && (
                <p>
                    <Badge word="trial" /> version {state.split.version} gets {state.split.percent} percent.
                </p>
            )}
            {object && <Editor key={opened?.nth ?? 0} base={base} object={object} opened={opened} reload={reload} />}
            {state?.latest > 0 && (
                <Versions
                    base={base}
                    noun="prompt"
                    object={object}
                    onOpen={open}
                    onChange={reload}
                    columns={[
                        ['Mode', (row) => row.mode],
                        ['Bytes', (row) => row.text_bytes],
                    ]}
                />
            )}
        </section>
    );
}

function NewPrompt({ onMade }) {
    const { ask } = useActions();
    const make = () =>
        ask({
            title: 'Make a new prompt?',
            text: 'Its first version is stored and active; requests get it by its name, or by their key.',
            button: 'Make it',
            staysOpen: true,
            values: { name: '', text: '' },
            fields: (values, set) => [
                <Field label="Name">
                    <input required value={values.name} onInput={set('name')} />
                </Field>,
                <Field label="Text">
                    <textarea rows="5" value={values.text} onInput={set('text')} />
                </Field>,
            ],
            run: async ({ name, text }) => {
                await call('PUT', `/admin/prompts/${part(name)}`, { body: { text }, ifNew: true });
                onMade(name);
            },
        });
    return (
        <button type="button" onClick={make}>
            New prompt
        </button>
    );
}

export function Prompts({ route: [chosen = 'default'] }) {
    const { value, error, reload } = useLoad(async () => (await get('/admin/prompts?limit=1000')).profiles, [], POLL_MS);
    const names = [...new Set(['default', ...(value ?? []).map(({ name }) => name)])].sort();
    const made = (name) => {
        reload();
        location.hash = linkTo('prompts', name);
    };
    return (
        <>
            <h1>Prompts</h1>
            <ErrorBox error={error} />
            <nav class="tabs" aria-label="Prompts">
                {names.map((name) => (
                    <a key={name} href={linkTo('prompts', name)} aria-current={name === chosen ? 'page' : undefined}>
                        {name}
                    </a>
                ))}
                <NewPrompt onMade={made} />
            </nav>
            <Prompt key={chosen} name={chosen} />
        </>
    );
}
