'use strict';
// What ./serve and ./test install leaves no service behind (scripts/packages.sh), in a throw-away machine whose apt-get
// only looks.

const assert = require('node:assert/strict');
const path = require('node:path');
const test = require('node:test');

const { missingRoot, startRoot } = require('./lib/root.js');

const skip = missingRoot();
const UNITS = ['prometheus', 'etcd', 'haproxy'];
const COMMANDS = {
    'dpkg-query': 'for name; do :; done; [ "$name" != etcd-server ] || echo installed', // its last word
    'apt-get': 'case $* in *install*) ls -l /etc/systemd/system >/tmp/seen-install;; esac',
    sudo: 'echo "$*" >>/tmp/sudo',
};
const INSTALL = 'PATH=/tmp/bin:$PATH; set -euo pipefail; . /tmp/packages.sh; packages_install prometheus etcd-server haproxy curl';

async function start(t) {
    const root = await startRoot(t, { systemd: false });
    root.sh(UNITS.map((unit) => `rm -f /etc/systemd/system/${unit}.service /lib/systemd/system/${unit}.service`).join('\n'));
    root.copyIn(path.resolve(__dirname, '../../scripts/packages.sh'), '/tmp/packages.sh');
    for (const [name, script] of Object.entries(COMMANDS)) {
        root.write(`/tmp/bin/${name}`, `#!/bin/sh\n${script}\n`);
    }
    root.sh('chmod +x /tmp/bin/*');
    return root;
}

test('services of what is missing are masked before it is installed; what is there is left alone', { skip }, async (t) => {
    const root = await start(t);
    root.write('/usr/local/lib/systemd/system/haproxy.service', '[Service]\nExecStart=/opt/haproxy\n'); // somebody's own
    for (let i = 0; i < 2; i++) {
        root.get('bash', '-c', INSTALL);
        const masked = [...root.get('cat', '/tmp/seen-install').matchAll(/ (\S+) -> \/dev\/null$/gm)].map((match) => match[1]);
        assert.deepEqual(masked, ['prometheus.service']);
    }
});

test('with sudo', { skip }, async (t) => {
    const root = await start(t);
    root.get('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'bash', '-c', INSTALL);
    const mask = (unit) => `mkdir -p /etc/systemd/system\nln -s /dev/null /etc/systemd/system/${unit}.service\n`;
    assert.equal(root.sh('cat /tmp/sudo'), `${mask('prometheus')}${mask('haproxy')}apt-get update -q\n` +
        'env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends prometheus haproxy curl');
});
