// The audit log: who changed what, newest first.

import { useState } from 'preact/hooks';

import { get, part } from './api.js';
import { useLoad } from './hooks.js';
import { ErrorBox, Field, Table, formatTime } from './ui.jsx';

const PAGE = 50;
const KINDS = [
    ['', 'all'],
    ['prompt', 'prompts'],
    ['filters', 'filter chains'],
    ['model', 'models'],
];

export function Audit() {
    const [kind, setKind] = useState('');
    const [name, setName] = useState('');
    const [pages, setPages] = useState([0]); // ids below which the pages up to this one begin; 0: the newest
    const before = pages[pages.length - 1];
    const query = [
        `limit=${PAGE}`,
        kind && `kind=${kind}`,
        name.trim() && `profile=${part(name.trim())}`,
        before && `before=${before}`,
    ];
    const { value, error, reload } = useLoad(
        async () => (await get(`/admin/audit?${query.filter(Boolean).join('&')}`)).audit,
        [kind, name, before]
    );
    const choose = (set) => (event) => {
        set(event.currentTarget.value);
        setPages([0]);
    };
    return (
        <>
            <h1>Audit</h1>
            <div class="row">
                <Field label="What">
                    <select value={kind} onChange={choose(setKind)}>
                        {KINDS.map(([value, label]) => (
                            <option key={value} value={value}>
                                {label}
                            </option>
                        ))}
                    </select>
                </Field>
                <Field label="Name, exactly">
                    <input value={name} onInput={choose(setName)} placeholder="default" />
                </Field>
                <button type="button" onClick={reload}>
                    Refresh
                </button>
            </div>
            <ErrorBox error={error} />
            {value && (
                <Table
                    caption="Changes, newest first"
                    head={['Number', 'Time', 'Who', 'What', 'Name', 'Done', 'About', 'Before', 'After', 'Reason']}
                >
                    {value.map((row) => (
                        <tr key={row.id}>
                            <th scope="row">{row.id}</th>
                            <td>{formatTime(row.time)}</td>
                            <td>{row.actor}</td>
                            <td>{row.kind}</td>
                            <td>{row.profile}</td>
                            <td>{row.action}</td>
                            <td>{row.subject}</td>
                            <td>{row.before}</td>
                            <td>{row.after}</td>
                            <td>{row.reason}</td>
                        </tr>
                    ))}
                </Table>
            )}
            {value?.length === 0 && <p class="fine">Nothing is there.</p>}
            <div class="row">
                <button type="button" disabled={pages.length === 1} onClick={() => setPages(pages.slice(0, -1))}>
                    Newer
                </button>
                <button
                    type="button"
                    disabled={!value || value.length < PAGE}
                    onClick={() => setPages([...pages, value[value.length - 1].id])}
                >
                    Older
                </button>
            </div>
        </>
    );
}
