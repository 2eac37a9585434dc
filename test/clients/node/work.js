// What programs do with client-node: typed calls, an informer, exec over WebSocket, logs, patches, errors.
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import * as k8s from '@kubernetes/client-node';

const namespace = 'js';
const image = 'knarr.local/busybox:1';
const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);

const until = async (what, condition) => {
    for (const end = Date.now() + 30000; Date.now() < end; await new Promise((go) => setTimeout(go, 50))) {
        if (await condition()) return;
    }
    throw new Error(`waited in vain: ${what}`);
};

await core.createNamespace({ body: { metadata: { name: namespace } } });
await assert.rejects(core.readNamespacedConfigMap({ namespace, name: 'none' }), (error) => error.code === 404);

// An informer hears what is there and what changes.
const seen = [];
const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`,
    () => core.listNamespacedConfigMap({ namespace, labelSelector: 'watched=yes' }), 'watched=yes');
for (const what of ['add', 'update', 'delete']) informer.on(what, (object) => seen.push(`${what} ${object.metadata.name}`));
informer.on('error', (error) => { if (error.type !== 'aborted') throw error; });
await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'first', labels: { watched: 'yes' } }, data: { a: '1' } } });
await informer.start();
await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'second', labels: { watched: 'yes' } } } });
await core.patchNamespacedConfigMap(
    { namespace, name: 'first', body: { data: { b: '2' } } },
    k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch));
await core.patchNamespacedConfigMap(
    { namespace, name: 'first', body: [{ op: 'add', path: '/data/c', value: '3' }] },
    k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.JsonPatch));
await core.deleteNamespacedConfigMap({ namespace, name: 'second' });
await until('the informer hears of the deletion', () => seen.includes('delete second'));
assert.deepEqual(seen, ['add first', 'add second', 'update first', 'update first', 'delete second']);
assert.deepEqual(informer.get('first', namespace).data, { a: '1', b: '2', c: '3' });
await informer.stop();

// Any kind by its name, with server-side apply.
const objects = k8s.KubernetesObjectApi.makeApiClient(config);
const applied = await objects.patch(
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'applied', namespace }, data: { by: 'apply' } },
    undefined, undefined, 'js', true, k8s.PatchStrategy.ServerSideApply);
assert.equal(applied.metadata.managedFields[0].operation, 'Apply');

// A pod, its logs, and exec.
await core.createNamespacedPod({ namespace, body: {
    metadata: { name: 'p' },
    spec: { terminationGracePeriodSeconds: 1, containers: [
        { name: 'main', image, command: ['sh', '-c', 'echo started; trap exit TERM; while :; do sleep 0.1; done'] }] } } });
await until('the pod runs', async () => (await core.readNamespacedPod({ namespace, name: 'p' })).status.phase === 'Running');
assert.equal(await core.readNamespacedPodLog({ namespace, name: 'p' }), 'started\n');
const exec = async (command, input) => {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const text = ['', ''];
    stdout.on('data', (data) => { text[0] += data; });
    stderr.on('data', (data) => { text[1] += data; });
    const stdin = input === undefined ? null : new PassThrough();
    if (stdin) stdin.end(input);
    return new Promise((done, fail) => {
        new k8s.Exec(config).exec(namespace, 'p', 'main', command, stdout, stderr, stdin, false,
            (status) => done({ status, out: text[0], err: text[1] })).catch(fail);
    });
};
const said = await exec(['sh', '-c', 'echo out; echo err >&2; exit 5']);
assert.equal(said.out, 'out\n');
assert.equal(said.err, 'err\n');
assert.equal(said.status.status, 'Failure');
assert.equal(said.status.details.causes[0].message, '5');
const echoed = await exec(['head', '-n', '1'], 'a line\n');
assert.equal(echoed.out, 'a line\n');
await core.deleteNamespacedPod({ namespace, name: 'p' });
await core.deleteNamespace({ name: namespace });
await until('the namespace is gone',
    () => core.readNamespace({ name: namespace }).then(() => false, (error) => error.code === 404));

const apps = config.makeApiClient(k8s.AppsV1Api);
await apps.createNamespacedStatefulSet({ namespace: 'default', body: {
    metadata: { name: 's' },
    spec: { serviceName: 's', replicas: 1, selector: { matchLabels: { app: 's' } }, template: {
        metadata: { labels: { app: 's' } }, spec: { containers: [{ name: 'main', image, command: ['sleep', '1000'] }] } } } } });
assert.equal((await apps.readNamespacedStatefulSetScale({ namespace: 'default', name: 's' })).spec.replicas, 1);
console.log('done');
