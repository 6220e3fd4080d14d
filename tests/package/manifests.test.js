'use strict';
// Manifests for Kubernetes, the Helm chart and the Dockerfile: linted, rendered, held against Kubernetes' types, and
// the command line in them is run for real, on folders that change as the kubelet changes them.

const assert = require('node:assert/strict');
const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { makeFolder, writeFile } = require('../e2e/lib/files.js');
const { startServer, missing, modelPath, programPath } = require('../e2e/lib/server.js');
const { until } = require('../e2e/lib/wait.js');
const { problemsOfObject } = require('./lib/kubernetes.js');
const { MODULES, runTool } = require('./lib/tools.js');

const { parseAllDocuments, parse } = require(path.join(MODULES, 'yaml'));

const PACKAGING = path.resolve(__dirname, '../../packaging');
const CHART = path.join(PACKAGING, 'helm/weir');
const KEYS = ['--set', 'keys.existingSecret=weir-keys'];
const ALL = ['autoscaling.enabled=true', 'ingress.enabled=true', 'ingress.host=a.example', 'ingress.tlsSecret=tls',
    'ingress.className=nginx', 'models.default=weir-tiny', 'models.storageClass=fast', 'networkPolicy.allowHttpsOut=true',
    'imagePullSecrets[0].name=pull', 'extraArgs[0]=--parallel=4', 'service.type=LoadBalancer', 'nodeSelector.a=b',
    'tolerations[0].operator=Exists', 'podAnnotations.a=b'].flatMap((set) => ['--set', set]);

function documents(text) {
    return parseAllDocuments(text, { merge: true }).map((one) => {
        assert.deepEqual(one.errors, []);
        return one.toJS();
    }).filter(Boolean);
}

const plain = () => documents(runTool('kubectl', 'kustomize', path.join(PACKAGING, 'kubernetes')));
const chart = (...args) => documents(runTool('helm', 'template', 'weir', CHART, ...KEYS, ...args));
const kinds = (objects) => objects.map((object) => object.kind).sort();

async function assertGood(objects) {
    const problems = (await Promise.all(objects.map(problemsOfObject))).flat();
    assert.deepEqual(problems, []);
    const names = objects.map((object) => `${object.kind}/${object.metadata.name}`);
    assert.equal(new Set(names).size, names.length);
}

// What the pods mount and name is among the objects, or is what the owner makes.
function assertWhole(objects, fromOutside) {
    const has = (kind, name) => objects.some((object) => object.kind === kind && object.metadata.name === name);
    const { spec, metadata } = objects.find((object) => object.kind === 'Deployment').spec.template;
    const needed = spec.volumes.flatMap(({ configMap, persistentVolumeClaim, secret }) => [
        configMap && ['ConfigMap', configMap.name],
        persistentVolumeClaim && ['PersistentVolumeClaim', persistentVolumeClaim.claimName],
        secret && ['Secret', secret.secretName]].filter(Boolean));
    for (const [kind, name] of [...needed, ['ServiceAccount', spec.serviceAccountName]]) {
        assert.ok(has(kind, name) || fromOutside.includes(name), `${kind}/${name}`);
    }
    for (const { volumeMounts } of [...spec.containers, ...(spec.initContainers ?? [])]) {
        for (const { name, subPath } of volumeMounts) {
            assert.ok(spec.volumes.some((volume) => volume.name === name), name);
            assert.equal(subPath, undefined, 'config maps mounted by subPath are never changed');
        }
    }
    const selectors = objects.map(({ kind, spec: one }) => (kind === 'Service' ? one.selector
        : one?.selector?.matchLabels ?? one?.podSelector?.matchLabels)).filter(Boolean);
    assert.ok(selectors.length >= 4);
    for (const labels of selectors) {
        assert.deepEqual({ ...metadata.labels, ...labels }, metadata.labels, 'it finds the pods');
    }
    const drain = Number(/--drain-timeout=(\d+)/.exec(spec.containers[0].args.join(' '))[1]);
    const before = Number(spec.containers[0].lifecycle.preStop.exec.command[1]);
    assert.ok(spec.terminationGracePeriodSeconds > drain + before, 'requests are not killed while they are finished');
    for (const container of [...spec.containers, ...spec.initContainers]) {
        assert.deepEqual(container.securityContext, { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] } });
    }
    assert.equal(spec.securityContext.runAsNonRoot, true);
    assert.equal(spec.securityContext.seccompProfile.type, 'RuntimeDefault');
}

