// The versions of a prompt or of a filter chain: which is active, what has changed, and which shall be.

import { useState } from 'preact/hooks';

import { call, get } from './api.js';
import { useLoad } from './hooks.js';
import { Badge, Diff, ErrorBox, Field, Table, formatTime, useActions } from './ui.jsx';

const PAGE = 50;

function usedBy(state, version) {
    const labels = Object.entries(state.labels ?? {})
        .filter(([, number]) => number === version)
        .map(([label]) => label);
    return [
        state.active === version && 'active',
        state.split?.version === version && `trial, ${state.split.percent}%`,
        ...labels,
    ].filter(Boolean);
}

function Compare({ base, versions, active }) {
    const isNewest = !active || active === versions[0].version;
    const [from, setFrom] = useState(String(isNewest ? versions[1].version : active));
    const [to, setTo] = useState(String(versions[0].version));
    const { value, error } = useLoad(() => get(`${base}/diff?from=${from}&to=${to}`), [base, from, to]);
    const choice = (label, chosen, set) => (
        <Field label={label}>
            <select value={chosen} onChange={(event) => set(event.currentTarget.value)}>
                {versions.map(({ version }) => (
                    <option key={version} value={version}>
                        version {version}
                    </option>
                ))}
            </select>
        </Field>
    );
    return (
        <section>
            <h3>Compare</h3>
            <div class="row">
                {choice('From', from, setFrom)}
                {choice('To', to, setTo)}
            </div>
            <ErrorBox error={error} />
            {value !== null && <Diff text={value} />}
        </section>
    );
}

// The question before a version is made active, with the difference it makes.
export async function askToActivate({ ask, base, noun, state, version, etag, done }) {
    const diff =
        state.active > 0 && state.active !== version ? await get(`${base}/diff?from=${state.active}&to=${version}`) : null;
    ask({
        title: `Activate version ${version} of ${state.name}?`,
        text: `The next request that gets the ${noun} ${state.name} gets this version. Those that run keep theirs.`,
        details: diff !== null && <Diff text={diff} />,
        button: 'Activate',
        run: async () => {
            try {
                await call('POST', `${base}/activate`, { body: { version }, ifMatch: etag });
            } finally {
                done();
            }
        },
    });
}

// base: /admin/prompts/NAME; object: {value, etag} of it; columns: [[title, (row) => cell]]; onOpen(version).
export function Versions({ base, noun, object, columns, onOpen, onChange }) {
    const { ask, run } = useActions();
    const [before, setBefore] = useState(0);
    const { value: state, etag } = object;
    const { value, error } = useLoad(
        async () => (await get(`${base}/versions?limit=${PAGE}${before ? `&before=${before}` : ''}`)).versions,
        [base, before, etag]
    );
    const activate = (version) =>
        run(`Comparing version ${version}`, () => askToActivate({ ask, base, noun, state, version, etag, done: onChange }));
    const rollback = () =>
        ask({
            title: `Roll ${state.name} back?`,
            text: `The version of the ${noun} that was active before ${state.active} is active again.`,
            button: 'Roll back',
            run: async () => {
                try {
                    await call('POST', `${base}/rollback`, { ifMatch: etag });
                } finally {
                    onChange();
                }
            },
        });
    return (
        <section>
            <h3>Versions</h3>
            <ErrorBox error={error} />
            <div class="row">
                <button type="button" onClick={rollback}>
                    Roll back
                </button>
                {before > 0 && (
                    <button type="button" onClick={() => setBefore(0)}>
                        Newest
                    </button>
                )}
                {value?.length === PAGE && (
                    <button type="button" onClick={() => setBefore(value[value.length - 1].version)}>
                        Older
                    </button>
                )}
            </div>
            {value && (
                <Table
                    caption={`Versions of ${state.name}`}
                    head={['Version', 'Used as', 'Stored', 'By', 'Note', ...columns.map(([title]) => title), 'Actions']}
                >
                    {value.map((row) => (
                        <tr key={row.version}>
                            <th scope="row">{row.version}</th>
                            <td>
                                {usedBy(state, row.version).map((word) => (
                                    <Badge key={word} word={word} />
                                ))}
                            </td>
                            <td>{formatTime(row.created)}</td>
                            <td>{row.author}</td>
                            <td>{row.note}</td>
                            {columns.map(([title, cell]) => (
                                <td key={title}>{cell(row)}</td>
                            ))}
                            <td>
                                <div class="row">
                                    <button
                                        type="button"
                                        aria-label={`open version ${row.version}`}
                                        onClick={() => onOpen(row.version)}
                                    >
                                        open
                                    </button>
                                    {row.version !== state.active && (
                                        <button
                                            type="button"
                                            aria-label={`activate version ${row.version}`}
                                            onClick={() => activate(row.version)}
                                        >
                                            activate
                                        </button>
                                    )}
                                </div>
                            </td>
                        </tr>
                    ))}
                </Table>
            )}
            {value?.length > 1 && <Compare key={etag} base={base} versions={value} active={state.active} />}
        </section>
    );
}
