// Models: what is loaded, which version serves, and what may be done about it.

import { call, get, part } from './api.js';
import { Canary } from './canary.jsx';
import { useLoad } from './hooks.js';
import { Badge, ErrorBox, Field, Table, count, formatBytes, formatTime, useActions } from './ui.jsx';

const POLL_MS = 2000;

// The buttons of a version, by its state. What serves of the default model stays.
const OFFERED = {
    available: ['load', 'activate', 'split', 'canary', 'shadow'],
    failed: ['load', 'activate', 'split', 'canary', 'shadow'],
    kept: ['activate', 'split', 'canary', 'shadow', 'unload'],
    split: ['activate', 'split', 'unload'],
    shadow: ['activate', 'shadow', 'unload'],
    canary: ['activate', 'unload'],
    serving: ['unload'],
};

const percentField = (values, set, max) => (
    <Field label="Percent of the requests">
        <input type="number" min="1" max={max} step="1" required value={values.percent} onInput={set('percent')} />
    </Field>
);

const byField = (values, set) => (
    <Field label="Who stays on one version">
        <select value={values.by} onChange={set('by')}>
            <option value="key">each API key</option>
            <option value="conversation">each conversation</option>
        </select>
    </Field>
);

// What each button asks and does: (model, version) => a request for useActions().ask.
const post = (model, action, body) => call('POST', `/admin/models/${part(model)}/${action}`, { body });

const CHANGES = {
    load: (model, version) => ({
        title: `Load ${model} ${version}?`,
        text: 'It is verified, passes its gate and stays in memory. What serves now goes on serving.',
        button: 'Load',
        run: () => post(model, 'load', { version }),
    }),
    activate: (model, version) => ({
        title: `Activate ${model} ${version}?`,
        text:
            `New requests for ${model} get version ${version}, once it is loaded and has passed its gate. ` +
            'Those that run finish on theirs.',
        button: 'Activate',
        run: () => post(model, 'activate', { version }),
    }),
    split: (model, version) => ({
        title: `Split: a share for ${model} ${version}?`,
        text: 'Of all requests that name no version, this share gets it until you end the split.',
        button: 'Split',
        values: { percent: '10', by: 'key' },
        fields: (values, set) => [percentField(values, set, 99), byField(values, set)],
        run: ({ percent, by }) => post(model, 'split', { version, percent: Number(percent), by }),
    }),
    canary: (model, version) => ({
        title: `Canary: try ${model} ${version}?`,
        text:
            'A share of the requests gets it. By what its answers show it is promoted or rolled back, as its model.json ' +
            "or the server's defaults say.",
        button: 'Begin the canary',
        values: { percent: '10' },
        fields: (values, set) => percentField(values, set, 99),
        run: ({ percent }) => post(model, 'canary', { version, percent: Number(percent) }),
    }),
    shadow: (model, version) => ({
        title: `Shadow: copies for ${model} ${version}?`,
        text: 'Copies of requests run on it. Nobody gets its answers; they are compared.',
        button: 'Begin the shadow',
        values: { percent: '10' },
        fields: (values, set) => percentField(values, set, 100),
        run: ({ percent }) => post(model, 'shadow', { version, percent: Number(percent) }),
    }),
    unload: (model, version) => ({
        title: `Unload ${model} ${version}?`,
        text: 'Requests that run finish on it, new ones do not get it. Its memory is free when the last has ended.',
        button: 'Unload',
        run: () => post(model, 'unload', { version }),
    }),
};

function VersionRow({ model, version: v, act }) {
    const offered = model.default && v.state === 'serving' ? [] : (OFFERED[v.state] ?? []);
    return (
        <tr>
            <th scope="row">{v.version}</th>
            <td>
                <Badge word={v.state} />
                {v.problem && <p class="problem">{v.problem}</p>}
            </td>
            <td>
                {v.labels.join(', ')}
                {v.deprecated && <p class="fine">deprecated: {v.deprecated}</p>}
            </td>
            <td>{v.generation ?? ''}</td>
            <td>{v.loaded_at ? formatTime(v.loaded_at) : ''}</td>
            <td>{v.memory_bytes ? formatBytes(v.memory_bytes) : ''}</td>
            <td>{v.running ?? ''}</td>
            <td>{v.note}</td>
            <td>
                <div class="row">
                    {offered.map((name) => (
                        <button
                            type="button"
                            key={name}
                            aria-label={`${name} ${model.name} ${v.version}`}
                            onClick={() => act(CHANGES[name](model.name, v.version))}
                        >
                            {name}
                        </button>
                    ))}
                </div>
            </td>
        </tr>
    );
}

