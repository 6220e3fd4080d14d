// The canary of a model, the present one or the last, with what its looks showed.

import { call, get, part } from './api.js';
import { useLoad } from './hooks.js';
import { Badge, ErrorBox, Table, formatTime } from './ui.jsx';

const POLL_MS = 4000;

// null: there was none.
async function load(model) {
    try {
        return await get(`/admin/models/${part(model)}/canary`);
    } catch (error) {
        if (error.status === 404) return null;
        throw error;
    }
}

const digits = (x) => (typeof x === 'number' ? Number(x.toPrecision(3)) : '');
const range = (interval) => (interval ? `${digits(interval.low)} to ${digits(interval.high)}` : '');

function Measures({ look }) {
    return (
        <Table
            caption={`The look at ${formatTime(look.at)}: ${look.verdict}`}
            head={['Measure', 'Verdict', 'Stable', 'Canary', 'Difference or ratio', 'Interval', 'Allowed']}
        >
            {look.measures.map((m) => (
                <tr key={m.measure}>
                    <th scope="row">{m.measure.replaceAll('_', ' ')}</th>
                    <td>{m.verdict}</td>
                    <td>{digits(m.stable)}</td>
                    <td>{digits(m.canary)}</td>
                    <td>{digits(m.difference ?? m.ratio)}</td>
                    <td>{range(m.interval)}</td>
                    <td>{digits(m.margin)}</td>
                </tr>
            ))}
        </Table>
    );
}

// runs: whether a version of the model is tried now; else what there is to say does not change.
export function Canary({ model, runs, act }) {
    const { value: canary, error, reload } = useLoad(() => load(model), [model, runs], runs ? POLL_MS : 0);
    if (error) return <ErrorBox error={error} />;
    if (!canary) return null;
    const end = (action, text) => () =>
        act({
            title: `${action === 'promote' ? 'Promote' : 'Roll back'} the canary ${model} ${canary.version}?`,
            text,
            button: action === 'promote' ? 'Promote' : 'Roll back',
            run: async () => {
                await call('POST', `/admin/models/${part(model)}/canary`, { body: { action } });
                reload();
            },
        });
    return (
        <section aria-label={`Canary of ${model}`}>
            <h3>
                Canary <Badge word={canary.state} />
            </h3>
            <p>
                Version {canary.version} against {canary.stable}: {canary.percent} percent, step {canary.step} of{' '}
                {canary.plan.steps.length}; answers: {canary.answers.canary} and {canary.answers.stable}
                {canary.next_look_at_answers !== null && `; the next look is at ${canary.next_look_at_answers}`}.
            </p>
            {canary.reason && <p>{canary.reason}</p>}
            {canary.state === 'running' && (
                <div class="row">
                    <button type="button" onClick={end('promote', `All requests get version ${canary.version}.`)}>
                        Promote
                    </button>
                    <button type="button" onClick={end('rollback', `All requests get version ${canary.stable}.`)}>
                        Roll the canary back
                    </button>
                </div>
            )}
            {canary.looks.length > 0 && <Measures look={canary.looks[canary.looks.length - 1]} />}
        </section>
    );
}
