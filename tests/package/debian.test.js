'use strict';
// The Debian package, installed for real into throw-away machines, one without systemd and one with it as process 1.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');

const { sleep, until } = require('../e2e/lib/wait.js');
const { BUILD, makePackage, makeOtherVersion } = require('./lib/package.js');
const { missingRoot, startRoot } = require('./lib/root.js');

const skip = missingRoot(); // of tests that start a root
const read = (file) => fs.readFileSync(path.resolve(__dirname, '../..', file), 'utf8');
const SOCKET_ACTIVATION = 'systemctl stop weir && systemctl enable --now weir.socket';
const URL = 'http://127.0.0.1:8080';
const ASK = `curl -sS -m 60 ${URL}/v1/chat/completions -H 'content-type: application/json' ` +
    `-d '{"messages":[{"role":"user","content":"Hello"}],"max_tokens":8,"temperature":0}'`;
const CTL = 'export WEIR_ADMIN_KEY=$(cat /etc/weir/admin-key); weir ctl';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-package-'));
let first, second;

test.before(() => {
    first = makePackage(folder);
    if (!skip) {
        second = makeOtherVersion(first, '9.9.9-1', (files) => fs.appendFileSync(path.join(files, 'etc/default/weir'), '# new\n'));
    }
});
test.after(() => fs.rmSync(folder, { recursive: true, force: true }));

function install(root, deb) {
    root.copyIn(deb, '/root/weir.deb');
    return root.get('dpkg', '--install', '--force-confdef', '--force-confold', '/root/weir.deb');
}

// Below a prefix, as `cmake --install` puts it there: the folder above that.
function installBelow(prefix) {
    const stage = path.join(folder, `stage${prefix.replaceAll('/', '-')}`);
    execFileSync('cmake', ['--install', BUILD, '--prefix', prefix, '--component', 'weir'],
        { stdio: 'pipe', env: { ...process.env, DESTDIR: stage } });
    return stage;
}

const owner = (root, file) => root.get('stat', '--format=%U:%G %a', file);

async function ready(root) {
    await until(() => root.run('curl', '-fsS', '-m', '5', `${URL}/readyz`).status === 0, 'it serves');
}