test('the plain manifests are what Kubernetes knows, and fit together', async () => {
    const objects = plain();
    await assertGood(objects);
    assertWhole(objects, ['weir-keys']);
    assert.deepEqual(kinds(objects), ['ConfigMap', 'ConfigMap', 'Deployment', 'HorizontalPodAutoscaler', 'NetworkPolicy',
        'PersistentVolumeClaim', 'PodDisruptionBudget', 'Service', 'ServiceAccount']);
});

test('what is wrong would be found', async () => {
    const deployment = plain().find((object) => object.kind === 'Deployment');
    const { containers } = deployment.spec.template.spec;
    containers[0].readinessprobe = containers[0].readinessProbe;
    containers[0].ports[0].containerPort = '8080';
    delete deployment.spec.selector;
    assert.deepEqual((await problemsOfObject(deployment)).sort(), [
        'Deployment/weir.spec.selector is missing',
        'Deployment/weir.spec.template.spec.containers[0].ports[0].containerPort: number is wanted, not "8080"',
        'Deployment/weir.spec.template.spec.containers[0].readinessprobe: there is no such field']);
});

test('the chart passes helm\'s linter, and renders what Kubernetes knows', async () => {
    assert.match(runTool('helm', 'lint', '--strict', CHART, ...KEYS), /0 chart\(s\) failed/);
    assert.match(runTool('helm', 'lint', '--strict', CHART, ...KEYS, ...ALL), /0 chart\(s\) failed/);
    for (const args of [[], ALL]) {
        const objects = chart(...args);
        await assertGood(objects);
        assertWhole(objects, ['weir-keys']);
    }
    const scaled = chart(...ALL);
    assert.equal(scaled.find(({ kind }) => kind === 'Deployment').spec.replicas, undefined, 'the autoscaler decides');
    assert.ok(kinds(scaled).includes('HorizontalPodAutoscaler') && kinds(scaled).includes('Ingress'));
    const without = chart('--set', 'models.existingClaim=mine,networkPolicy.enabled=false,podDisruptionBudget.enabled=false');
    assert.deepEqual(kinds(without), ['ConfigMap', 'ConfigMap', 'Deployment', 'Service', 'ServiceAccount']);
});

test('values that are wrong or missing are refused by name', () => {
    const refused = (why, ...args) => assert.throws(() => runTool('helm', 'template', 'weir', CHART, ...args), why);
    refused(/keys\.existingSecret is needed/);
    refused(/nosuch/, ...KEYS, '--set', 'nosuch=1');
    refused(/drainTimeout/, ...KEYS, '--set', 'drainTimeout=soon');
    refused(/accessModes/, ...KEYS, '--set', 'models.accessModes[0]=ReadSometimes');
    refused(/ingress\.host is needed/, ...KEYS, '--set', 'ingress.enabled=true');
});

test('prompts and filters of the values arrive as they were written', () => {
    const values = { prompts: { default: 'Say "ahoy": {{ .Values }}\n\n# two: lines\n', shop: 'x' } };
    const file = path.join(fs.mkdtempSync('/tmp/weir-values-'), 'values.json');
    fs.writeFileSync(file, JSON.stringify(values));
    const map = chart('--values', file).find(({ metadata }) => metadata.name === 'weir-prompts');
    fs.rmSync(path.dirname(file), { recursive: true });
    assert.deepEqual(map.data, { 'default.md': values.prompts.default, 'shop.md': 'x' });
});

