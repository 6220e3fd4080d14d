// A line chart over time as SVG. It takes its colours from the page's style, so it goes with light and dark; what it
// shows is also said in words.

const WIDTH = 400;
const HEIGHT = 130;
const LEFT = 44;
const BOTTOM = 18;
const TOP = 8;

// A round number that is at least x: 1, 2 or 5 times a power of ten.
export function roundUp(x) {
    if (!(x > 0)) return 1;
    const power = 10 ** Math.floor(Math.log10(x));
    return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= x * 0.999999);
}

export function formatNumber(x, unit) {
    if (x === null || x === undefined) return 'nothing';
    const text = x !== 0 && Math.abs(x) < 0.001 ? x.toExponential(1) : `${Number(x.toPrecision(3))}`;
    return unit ? `${text} ${unit}` : text;
}

// Lines break where there is no value.
function path(values, x, y) {
    let text = '';
    let isDown = false;
    values.forEach((value, i) => {
        if (value === null) {
            isDown = false;
            return;
        }
        text += `${isDown ? 'L' : 'M'}${x(i).toFixed(1)} ${y(value).toFixed(1)}`;
        // A value that stands alone is a dot.
        if (!isDown && (values[i + 1] ?? null) === null) text += 'h0.1';
        isDown = true;
    });
    return text;
}

function words(series, unit) {
    return series
        .map(({ name, values }) => {
            const known = values.filter((value) => value !== null);
            const now = values[values.length - 1];
            return (
                `${name}: now ${formatNumber(now, unit)}` +
                (known.length > 0 ? `, at most ${formatNumber(Math.max(...known), unit)}` : '')
            );
        })
        .join('; ');
}

// series: [{name, values}], the newest last, null where there is none; all as long as `times`, seconds. top: of the
// scale, if it is fixed.
export function Plot({ title, unit = '', series, times, span, top }) {
    const all = series.flatMap(({ values }) => values).filter((value) => value !== null);
    const max = top ?? roundUp(Math.max(0, ...all));
    const end = times[times.length - 1] ?? 0;
    const x = (i) => LEFT + (WIDTH - LEFT) * (1 - (end - times[i]) / span);
    const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - Math.min(value, max) / max);
    return (
        <figure class="plot">
            <figcaption>
                <b>{title}</b>
                {series.map(({ name, values }, i) => (
                    <span key={name} class={`key line${i}`}>
                        {name} <output>{formatNumber(values[values.length - 1], unit)}</output>
                    </span>
                ))}
            </figcaption>
            <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`${title}. ${words(series, unit)}`}>
                {[0, 0.5, 1].map((part) => (
                    <g key={part} class="grid">
                        <line x1={LEFT} x2={WIDTH} y1={y(max * part)} y2={y(max * part)} />
                        <text x={LEFT - 4} y={y(max * part) + 3} text-anchor="end">
                            {formatNumber(max * part)}
                        </text>
                    </g>
                ))}
                <g class="grid">
                    <text x={LEFT} y={HEIGHT - 4}>{`${Math.round(span / 60)} min ago`}</text>
                    <text x={WIDTH} y={HEIGHT - 4} text-anchor="end">
                        now
                    </text>
                </g>
                {series.map(({ name, values }, i) => (
                    <path key={name} class={`line line${i}`} d={path(values, x, y)} />
                ))}
            </svg>
        </figure>
    );
}
