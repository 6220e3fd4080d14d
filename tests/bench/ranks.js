'use strict';
// What sharing a model out among processes costs and saves on this machine: `weir bench` in one process and with
// ranks, the same number of threads in all, and what of the model lies in each rank's memory.
//
//     node tests/bench/ranks.js MODEL.gguf [RANKS,... (2,4)] [THREADS in all (cores)]

const { spawnSync } = require('node:child_process');
const os = require('node:os');
const path = require('node:path');

const WEIR = process.env.WEIR_BIN || path.resolve(__dirname, '../../build/release/weir');
const [model, counts = '2,4', threads = String(os.cpus().length)] = process.argv.slice(2);

const ENV = {
    ...process.env,
    OMPI_ALLOW_RUN_AS_ROOT: '1',
    OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
    OMPI_MCA_rmaps_base_oversubscribe: '1',
    OMPI_MCA_hwloc_base_binding_policy: 'none',
};

function bench(n, each) {
    const args = ['bench', '-m', model, '-p', '128', '-n', '32', '-b', '1,8', '-t', String(each), '--json'];
    const [command, ...rest] = n === 1 ? [WEIR, ...args] : ['mpirun', '-np', String(n), WEIR, ...args];
    const { status, stdout, stderr } = spawnSync(command, rest, { encoding: 'utf8', env: ENV });
    if (status !== 0) {
        throw new Error(stderr);
    }
    const weights = [...stderr.matchAll(/rank (\d+) of \d+: ([\d.]+) MiB of weights, ([\d.]+) MiB for keys/g)];
    return { ...JSON.parse(stdout), shares: weights.sort((a, b) => a[1] - b[1]).map(([, , mib, kv]) => `${mib}+${kv}`) };
}

if (!model) {
    console.error('usage: node tests/bench/ranks.js MODEL.gguf [RANKS,...] [THREADS]');
    process.exit(2);
}
console.log('ranks threads  prefill tok/s  decode tok/s  8 together  peak RSS MiB  weights+KV of each, MiB');
for (const n of [1, ...counts.split(',').map(Number)]) {
    const each = Math.max(1, Math.floor(Number(threads) / n));
    const r = bench(n, each);
    console.log(
        [
            String(n).padStart(5),
            String(each).padStart(7),
            r.prefill_tps.toFixed(1).padStart(14),
            r.decode_tps.toFixed(1).padStart(13),
            r.batch_tps['8'].toFixed(1).padStart(11),
            (r.peak_rss_bytes / 2 ** 20).toFixed(0).padStart(13),
            `  ${r.shares.join(' ')}`,
        ].join(' '),
    );
}