test('the manifests and the chart\'s defaults say the same', () => {
    const pod = (objects) => objects.find(({ kind }) => kind === 'Deployment').spec.template.spec;
    const [a, b] = [pod(plain()), pod(chart())];
    for (const part of ['containers', 'initContainers', 'securityContext', 'terminationGracePeriodSeconds', 'volumes']) {
        assert.deepEqual(a[part], b[part], part);
    }
    // But for the labels by which pods are found.
    const spec = (objects, wanted) => {
        const { podSelector: _, selector: __, ...rest } = objects.find(({ kind }) => kind === wanted).spec;
        return rest;
    };
    for (const kind of ['NetworkPolicy', 'PersistentVolumeClaim', 'PodDisruptionBudget', 'Service']) {
        assert.deepEqual(spec(plain(), kind), spec(chart(), kind), kind);
    }
    const out = (...args) => spec(chart(...args), 'NetworkPolicy').egress.flatMap(({ ports }) => ports.map(({ port }) => port));
    assert.deepEqual(out(), [53, 53]);
    assert.deepEqual(out('--set', 'networkPolicy.allowHttpsOut=true'), [53, 53, 443]);
});

// As the kubelet writes a config map: files are links into ..data, which is a link that is swapped.
class ConfigMapFolder {
    constructor(folder, data) {
        this.folder = folder;
        this.count = 0;
        this.set(data);
    }

    set(data) {
        const next = `..2026_${this.count++}`;
        fs.mkdirSync(path.join(this.folder, next));
        for (const [name, text] of Object.entries(data)) {
            fs.writeFileSync(path.join(this.folder, next, name), text);
        }
        const before = fs.existsSync(path.join(this.folder, '..data')) && fs.readlinkSync(path.join(this.folder, '..data'));
        fs.symlinkSync(next, path.join(this.folder, '..data_tmp'));
        fs.renameSync(path.join(this.folder, '..data_tmp'), path.join(this.folder, '..data'));
        for (const name of Object.keys(data)) {
            if (!fs.existsSync(path.join(this.folder, name))) {
                fs.symlinkSync(`..data/${name}`, path.join(this.folder, name));
            }
        }
        for (const name of fs.readdirSync(this.folder)) {
            if (!name.startsWith('..') && !(name in data)) {
                fs.rmSync(path.join(this.folder, name));
            }
        }
        before && fs.rmSync(path.join(this.folder, before), { recursive: true });
    }
}

