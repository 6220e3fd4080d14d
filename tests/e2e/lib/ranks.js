'use strict';
// Processes that share a model out: `mpirun -np N weir ...` on this machine.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');

const { startServer, programPath, missing } = require('./server.js');

// More processes than cores, as root in a container. What Open MPI never frees lies in modules that it has unloaded when
// leaks are looked for, so it cannot be told from others: Weir's own are looked for in tests/unit/engine/test_ranks.c.
const ENV = {
    OMPI_ALLOW_RUN_AS_ROOT: '1',
    OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
    OMPI_MCA_rmaps_base_oversubscribe: '1',
    ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:detect_leaks=0`,
};

// Why such tests cannot run, or false: fits the `skip` option of node:test.
function missingRanks() {
    if (missing()) {
        return missing();
    }
    if (spawnSync('mpirun', ['--version']).error) {
        return 'mpirun is not installed (openmpi-bin)';
    }
    const { stderr } = spawnSync(programPath(), ['logits', '-m', 'x', '--tokens', '1', '--ranks', '2'], { encoding: 'utf8' });
    return stderr.includes('without MPI') ? 'weir was built without MPI (libopenmpi-dev)' : false;
}

// One process as a launcher would start it.
function run([program, ...args], { env = {}, timeout = 120_000, cwd } = {}) {
    return spawnSync(program, args, {
        encoding: 'utf8',
        timeout,
        cwd,
        maxBuffer: 1 << 28,
        env: { ...process.env, ...ENV, ...env },
    });
}

const mpirun = (n, command, options) => run(['mpirun', '-np', String(n), ...command], options);

const children = (pid) =>
    fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);

const rankOf = (pid) => Number(/OMPI_COMM_WORLD_RANK=(\d+)/.exec(fs.readFileSync(`/proc/${pid}/environ`, 'latin1'))[1]);

// A server of n ranks. server.pids: of the processes, by rank. Rank 0 is what signals go to.
async function startRanks(t, n, options = {}) {
    const server = await startServer(t, {
        ...options,
        env: { ...ENV, ...options.env },
        launcher: ['mpirun', '-np', String(n), ...(options.launcher ?? [])],
    });
    server.pids = [];
    for (const pid of children(server.child.pid)) {
        server.pids[rankOf(pid)] = pid;
    }
    assert.equal(server.pids.length, n);
    [server.pidToStop] = server.pids;
    return server;
}

module.exports = { missingRanks, mpirun, run, startRanks };