// A split or a shadow that is in force.
function Share({ model, kind, share, act }) {
    if (!share) return null;
    const end = () =>
        act({
            title: `End the ${kind} of ${model.name}?`,
            text: kind === 'split' ? 'All requests that name no version get the serving one again.' : 'No more copies are made.',
            button: `End the ${kind}`,
            run: () => post(model.name, kind, { percent: 0 }),
        });
    return (
        <p>
            <Badge word={kind} /> version {share.version} gets {share.percent} percent{share.by && `, by ${share.by}`}{' '}
            <button type="button" onClick={end}>
                End the {kind}
            </button>
        </p>
    );
}

function Model({ model, act }) {
    const rollback = () =>
        act({
            title: `Roll ${model.name} back?`,
            text: `What served before ${model.serving ?? 'it'} serves again.`,
            button: 'Roll back',
            run: () => post(model.name, 'rollback'),
        });
    const load = () =>
        act({
            title: `Load ${model.name}?`,
            text: 'The version that served last, or the newest that can serve, is loaded and serves.',
            button: 'Load',
            run: () => post(model.name, 'load'),
        });
    const unload = () =>
        act({
            title: `Unload all of ${model.name}?`,
            text: 'New requests for it are refused, or load it again where the server loads on demand.',
            button: 'Unload',
            run: () => post(model.name, 'unload'),
        });
    const triesOne = model.versions.some(({ state }) => state === 'canary'); // its share is the split
    return (
        <section class="card" aria-labelledby={`model-${model.name}`}>
            <h2 id={`model-${model.name}`}>
                {model.name} <Badge word={model.state} />
                {model.default && <span class="fine"> default</span>}
            </h2>
            <p>
                {model.serving ? `${model.serving} serves` : 'Nothing serves'} · {formatBytes(model.memory_bytes)} of memory ·{' '}
                {count(model.requests_waiting, 'request')} waiting for it
            </p>
            {model.problem && <p class="problem">{model.problem}</p>}
            {!triesOne && <Share model={model} kind="split" share={model.split} act={act} />}
            <Share model={model} kind="shadow" share={model.shadow} act={act} />
            <div class="row">
                <button type="button" onClick={rollback}>
                    Roll back
                </button>
                {!model.serving && (
                    <button type="button" onClick={load}>
                        Load
                    </button>
                )}
                {model.serving && !model.default && (
                    <button type="button" onClick={unload}>
                        Unload
                    </button>
                )}
            </div>
            <Table
                caption={`Versions of ${model.name}`}
                head={['Version', 'State', 'Labels', 'Generation', 'Loaded', 'Memory', 'Running', 'Note', 'Actions']}
            >
                {model.versions.map((v) => (
                    <VersionRow key={v.version} model={model} version={v} act={act} />
                ))}
            </Table>
            <Canary model={model.name} runs={triesOne} act={act} />
        </section>
    );
}

// A server without a repository has one file.
function OneFile({ model, act }) {
    const reload = () =>
        act({
            title: 'Load the model file anew?',
            text: 'If it has changed and passes all checks, new requests get it.',
            button: 'Load anew',
            run: () => call('POST', '/admin/models/reload'),
        });
    const rows = [
        ['Version', model.version],
        ['SHA-256', model.sha256],
        ['Generation', model.generation],
        ['Context', `${model.context_length} tokens`],
        ['File', formatBytes(model.file_bytes)],
        ['Running', model.running],
        ['Waiting', model.waiting],
        ['Pages of keys and values', `${model.kv_pages - model.kv_pages_free} of ${model.kv_pages}`],
    ];
    return (
        <section class="card">
            <h2>
                {model.id} <Badge word={model.state ?? 'serving'} />
            </h2>
            <p class="fine">One file, without a repository: there are no versions to choose from.</p>
            <dl>{rows.map(([name, value]) => [<dt>{name}</dt>, <dd>{value}</dd>])}</dl>
            <button type="button" onClick={reload}>
                Load anew
            </button>
        </section>
    );
}

export function Models() {
    const { ask } = useActions();
    const { value, error, reload } = useLoad(() => get('/admin/models'), [], POLL_MS);
    const act = (request) =>
        ask({
            ...request,
            run: async (values) => {
                try {
                    return await request.run(values);
                } finally {
                    reload();
                }
            },
        });
    return (
        <>
            <h1>Models</h1>
            <ErrorBox error={error} />
            {value?.memory && (
                <p class="fine">
                    {formatBytes(value.memory.used_bytes)} of memory in use
                    {value.memory.limit_bytes !== null && `, ${formatBytes(value.memory.limit_bytes)} allowed`}
                    {value.memory.machine_left_bytes !== null &&
                        `, the machine has ${formatBytes(value.memory.machine_left_bytes)} left`}
                </p>
            )}
            {value && (value.models ?? []).map((model) => <Model key={model.name} model={model} act={act} />)}
            {value && !value.models && <OneFile model={value} act={act} />}
        </>
    );
}
