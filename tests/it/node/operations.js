// Twilio's own Node library, with nothing but its base URL changed, runs the 53 operations. What came over the wire is printed,
// a line of JSON for each exchange.

'use strict';

const assert = require('node:assert');
const crypto = require('node:crypto');
const twilio = require('twilio');
const RequestClient = require('twilio/lib/base/RequestClient');

const { COUNTERSIGN_TEST_URL: url, COUNTERSIGN_TEST_ACCOUNT: account, COUNTERSIGN_TEST_TOKEN: token } = process.env;

class Recorder {
  constructor() {
    this.inner = new (RequestClient.default ?? RequestClient)();
  }

  async request(options) {
    const answer = await this.inner.request(options);
    let { body } = answer;
    if (typeof body === 'string') body = body === '' ? null : JSON.parse(body);
    const exchange = {
      method: options.method.toUpperCase(),
      path: new URL(options.uri).pathname,
      status: answer.statusCode,
      headers: answer.headers,
      body: body ?? null,
    };
    console.log(JSON.stringify(exchange));
    return answer;
  }
}

const client = twilio(account, token, { httpClient: new Recorder() });
client.verify.baseUrl = url;
const verify = client.verify.v2;

async function refused(call, status, code) {
  await assert.rejects(call, (error) => {
    assert.deepStrictEqual([error.status, error.code], [status, code], error.message);
    return true;
  });
}

// RFC 6238 with SHA-1 and six digits.
function totp(secret, seconds, period) {
  const bits = [...secret].map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0'));
  const bytes = bits.join('').match(/.{8}/g).map((byte) => parseInt(byte, 2));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(seconds / period)));
  const mac = crypto.createHmac('sha1', Buffer.from(bytes)).update(counter).digest();
  const number = mac.readUInt32BE(mac[19] & 15) & 0x7fffffff;
  return String(number % 1000000).padStart(6, '0');
}

async function services() {
  const { sid } = await verify.services.create({ friendlyName: 'Owl Bank', 'totp.timeStep': 60, 'totp.skew': 2 });
  const service = verify.services(sid);
  assert.strictEqual((await service.fetch()).friendlyName, 'Owl Bank');
  const updated = await service.update({ codeLength: 5, doNotShareWarningEnabled: true });
  assert.deepStrictEqual([updated.codeLength, updated.doNotShareWarningEnabled, updated.passkeys], [5, true, null]);
  const more = [];
  for (let n = 0; n < 3; n++) more.push((await verify.services.create({ friendlyName: `Other ${n}` })).sid);
  const listed = await verify.services.list({ pageSize: 2 });
  assert.deepStrictEqual(listed.map((one) => one.sid).filter((one) => [sid, ...more].includes(one)), [sid, ...more]);
  for (const other of more) assert(await verify.services(other).remove());
  await refused(() => verify.services(more[0]).fetch(), 404, 20404);
  await refused(() => verify.services.create({ friendlyName: 'x'.repeat(40) }), 400, 60200);
  return service;
}

async function factors(service) {
  const identity = `user-${crypto.randomUUID()}`;
  await service.entities.create({ identity: `other-${identity}` });
  const entity = service.entities(identity);
  const created = await entity.newFactors.create({ friendlyName: "Ada's app, ä+b&c=d", factorType: 'totp', metadata: { os: 'Android' } });
  assert.deepStrictEqual([created.friendlyName, created.options, created.metadata.os], ["Ada's app, ä+b&c=d", null, 'Android']);
  const now = Date.now() / 1000;
  const factor = entity.factors(created.sid);
  const verified = await factor.update({ authPayload: totp(created.binding.secret, now - 60, 60) });
  assert.strictEqual(verified.status, 'verified');
  assert.strictEqual((await factor.fetch()).config.time_step, 60);
  assert.strictEqual((await entity.fetch()).identity, identity);
  assert((await service.entities.list()).length >= 2);
  const expirationDate = new Date(Math.floor(now + 600) * 1000);
  const challenge = await entity.challenges.create({
    factorSid: created.sid,
    expirationDate,
    'details.message': 'Log in?',
    'details.fields': [{ label: 'Action', value: 'a b+c&d=é' }, { label: 'Town', value: 'Köln' }],
    hiddenDetails: { ip: '192.0.2.1' },
  });
  assert.deepStrictEqual(challenge.expirationDate, expirationDate);
  assert.deepStrictEqual(challenge.details.fields, [{ label: 'Action', value: 'a b+c&d=é' }, { label: 'Town', value: 'Köln' }]);
  const one = entity.challenges(challenge.sid);
  assert.strictEqual((await one.fetch()).status, 'pending');
  assert.strictEqual((await one.update({ authPayload: totp(created.binding.secret, now, 60) })).status, 'approved');
  await refused(() => one.update({ authPayload: totp(created.binding.secret, now, 60) }), 403, 60322);
  assert.deepStrictEqual((await entity.challenges.list({ status: 'approved' })).map((found) => found.sid), [challenge.sid]);
  assert.strictEqual((await entity.factors.list()).length, 1);
  await push(entity);
  assert(await factor.remove());
  assert(await service.entities(`other-${identity}`).remove());
}

