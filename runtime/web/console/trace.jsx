// One text on its way through a chain, step by step.

import { useEffect, useState } from 'preact/hooks';

import { Badge, Field, Table, count } from './ui.jsx';

const PLAY_MS = 60;
const ROWS = 100;

// The text is counted in bytes, as the server counts it.
const encoder = new TextEncoder();
const decoder = new TextDecoder();

function Verdicts({ events }) {
    return events.map((event, i) => (
        <p key={i} class="verdict">
            <Badge word={event.verdict} />
            {event.recorded && <Badge word="recorded" />} {event.name}
            {event.name !== event.type && ` (${event.type})`}: {event.code}, bytes {event.from} to {event.to}
            {event.message && `: ${event.message}`}
        </p>
    ));
}

const heldText = (step) => step.held + (encoder.encode(step.held).length < step.held_bytes ? '…' : '');

function Steps({ pieces, steps, now, onChoose }) {
    const first = Math.floor(now / ROWS) * ROWS;
    return (
        <details>
            <summary>All {steps.length} steps as a table</summary>
            <Table
                caption={`Steps ${first + 1} to ${Math.min(first + ROWS, steps.length)} of ${steps.length}`}
                head={['Step', 'In', 'Out', 'Held', 'Bytes held', 'Verdicts']}
            >
                {steps.slice(first, first + ROWS).map((step, i) => (
                    <tr key={first + i} class={first + i === now ? 'now' : ''}>
                        <th scope="row">
                            <button type="button" onClick={() => onChoose(first + i)}>
                                {first + i + 1}
                            </button>
                        </th>
                        <td>
                            <code>{pieces[first + i] || 'the end'}</code>
                        </td>
                        <td>
                            <code class="released">{step.released}</code>
                        </td>
                        <td>
                            <code class="held">{heldText(step)}</code>
                        </td>
                        <td>{step.held_bytes}</td>
                        <td>
                            <Verdicts events={step.events} />
                        </td>
                    </tr>
                ))}
            </Table>
        </details>
    );
}

// text: what went in; result: what POST /admin/filters/NAME/trace answered.
export function TraceView({ text, result }) {
    const { steps } = result;
    const bytes = encoder.encode(text);
    const pieces = steps.map((step, i) => decoder.decode(bytes.subarray(i > 0 ? steps[i - 1].fed : 0, step.fed)));
    const [now, setNow] = useState(0);
    const [plays, setPlays] = useState(false);
    const last = steps.length - 1;
    useEffect(() => {
        if (!plays) return undefined;
        if (now === last) {
            setPlays(false);
            return undefined;
        }
        const timer = setTimeout(() => setNow(now + 1), PLAY_MS);
        return () => clearTimeout(timer);
    }, [plays, now]);
    const go = (step) => {
        setPlays(false);
        setNow(Math.max(0, Math.min(last, step)));
    };
    const step = steps[now];
    const released = steps
        .slice(0, now + 1)
        .map((each) => each.released)
        .join('');
    const before = steps
        .slice(0, now)
        .map((each) => each.released)
        .join('');
    return (
        <section class="trace" aria-label="Trace">
            <p class="outcome">
                {result.stopped ? <Badge word="stopped" /> : <Badge word="passed" />} {count(result.filters, 'filter')} of{' '}
                {result.name}
                {result.version > 0 && ` version ${result.version}`}; {count(bytes.length, 'byte')} in,{' '}
                {encoder.encode(result.text).length} out
                {result.left_out.length > 0 && `; left out, as they ask services: filters ${result.left_out.join(', ')}`}
            </p>
            <div class="row">
                <button type="button" onClick={() => go(0)}>
                    First
                </button>
                <button type="button" onClick={() => go(now - 1)} disabled={now === 0}>
                    Back
                </button>
                <button type="button" onClick={() => (now === last ? (setNow(0), setPlays(true)) : setPlays(!plays))}>
                    {plays ? 'Pause' : 'Play'}
                </button>
                <button type="button" onClick={() => go(now + 1)} disabled={now === last}>
                    Next
                </button>
                <button type="button" onClick={() => go(last)}>
                    Last
                </button>
            </div>
            <Field label={`Step ${now + 1} of ${steps.length}`}>
                <input type="range" min="0" max={last} value={now} onInput={(event) => go(Number(event.currentTarget.value))} />
            </Field>
            <dl class="strips">
                <dt>In</dt>
                <dd>
                    <span class="fed">{decoder.decode(bytes.subarray(0, step.fed))}</span>
                    <span class="rest">{decoder.decode(bytes.subarray(step.fed))}</span>
                </dd>
                <dt>Released</dt>
                <dd data-strip="released">
                    <span class="released">{before}</span>
                    <mark>{released.slice(before.length)}</mark>
                </dd>
                <dt>Held</dt>
                <dd data-strip="held">
                    <span class="held">{heldText(step)}</span> <span class="fine">{count(step.held_bytes, 'byte')}</span>
                </dd>
            </dl>
            <div aria-live={plays ? 'off' : 'polite'}>
                <Verdicts events={step.events} />
            </div>
            <Steps pieces={pieces} steps={steps} now={now} onChoose={go} />
            <h4>All verdicts</h4>
            {result.events.length === 0 ? <p class="fine">None.</p> : <Verdicts events={result.events} />}
        </section>
    );
}