test('what is in it, and what it needs', () => {
    const field = (name) => execFileSync('dpkg-deb', ['--field', first, name], { encoding: 'utf8' }).trim();
    const names = field('Depends').split(', ').map((one) => one.split(' ')[0]);
    const linked = ['libc6', 'libcjson1', 'libcurl4', 'libpcre2-8-0', 'libsqlite3-0', 'libssl3', 'libutf8proc2', 'libuv1'];
    for (const name of ['adduser', ...linked]) {
        assert.ok(names.some((found) => found.startsWith(name)), `${name} in ${names}`);
    }
    assert.equal(field('Description').split('\n').length, 5);
    const files = execFileSync('dpkg-deb', ['--contents', first], { encoding: 'utf8' });
    for (const file of ['usr/bin/weir', 'usr/lib/systemd/system/weir.service', 'usr/lib/systemd/system/weir.socket',
        'usr/share/weir/models/weir-tiny/weir-tiny.gguf', 'usr/share/weir/models/weir-guard/weir-guard.bin',
        'usr/share/man/man1/weir.1.gz', 'usr/share/doc/weir/copyright', 'usr/share/doc/weir/docs/operations.md',
        'usr/share/doc/weir/docs/weir.schema.json', 'usr/share/doc/weir/examples/helm/weir/Chart.yaml',
        'usr/share/doc/weir/examples/kubernetes/deployment.yaml', 'usr/share/doc/weir/examples/monitoring/alerts.yml',
        'usr/share/doc/weir/examples/haproxy/haproxy.cfg', 'etc/default/weir']) {
        assert.ok(files.includes(`root/root`) && files.includes(` ./${file}\n`), file);
    }
    assert.doesNotMatch(files, /\/(home|work|tmp|build|usr\/local)\//);
});

test('the manual page names every command', () => {
    const help = execFileSync(path.join(BUILD, 'weir'), ['--help'], { encoding: 'utf8' });
    const page = fs.readFileSync(path.resolve(__dirname, '../../packaging/weir.1'), 'utf8');
    const commands = [...help.matchAll(/^ {2}(\S+) /gm)].map((match) => match[1]);
    assert.ok(commands.length > 10);
    for (const command of commands) {
        assert.ok(page.includes(`\n.B ${command}\n`), command);
    }
});

test('cmake --install puts it below any prefix, and nothing elsewhere', () => {
    const stage = installBelow('/opt/weir');
    assert.deepEqual(fs.readdirSync(stage), ['opt']);
    assert.deepEqual(fs.readdirSync(path.join(stage, 'opt/weir')).sort(), ['bin', 'lib', 'share']);
    const unit = fs.readFileSync(path.join(stage, 'opt/weir/lib/systemd/system/weir.service'), 'utf8');
    assert.match(unit, /^ExecStart=\/opt\/weir\/bin\/weir serve \$WEIR_OPTIONS$/m);
    assert.match(execFileSync(path.join(stage, 'opt/weir/bin/weir'), ['--version'], { encoding: 'utf8' }),
        /^weir \d+\.\d+\.\d+\ncommit: +\S+.*\nbuild: .*\nparts: .*\nlibraries: .*\nprocessor: .*\n$/);
});

test('without systemd: installed, served from by the unit\'s command, upgraded, removed, purged', { skip }, async (t) => {
    const root = await startRoot(t, { systemd: false });
    install(root, first);
    assert.equal(owner(root, '/var/lib/weir'), 'weir:weir 750');
    assert.equal(owner(root, '/etc/weir/admin-key'), 'root:weir 640');
    assert.match(root.get('cat', '/etc/weir/admin-key'), /^[0-9a-f]{64}$/);
    assert.match(root.get('getent', 'passwd', 'weir'), /:\/var\/lib\/weir:\/usr\/sbin\/nologin$/);

    const unit = root.get('cat', '/usr/lib/systemd/system/weir.service');
    const command = /^ExecStart=(.*)$/m.exec(unit)[1];
    const serve = async () => {
        const child = root.spawn('setpriv', '--reuid=weir', '--regid=weir', '--init-groups', '--no-new-privs',
            'sh', '-c', `. /etc/default/weir; umask 077; echo $$ >/tmp/weir.pid; exec ${command}`);
        let said = '';
        child.stderr.on('data', (text) => (said += text));
        const ended = new Promise((resolve) => child.on('close', resolve));
        await Promise.race([ready(root), ended.then(() => { throw new Error(said); })]);
        return { stop: () => { root.sh('kill $(cat /tmp/weir.pid); rm /tmp/weir.pid'); return ended; } };
    };
    let server = await serve();
    assert.match(root.sh(ASK), /"content":"\w/);
    root.sh(`echo 'Say ahoy first.' >/root/prompt; ${CTL} prompts put default /root/prompt`);
    assert.equal(await server.stop(), 0);

    root.sh('echo "# mine" >>/etc/default/weir');
    const key = root.get('cat', '/etc/weir/admin-key');
    install(root, second);
    assert.equal(root.get('dpkg-query', '-W', '-f', '${Version}', 'weir'), '9.9.9-1');
    assert.match(root.get('cat', '/etc/default/weir'), /# mine/, 'settings that were changed are kept');
    assert.equal(root.get('cat', '/etc/weir/admin-key'), key);
    server = await serve();
    assert.match(root.sh(`${CTL} prompts show default`), /Say ahoy first/, 'data outlives an upgrade');
    assert.equal(await server.stop(), 0);

    root.get('dpkg', '--remove', 'weir');
    assert.equal(root.exists('/usr/bin/weir'), false);
    assert.equal(root.exists('/var/lib/weir/state.db'), true, 'data outlives a removal');
    assert.equal(root.exists('/etc/default/weir'), true);
    install(root, first);
    server = await serve();
    assert.match(root.sh(`${CTL} prompts show default`), /Say ahoy first/);
    assert.equal(await server.stop(), 0);
    root.get('dpkg', '--purge', 'weir');
    for (const file of ['/var/lib/weir', '/etc/weir', '/etc/default/weir', '/usr/share/weir', '/usr/share/doc/weir']) {
        assert.equal(root.exists(file), false, file);
    }
    assert.notEqual(root.run('getent', 'passwd', 'weir').status, 0);
});

test('with systemd: the service starts, reloads, is upgraded under load, restarted by the watchdog', { skip }, async (t) => {
    const root = await startRoot(t, { systemd: true });
    const show = (property) => root.get('systemctl', 'show', 'weir.service', '--value', '-p', property);
    install(root, first);
    await ready(root);
    assert.equal(root.get('systemctl', 'is-enabled', 'weir.service'), 'enabled');
    assert.equal(show('SubState'), 'running');
    assert.equal(show('StatusText'), 'Serving');
    assert.match(root.sh(ASK), /"content":"\w/);

    const pid = show('MainPID');
    const status = root.get('cat', `/proc/${pid}/status`);
    assert.match(status, /^NoNewPrivs:\s1$/m);
    assert.match(status, /^Seccomp:\s2$/m);
    assert.match(status, /^CapBnd:\s0+$/m);
    assert.equal(root.get('systemd-analyze', 'verify', '--man=no', 'weir.service', 'weir.socket'), '');
    const exposure = /exposure level for weir.service: ([\d.]+)/.exec(root.get('systemd-analyze', 'security', '--no-pager', 'weir.service'))[1];
    t.diagnostic(`systemd-analyze security: ${exposure}`);
    assert.ok(Number(exposure) <= 1.5, exposure);

    root.get('systemctl', 'reload', 'weir.service');
    await until(() => show('SubState') === 'running' && show('StatusText') === 'Serving', 'the reload is over');
    assert.match(root.get('journalctl', '--no-pager', '-u', 'weir.service'), /the model file has not changed/);
    assert.equal(show('MainPID'), pid);

    root.sh(`echo 'Say ahoy first.' >/root/prompt; ${CTL} prompts put default /root/prompt`);
    const load = root.spawn('sh', '-c', `while [ ! -e /root/over ]; do ${ASK} -o /dev/null -w '%{http_code}\\n' || echo failed; done`);
    let codes = '';
    load.stdout.on('data', (text) => (codes += text));
    const loadEnded = new Promise((resolve) => load.on('close', resolve));
    await until(() => codes.length > 0, 'requests are answered');
    install(root, second);
    await until(() => show('MainPID') !== pid, 'another process serves');
    const before = codes.length;
    await until(() => codes.length > before + 20, 'it answers');
    root.write('/root/over', '');
    await loadEnded;
    assert.match(codes, /^(200\n)+$/, 'no request was lost');
    t.diagnostic(`${codes.length / 4} requests during an upgrade`);
    assert.equal(show('NRestarts'), '0');
    assert.match(root.sh(`${CTL} prompts show default`), /Say ahoy first/);

    const serving = show('MainPID');
    const broken = makeOtherVersion(first, '10.0.0-1', (files) => {
        fs.writeFileSync(path.join(files, 'usr/bin/weir'), '#!/bin/sh\nexit 7\n');
    });
    install(root, broken);
    await until(() => /an upgrade has failed: .*status 7/.test(show('StatusText')), 'the status says why');
    assert.equal(show('MainPID'), serving, 'a program that is no good changes nothing');
    assert.match(root.sh(ASK), /"content":"\w/);
    root.sh('chmod -x /usr/bin/weir; systemctl kill --kill-whom=main --signal=USR2 weir.service');
    await until(() => /an upgrade was refused: .*Permission denied/.test(show('StatusText')), 'the status says why');
    install(root, second);

    // As one that loads a large model for long.
    root.write('/etc/systemd/system/weir.service.d/slow.conf', '[Service]\nExecStart=\n' +
        "ExecStart=/bin/sh -c 'while [ -e /run/slow ]; do sleep 0.1; done; exec /usr/bin/weir serve $WEIR_OPTIONS'\n");
    root.sh('touch /run/slow; systemctl daemon-reload; systemctl --no-block restart weir.service');
    await until(() => show('SubState') === 'start', 'it loads');
    const loading = show('InvocationID');
    const installation = root.spawn('dpkg', '--install', '--force-confdef', '--force-confold', '/root/weir.deb');
    const installed = new Promise((resolve) => installation.on('close', resolve));
    await Promise.race([installed, until(() => show('InvocationID') !== loading, 'another one loads')]);
    assert.notEqual(show('InvocationID'), loading, 'one that does not serve yet is started anew');
    root.sh('rm /run/slow');
    assert.equal(await installed, 0);
    await ready(root);
    assert.equal(show('SubState'), 'running');
    root.sh('rm /etc/systemd/system/weir.service.d/slow.conf');

    root.write('/etc/systemd/system/weir.service.d/test.conf', '[Service]\nWatchdogSec=1\nRestartSec=100ms\n');
    root.sh('systemctl daemon-reload; systemctl restart weir.service');
    await ready(root);
    await sleep(2500);
    assert.equal(show('NRestarts'), '0', 'a server that works is left alone');
    const hung = show('MainPID');
    root.sh(`kill -STOP ${hung}`);
    await until(() => show('NRestarts') !== '0' && show('MainPID') !== hung, 'one that hangs is started anew');
    await ready(root);
    assert.match(root.get('journalctl', '--no-pager', '-u', 'weir.service'), /Watchdog timeout/);

    root.get('systemctl', 'stop', 'weir.service');
    assert.equal(show('Result'), 'success');
    root.sh("cp /etc/default/weir /root/default; echo 'WEIR_OPTIONS=--nosuch' >/etc/default/weir");
    assert.notEqual(root.run('systemctl', 'start', 'weir.service').status, 0);
    assert.equal(show('SubState'), 'failed', 'wrong options are not tried again and again');
    assert.match(root.get('journalctl', '--no-pager', '-u', 'weir.service'), /nosuch/);
    root.sh('cp /root/default /etc/default/weir; systemctl reset-failed weir.service');
    root.get('systemctl', 'start', 'weir.service');
    for (const file of ['docs/install.md', 'packaging/systemd/weir.socket']) {
        assert.ok(read(file).includes(`\`${SOCKET_ACTIVATION}\``), file);
    }
    root.sh(SOCKET_ACTIVATION);
    assert.equal(show('ActiveState'), 'inactive');
    assert.match(root.sh(ASK), /"content":"\w/, 'a connection starts it');
    assert.equal(owner(root, '/run/weir.sock'), 'weir:weir 660');
    assert.match(root.get('curl', '-sS', '--unix-socket', '/run/weir.sock', 'http://localhost/readyz'), /ready/);
    root.get('systemctl', 'restart', 'weir.service');
    await ready(root);

    root.get('dpkg', '--purge', 'weir');
    assert.equal(root.run('systemctl', 'is-active', 'weir.service', 'weir.socket').stdout, 'inactive\ninactive\n');
    assert.equal(root.exists('/var/lib/weir'), false);
});

test('from source: the commands of docs/install.md give a service that serves', { skip }, async (t) => {
    const block = /^## From source\n+```\n([^]*?)```/m.exec(read('docs/install.md'))[1];
    const [build, installation, ...commands] = block.trim().split('\n').map((line) => line.replaceAll('sudo ', ''));
    assert.match(build, /^cmake --preset release /);
    assert.equal(installation, 'cmake --install build/release --prefix /usr/local');
    const archive = path.join(folder, 'local.tar');
    execFileSync('tar', ['-C', installBelow('/usr/local'), '-cf', archive, '.']);

    const root = await startRoot(t, { systemd: true });
    root.copyIn(archive, '/root/local.tar');
    root.sh('tar -C / --no-same-owner -xf /root/local.tar');
    root.sh(commands.join('\n'));
    await ready(root);
    assert.equal(owner(root, '/etc/weir/admin-key'), 'root:weir 640');
    assert.equal(root.get('systemctl', 'is-enabled', 'weir.service'), 'enabled');
    assert.match(root.sh(ASK), /"content":"\w/);
    assert.match(root.sh(`PATH=$PATH:/usr/local/bin; ${CTL} server show`), /serving/);
});
