// Reads what GET /admin/stats says: Prometheus' text format 0.0.4, of which Weir writes one sample a line.

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;
const ESCAPES = { '\\n': '\n', '\\"': '"', '\\\\': '\\' };

// {name: [{labels: {route: "/v1/models"}, value: 3}]}
export function parse(text) {
    const families = new Map();
    for (const line of text.split('\n')) {
        const match = line.startsWith('#') ? null : SAMPLE.exec(line);
        if (!match) continue;
        const [, name, inside = '', value] = match;
        const labels = {};
        for (const [, label, quoted] of inside.matchAll(LABEL)) {
            labels[label] = quoted.replace(/\\[n"\\]/g, (escape) => ESCAPES[escape]);
        }
        if (!families.has(name)) families.set(name, []);
        families.get(name).push({ labels, value: value === '+Inf' ? Infinity : Number(value) });
    }
    return families;
}

// The sum of a family's samples that `wanted` lets through.
export function sum(families, name, wanted = () => true) {
    return (families.get(name) ?? []).filter(({ labels }) => wanted(labels)).reduce((total, { value }) => total + value, 0);
}

// A histogram, all its label sets together: [[upper bound, how many at most that]], by bound.
export function buckets(families, name) {
    const byBound = new Map();
    for (const { labels, value } of families.get(`${name}_bucket`) ?? []) {
        const bound = labels.le === '+Inf' ? Infinity : Number(labels.le);
        byBound.set(bound, (byBound.get(bound) ?? 0) + value);
    }
    return [...byBound].sort(([a], [b]) => a - b);
}

// The q-quantile of what came between two looks at a histogram, linear within a bucket as PromQL's
// histogram_quantile; null if nothing came.
export function quantile(before, now, q) {
    const old = new Map(before);
    const counts = now.map(([bound, count]) => [bound, count - (old.get(bound) ?? 0)]);
    const total = counts.length > 0 ? counts[counts.length - 1][1] : 0;
    if (total <= 0) return null;
    const rank = q * total;
    const i = counts.findIndex(([, count]) => count >= rank);
    const [low, below] = i > 0 ? counts[i - 1] : [0, 0];
    const [high, upTo] = counts[i];
    return high === Infinity ? low : low + (high - low) * (upTo > below ? (rank - below) / (upTo - below) : 1);
}
