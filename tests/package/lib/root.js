'use strict';
// A throw-away Debian in namespaces of its own (boot_root.sh): this machine's root folder, or that of
// WEIR_TEST_ROOT, under a layer of memory that goes with it.

const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { until } = require('../../e2e/lib/wait.js');

const NAMESPACES = ['--mount', '--uts', '--ipc', '--net', '--pid', '--cgroup'];
const SYSTEMD = ['/lib/systemd/systemd', '--system', '--unit=basic.target', '--log-target=journal', '--show-status=0'];

// Where the second version of control groups is mounted.
function cgroupRoot() {
    const mount = fs.readFileSync('/proc/mounts', 'utf8').split('\n').find((line) => line.split(' ')[2] === 'cgroup2');
    return mount?.split(' ')[1];
}

// Why there can be none here, or false.
function missingRoot() {
    if (process.getuid() !== 0) {
        return 'namespaces, and packages in them, need root';
    }
    const tried = spawnSync('unshare', [...NAMESPACES, '--fork', 'true'], { encoding: 'utf8' });
    return (tried.status !== 0 && `no namespaces: ${tried.stderr}`) ||
        (!cgroupRoot() && 'control groups of version 2 are not mounted');
}

function removeCgroup(folder) {
    for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
        if (entry.isDirectory()) {
            removeCgroup(path.join(folder, entry.name));
        }
    }
    fs.rmdirSync(folder);
}

class Root {
    // {status, stdout, stderr} of a command in it, as root.
    run(...command) {
        return spawnSync('nsenter', ['--target', this.pid, ...NAMESPACES, '--root', '--wd', '--', ...command],
            { encoding: 'utf8', env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive' } });
    }

    // What it prints; must succeed.
    get(...command) {
        const { status, stdout, stderr } = this.run(...command);
        if (status !== 0) {
            throw new Error(`${command.join(' ')}: status ${status}\n${stdout}${stderr}`);
        }
        return stdout.trim();
    }

    sh(script) {
        return this.get('sh', '-ec', script);
    }

    // One that goes on while the test does.
    spawn(...command) {
        return spawn('nsenter', ['--target', this.pid, ...NAMESPACES, '--root', '--wd', '--', ...command],
            { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' } });
    }

    copyIn(file, target) {
        fs.copyFileSync(file, path.join('/proc', this.pid, 'root', target));
    }

    write(target, text) {
        const file = path.join('/proc', this.pid, 'root', target);
        fs.mkdirSync(path.dirname(file), { recursive: true });
        fs.writeFileSync(file, text);
    }

    exists(target) {
        return this.run('test', '-e', target).status === 0;
    }
}

// systemd: whether it runs there.
async function startRoot(t, { systemd }) {
    const root = new Root();
    const upper = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-root-'));
    const cgroup = path.join(cgroupRoot(), path.basename(upper));
    fs.mkdirSync(cgroup);
    const join = `echo $$ >${cgroup}/cgroup.procs && exec "$0" "$@"`;
    const first = systemd ? SYSTEMD : ['sleep', 'infinity'];
    const child = spawn('sh', ['-c', join, 'unshare', ...NAMESPACES, '--fork', '--kill-child=KILL',
        path.join(__dirname, '../boot_root.sh'), process.env.WEIR_TEST_ROOT || '/', upper, ...first],
        { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    child.stdout.on('data', (text) => (said += text));
    child.stderr.on('data', (text) => (said += text));
    const ended = new Promise((resolve) => child.on('close', resolve));
    t.after(async () => {
        child.kill('SIGKILL');
        await ended;
        await until(() => fs.readFileSync(path.join(cgroup, 'cgroup.events'), 'utf8').includes('populated 0'), 'all of it ends');
        removeCgroup(cgroup);
        fs.rmSync(upper, { recursive: true, force: true });
    });
    const program = path.basename(first[0]);
    root.pid = await until(() => {
        if (child.exitCode !== null) {
            throw new Error(`the root did not start:\n${said}`);
        }
        const pid = spawnSync('pgrep', ['--parent', String(child.pid)], { encoding: 'utf8' }).stdout.trim();
        return pid && fs.readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === program && pid;
    }, 'the root starts');
    if (systemd) {
        await until(() => /^(running|degraded)$/.test(root.run('systemctl', 'is-system-running').stdout.trim()), 'systemd is up');
    } else {
        root.get('ip', 'link', 'set', 'lo', 'up');
    }
    return root;
}

module.exports = { missingRoot, startRoot };
