// Vonage's own Node libraries, today's and the one before it, over plain HTTP: begin, go on, check, look for, cancel.
// The test around this script moves the time and says what was sent.

'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const { Auth } = require('@vonage/auth');
const { Verify } = require('@vonage/verify');
const { Vonage } = require('@vonage/server-sdk');
const Nexmo = require('nexmo');

const [address] = process.argv.slice(2);
const [host, port] = address.split(':');

/** Asks the test around this script for something. */
function ask(what, more = {}) {
  fs.writeSync(1, `${JSON.stringify({ do: what, ...more })}\n`);
  let line = '';
  const piece = Buffer.alloc(1);
  while (!line.endsWith('\n')) {
    if (fs.readSync(0, piece) === 0) throw new Error('the test has ended');
    line += piece.toString('latin1');
  }
  return JSON.parse(Buffer.from(line, 'latin1').toString());
}

const wait = (seconds) => ask('wait', { milliseconds: seconds * 1000 });
const codeOf = (session) => ask('code', { session });
const other = (code) => String((Number(code) + 1) % 10 ** code.length).padStart(code.length, '0');

const authOf = ({ key, secret }) => new Auth({ apiKey: key, apiSecret: secret });
const options = { apiHost: `http://${address}` };

/** Today's library, and the package that holds it with all others. */
const today = (credentials) => new Verify(authOf(credentials), options);
const whole = (credentials) => new Vonage(authOf(credentials), options).verify;

/** The library before it: everything is a GET. */
function before(credentials) {
  const options = { apiHost: host, port: Number(port) };
  const nexmo = new Nexmo({ apiKey: credentials.key, apiSecret: credentials.secret }, options);
  const called = (method, argument) =>
    new Promise((resolve, reject) => {
      nexmo.verify[method](argument, (error, answer) => (error ? reject(error) : resolve(answer)));
    });
  const snake = ({ workflowId, codeLength, requestId, ...rest }) => {
    const named = { workflow_id: workflowId, code_length: codeLength, request_id: requestId, ...rest };
    return Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined));
  };
  return {
    start: (request) => called('brand' in request ? 'request' : 'psd2', snake(request)),
    check: (id, code) => called('check', { request_id: id, code }),
    search: (id) => called('search', id),
    cancel: (id) => called('control', { request_id: id, cmd: 'cancel' }),
    trigger: (id) => called('control', { request_id: id, cmd: 'trigger_next_event' }),
  };
}

/** Both spellings of a field. */
const of = (answer, name) => answer[name] ?? answer[name.replace(/_(.)/g, (_, letter) => letter.toUpperCase())];

async function cases(library, number) {
  const credentials = ask('credentials');
  const client = library(credentials);
  const begun = await client.start({ number, brand: 'Owl Bank', workflowId: 6, codeLength: 6 });
  assert.strictEqual(of(begun, 'status'), '0');
  const id = of(begun, 'request_id');
  const message = ask('message', { to: number });
  assert.strictEqual(message.channel, 'sms');
  assert.match(message.text, /Owl Bank/);
  assert.strictEqual(message.code.length, 6);
  const second = await client.start({ number, brand: 'Owl Bank' });
  assert.deepStrictEqual([of(second, 'status'), of(second, 'request_id')], ['10', id]);
  const wrong = await client.check(id, other(message.code));
  assert.strictEqual(of(wrong, 'status'), '16');
  const right = await client.check(id, message.code);
  assert.strictEqual(of(right, 'status'), '0');
  assert.ok(of(right, 'event_id'));
  assert.strictEqual(of(right, 'currency'), 'EUR');
  const found = await client.search(id);
  assert.strictEqual(of(found, 'status'), 'SUCCESS');
  assert.strictEqual(of(found, 'account_id'), credentials.key);
  assert.deepStrictEqual(found.checks.map((check) => check.status), ['INVALID', 'VALID']);
  assert.strictEqual(of(await client.check(id, message.code), 'status'), '6');

  const next = await client.start({ number, brand: 'Owl Bank' });
  const pending = of(next, 'request_id');
  assert.strictEqual(of(await client.cancel(pending), 'status'), '19');
  const triggered = await client.trigger(pending);
  assert.deepStrictEqual([triggered.status, triggered.command], ['0', 'trigger_next_event']);
  assert.strictEqual(ask('message', { to: number }).channel, 'call');
  wait(31);
  const canceled = await client.cancel(pending);
  assert.deepStrictEqual([canceled.status, canceled.command], ['0', 'cancel']);

  const paid = await client.start({ number, payee: 'Owl Shop', amount: 12.5, workflowId: 3 });
  assert.strictEqual(of(paid, 'status'), '0');
  const call = ask('message', { to: number });
  assert.strictEqual(call.channel, 'call');
  assert.match(call.text, /12[.,]50 EUR/);
  assert.match(call.text, /Owl Shop/);
  const ids = [id, pending, of(paid, 'request_id')];
  const several = await client.search(ids);
  const all = several.verification_requests ?? several.verificationRequests;
  assert.deepStrictEqual(all.map((one) => one.status), ['SUCCESS', 'CANCELLED', 'IN PROGRESS']);
  assert.strictEqual(of(await client.check(ids[2], codeOf(ids[2])), 'status'), '0');

  const stranger = library({ key: credentials.key, secret: 'wrong' });
  assert.strictEqual(of(await stranger.start({ number, brand: 'Owl Bank' }), 'status'), '4');
  assert.strictEqual(of(await client.search('nothing'), 'status'), '101');
}

(async () => {
  await cases(today, '4915112345671');
  await cases(whole, '4915112345672');
  await cases(before, '4915112345673');
  console.error('3 libraries hold');
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