async function push(entity) {
  const { privateKey, publicKey } = crypto.generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const created = await entity.newFactors.create({
    friendlyName: 'Phone',
    factorType: 'push',
    'binding.alg': 'ES256',
    'binding.publicKey': publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
    'config.appId': 'com.example.owl',
    'config.notificationPlatform': 'fcm',
    'config.notificationToken': 't'.repeat(40),
    'config.sdkVersion': '1.0',
  });
  const proof = crypto.sign('sha256', Buffer.from(created.sid), privateKey).toString('base64');
  assert.strictEqual((await entity.factors(created.sid).update({ authPayload: proof })).status, 'verified');
  const challenge = await entity.challenges.create({ factorSid: created.sid, 'details.message': 'Log in?' });
  const sent = await entity.challenges(challenge.sid).notifications.create({ ttl: 150 });
  assert.strictEqual(sent.challengeSid, challenge.sid);
}

async function codes(service) {
  const number = '+4915112345678';
  const created = await service.verifications.create({ to: number, channel: 'sms', tags: '{"tenant":"1"}', rateLimits: {} });
  assert.deepStrictEqual([created.status, created.channel, created.valid], ['pending', 'sms', false]);
  assert.strictEqual((await service.verifications(number).fetch()).sid, created.sid);
  const wrong = await service.verificationChecks.create({ to: number, code: '00000' });
  assert(['pending', 'approved'].includes(wrong.status));
  const attempts = await verify.verificationAttempts.list({ 'channelData.to': number, dateCreatedAfter: new Date(0) });
  assert.deepStrictEqual(attempts.map((attempt) => attempt.channelData.to), [number]);
  assert.strictEqual((await verify.verificationAttempts(attempts[0].sid).fetch()).channel, 'sms');
  assert((await verify.verificationAttemptsSummary().fetch({ verifyServiceSid: created.serviceSid })).totalAttempts >= 1);
  assert.strictEqual((await service.verifications(created.sid).update({ status: 'canceled' })).status, 'canceled');
  assert((await verify.templates.list()).length > 1);
  for (let n = 0; n < 5; n++) await service.verifications.create({ to: '+4915112345679', channel: 'sms' });
  await refused(() => service.verifications.create({ to: '+4915112345679', channel: 'sms' }), 429, 60203);
}

async function limits(service) {
  const limit = await service.rateLimits.create({ uniqueName: 'ip', description: 'IPv4 or IPv6' });
  const one = service.rateLimits(limit.sid);
  assert.strictEqual((await one.fetch()).uniqueName, 'ip');
  assert.strictEqual((await one.update({ description: 'Any' })).description, 'Any');
  assert.strictEqual((await service.rateLimits.list()).length, 1);
  const bucket = await one.buckets.create({ max: 1, interval: 60 });
  const only = one.buckets(bucket.sid);
  assert.strictEqual((await only.fetch()).max, 1);
  assert.strictEqual((await only.update({ max: 2 })).max, 2);
  assert.strictEqual((await one.buckets.list()).length, 1);
  for (let n = 0; n < 2; n++) {
    await service.verifications.create({ to: `+491511234568${n}`, channel: 'sms', rateLimits: { ip: '192.0.2.1' } });
  }
  const third = { to: '+4915112345682', channel: 'sms', rateLimits: { ip: '192.0.2.1' } };
  await assert.rejects(() => service.verifications.create(third), (error) => {
    assert.deepStrictEqual([error.status, error.code], [429, 20429]);
    assert(error.details.retry_after > 0 && error.details.retry_after <= 60, JSON.stringify(error.details));
    return true;
  });
  assert(await only.remove());
  assert(await one.remove());
}

async function others(service) {
  const webhook = await service.webhooks.create({
    friendlyName: 'Hook',
    eventTypes: ['factor.created', 'challenge.approved'],
    webhookUrl: 'https://owlbank.example/hook?a=b&c=d',
  });
  assert.deepStrictEqual(webhook.eventTypes, ['factor.created', 'challenge.approved']);
  const hook = service.webhooks(webhook.sid);
  assert.strictEqual((await hook.fetch()).webhookUrl, 'https://owlbank.example/hook?a=b&c=d');
  assert.strictEqual((await hook.update({ status: 'disabled' })).status, 'disabled');
  assert.strictEqual((await service.webhooks.list()).length, 1);
  assert(await hook.remove());

  const access = await service.accessTokens.create({ identity: 'user-0001', factorType: 'push', ttl: 120 });
  assert.strictEqual((await service.accessTokens(access.sid).fetch()).ttl, 120);

  const messaging = `MG${'0a'.repeat(16)}`;
  await service.messagingConfigurations.create({ country: 'DE', messagingServiceSid: messaging });
  const country = service.messagingConfigurations('DE');
  assert.strictEqual((await country.fetch()).messagingServiceSid, messaging);
  assert.strictEqual((await country.update({ messagingServiceSid: messaging })).country, 'DE');
  assert.strictEqual((await service.messagingConfigurations.list()).length, 1);
  assert(await country.remove());

  const safe = await verify.safelist.create({ phoneNumber: '+4915112345690' });
  assert.strictEqual((await verify.safelist(safe.phoneNumber).fetch()).sid, safe.sid);
  assert(await verify.safelist(safe.phoneNumber).remove());
  assert.strictEqual((await verify.forms('form-push').fetch()).formType, 'form-push');
  await refused(() => verify.forms('form-smoke').fetch(), 404, 20404);

  const stranger = twilio(account, '0'.repeat(32), { httpClient: new Recorder() });
  stranger.verify.baseUrl = url;
  await refused(() => stranger.verify.v2.services.list(), 401, 20003);
}

(async () => {
  const service = await services();
  await factors(service);
  await codes(service);
  await limits(service);
  await others(service);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
