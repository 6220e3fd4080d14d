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

// Everything counted since the start, of which two looks make a rate; all models and versions together.
async function look() {
    const families = parse(await get('/admin/stats'));
    const total = (name, wanted) => sum(families, name, wanted);
    return {
        time: performance.now() / 1000,
        requests: total('weir_http_requests_total', isApi),
        errors: total('weir_http_requests_total', isError),
        firstToken: buckets(families, 'weir_model_first_token_seconds'),
        output: total('weir_output_tokens_total'),
        prompt: total('weir_prompt_tokens_total') - total('weir_cached_prompt_tokens_total'),
        running: total('weir_requests_running'),
        waiting: total('weir_requests_waiting'),
        pages: total('weir_kv_cache_pages'),
        pagesUsed: total('weir_kv_cache_pages_used'),
    };
}

// Counts begin anew when the server does: no rate then.
const rate = (before, now, key) => (now[key] >= before[key] ? (now[key] - before[key]) / (now.time - before.time) : null);

function pointOf(before, now) {
    return {
        time: now.time,
        requests: rate(before, now, 'requests'),
        errors: rate(before, now, 'errors'),
        half: quantile(before.firstToken, now.firstToken, 0.5),
        most: quantile(before.firstToken, now.firstToken, 0.95),
        output: rate(before, now, 'output'),
        prompt: rate(before, now, 'prompt'),
        running: now.running,
        waiting: now.waiting,
        pages: now.pages > 0 ? (100 * now.pagesUsed) / now.pages : null,
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
    const plot = (title, unit, series, top) => (
        <Plot title={title} unit={unit} series={series} times={times} span={SPAN_S} top={top} />
    );
    return (
        <>
            <h1>Live</h1>
            <ErrorBox error={error} />
            <p class="fine">A look every {POLL_MS / 1000} seconds, since this view was opened; all models together.</p>
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