test('the command of the pods serves, and follows config maps that are changed', { skip: missing() }, async (t) => {
    const objects = plain();
    const pod = objects.find(({ kind }) => kind === 'Deployment').spec.template.spec;
    const folder = makeFolder(t);
    const models = path.join(folder, 'models');
    fs.mkdirSync(models);

    const shipped = path.join(folder, 'shipped/weir-tiny');
    fs.mkdirSync(shipped, { recursive: true });
    fs.copyFileSync(modelPath(), path.join(shipped, 'weir-tiny.gguf'));
    const [seed] = pod.initContainers;
    const script = seed.args[0].replace('/usr/share/weir/models/', 'SHIPPED/').replaceAll('/models', models)
        .replace('SHIPPED', path.dirname(shipped));
    const hoursAgo = (hours) => Date.now() / 1000 - hours * 3600;
    for (const [name, hours] of [['.seed.old', 2], ['.seed.young', 0]]) { // starts that were interrupted
        fs.mkdirSync(path.join(models, name, '1'), { recursive: true });
        fs.utimesSync(path.join(models, name), hoursAgo(hours), hoursAgo(hours));
    }
    for (let i = 0; i < 2; i++) { // the second time it finds a repository
        execFileSync(seed.command[0], [...seed.command.slice(1), script]);
        assert.deepEqual(fs.readdirSync(models).sort(), ['.seed.young', 'weir-tiny']);
    }
    assert.ok(fs.existsSync(path.join(models, 'weir-tiny/1/model.gguf')));

    const data = (name) => objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === name).data;
    const folders = { '/etc/weir/prompts': 'prompts', '/etc/weir/filters': 'filters', '/etc/weir/keys': 'keys' };
    for (const name of Object.values(folders)) {
        fs.mkdirSync(path.join(folder, name));
    }
    const prompts = new ConfigMapFolder(path.join(folder, 'prompts'), data('weir-prompts'));
    const filters = new ConfigMapFolder(path.join(folder, 'filters'), data('weir-filters'));
    const keyLine = execFileSync(programPath(), ['keys', 'add', '--file', path.join(folder, 'key-lines'), '--name', 'ann'],
        { encoding: 'utf8', stdio: 'pipe' });
    const apiKey = keyLine.trim().split(/\s+/).at(-1);
    new ConfigMapFolder(path.join(folder, 'keys'), { 'admin-key': 'an-admin-key-of-32-characters-or-so',
        keys: fs.readFileSync(path.join(folder, 'key-lines')) });

    const args = pod.containers[0].args.slice(1).filter((arg) => !/^--(host|port)=/.test(arg)).map((arg) => {
        const mount = Object.keys(folders).find((one) => arg.includes(one));
        return mount ? arg.replace(mount, path.join(folder, folders[mount])) : arg.replace('/models', models);
    });
    const server = await startServer(t, { args, model: 'weir-tiny' });
    const ask = async () => {
        const response = await server.post('/v1/chat/completions',
            { messages: [{ role: 'user', content: 'Hello' }], max_tokens: 4, temperature: 0 },
            { headers: { authorization: `Bearer ${apiKey}` } });
        assert.equal(response.status, 200, await response.text());
        return { prompt: response.headers.get('weir-prompt'), filters: response.headers.get('weir-filters') };
    };
    assert.equal((await server.fetch('/readyz')).status, 200);
    const first = await ask();
    assert.match(first.prompt, /^default@1/);
    prompts.set({ 'default.md': 'You are a pirate.\n', 'shop.md': 'You sell shoes.\n' });
    const second = await until(async () => {
        const now = await ask();
        return now.prompt !== first.prompt && now;
    }, 'the prompt of the config map serves');
    assert.match(second.prompt, /^default@2/);
    filters.set({ 'default.json': '{"filters": [{"type": "wordlist", "words": ["hello"]}]}' });
    const third = await until(async () => {
        const now = await ask().catch(() => undefined);
        return now && now.filters !== second.filters && now;
    }, 'the chain of the config map serves');
    assert.equal(third.prompt, second.prompt);
    prompts.set({ 'default.md': data('weir-prompts')['default.md'] });
    await until(async () => (await ask()).prompt !== second.prompt, 'and back again');
});

test('the rule for prometheus-adapter makes the metric that the autoscaler asks for', () => {
    const rule = parse(fs.readFileSync(path.join(PACKAGING, 'kubernetes/prometheus-adapter.yaml'), 'utf8')).rules.custom[0];
    const asked = plain().find(({ kind }) => kind === 'HorizontalPodAutoscaler').spec.metrics[0].pods.metric.name;
    assert.equal(rule.name.as, asked);
    assert.equal(parse(fs.readFileSync(path.join(CHART, 'values.yaml'), 'utf8')).autoscaling.metric, asked);
});

test('the Dockerfile passes a linter, and what it copies and names is there', () => {
    const file = path.join(PACKAGING, 'docker/Dockerfile');
    const { stdout } = spawnSync('node', [path.join(MODULES, 'dockerfilelint/bin/dockerfilelint'), '-o', 'json', file],
        { encoding: 'utf8' });
    // The linter takes `--start-period` for `--start`, which there is not.
    const issues = JSON.parse(stdout).files[0].issues.filter(({ content }) => !content.startsWith('HEALTHCHECK'));
    assert.deepEqual(issues, []);
    const text = fs.readFileSync(file, 'utf8');
    assert.ok(fs.existsSync(path.resolve(PACKAGING, '..', /^COPY (scripts\/\S+) /m.exec(text)[1])));
    const uid = /^USER (\d+):/m.exec(text)[1];
    const pod = plain().find(({ kind }) => kind === 'Deployment').spec.template.spec;
    assert.equal(String(pod.securityContext.runAsUser), uid);
    assert.match(text, /--uid 10001/);
    assert.equal(uid, '10001');
});
