// What the server does now: requests, time to the first token, tokens, queue, keys and values.

import { useEffect, useState } from 'preact/hooks';

import { get } from './api.js';
import { Plot } from './plot.jsx';
import { buckets, parse, quantile, sum } from './prometheus.mjs';
import { ErrorBox } from './ui.jsx';

const POLL_MS = 2000;
const SPAN_S = 300;

const isApi = ({ route = '' }) => route.startsWith('/v1/');
const isError = (labels) => isApi(labels) && Number(labels.code) >= 400;

// Everything counted since the start, of which two looks make a rate.
async function look() {
    const [stats, model] = await Promise.all([get('/admin/stats'), get('/admin/models')]);
    const families = parse(stats);
    return {
        time: performance.now() / 1000,
        requests: sum(families, 'weir_http_requests_total', isApi),
        errors: sum(families, 'weir_http_requests_total', isError),
        firstToken: buckets(families, 'weir_model_first_token_seconds'),
        model,
    };
}

// Counts go back when another version serves, or the server was started anew: no rate then.
function rate(before, now, seconds) {
    return now >= before && seconds > 0 ? (now - before) / seconds : null;
}

function pointOf(before, now) {
    const seconds = now.time - before.time;
    const { model } = now;
    const isSame = before.model.sha256 === model.sha256 && before.model.generation === model.generation;
    const tokens = (name) => (isSame ? rate(before.model[name], model[name], seconds) : null);
    return {
        time: now.time,
        requests: rate(before.requests, now.requests, seconds),
        errors: rate(before.errors, now.errors, seconds),
        half: quantile(before.firstToken, now.firstToken, 0.5),
        most: quantile(before.firstToken, now.firstToken, 0.95),
        output: tokens('output_tokens'),
        prompt: tokens('prompt_tokens'),
        running: model.running ?? null,
        waiting: model.waiting ?? null,
        pages: model.kv_pages > 0 ? 100 * (1 - model.kv_pages_free / model.kv_pages) : null,
    };
}

// Looks every POLL_MS, also while the page is hidden: the lines shall have no holes.
function usePoints() {
    const [points, setPoints] = useState([]);
    const [error, setError] = useState(null);
    useEffect(() => {
        let before = null;
        let timer = null;
        let isOver = false;
        const step = async () => {
            try {
                const now = await look();
                if (isOver) return;
                if (before) {
                    const point = pointOf(before, now);
                    setPoints((old) => [...old.filter(({ time }) => now.time - time <= SPAN_S), point]);
                }
                before = now;
                setError(null);
            } catch (failure) {
                if (!isOver) setError(failure);
            }
            if (!isOver) timer = setTimeout(step, POLL_MS);
        };
        step();
        return () => {
            isOver = true;
            clearTimeout(timer);
        };
    }, []);
    return { points, error };
}

export function Charts() {
    const { points, error } = usePoints();
    const times = points.map(({ time }) => time);
    const of = (name, key) => ({ name, values: points.map((point) => point[key]) });
    const plot = (title, unit, series, top) => <Plot title={title} unit={unit} series={series} times={times} span={SPAN_S} top={top} />;
    return (
        <>
            <h1>Live</h1>
            <ErrorBox error={error} />
            <p class="fine">
                A look every {POLL_MS / 1000} seconds, since this view was opened. Tokens, queue and pages are those of the
                default model.
            </p>
            <div class="plots">
                {plot('Requests', 'per s', [of('all', 'requests'), of('errors', 'errors')])}
                {plot('Time to the first token', 's', [of('median', 'half'), of('95th percentile', 'most')])}
                {plot('Tokens', 'per s', [of('written', 'output'), of('read', 'prompt')])}
                {plot('Queue', '', [of('running', 'running'), of('waiting', 'waiting')])}
                {plot('Keys and values in use', '%', [of('pages', 'pages')], 100)}
            </div>
        </>
    );
}
