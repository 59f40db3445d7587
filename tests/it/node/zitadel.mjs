// Zitadel's own client, unmodified, over both of its transports. Arguments: where, the token of a backend that manages
// users, then the name and the token of a user for each transport. Prints which calls were answered with success.

import assert from 'node:assert';
import crypto from 'node:crypto';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// NODE_PATH, which says where packages are, is for `require` alone; but what that gets of this package does not load.
const require = createRequire(import.meta.url);
const load = (name) => {
  const path = require.resolve(name).replace(/\.cjs$/, '.js');
  return import(pathToFileURL(path.replace('/proto/cjs/', '/proto/es/').replace('/dist/cjs/', '/dist/esm/')));
};
const { createServerTransport } = await load('@zitadel/client/node');
const { createClientTransport } = await load('@zitadel/client/web');
const { createAuthServiceClient } = await load('@zitadel/client/v1');
const { createUserServiceClient } = await load('@zitadel/client/v2');
const { Code, ConnectError } = await load('@connectrpc/connect');
const { ErrorDetailSchema } = await load('@zitadel/proto/zitadel/message_pb');

const [baseUrl, backendToken, ...users] = process.argv.slice(2);

// The code of an authenticator app now (RFC 6238).
function totp(secret) {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...secret].map((letter) => alphabet.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000)));
  const digest = crypto.createHmac('sha1', key).update(step).digest();
  const word = digest.readUInt32BE(digest[19] & 15) & 0x7fffffff;
  return String(word % 1000000).padStart(6, '0');
}

function wrong(code) {
  return (code[0] === '1' ? '2' : '1') + code.slice(1);
}

// A client that notes what succeeds.
function noting(client, met) {
  return new Proxy(client, {
    get: (_, method) => async (asked) => {
      const answer = await client[method](asked);
      met.add(method[0].toUpperCase() + method.slice(1));
      return answer;
    },
  });
}

async function refused(call, code, id) {
  const error = await call.then(() => assert.fail('it is answered'), (error) => ConnectError.from(error));
  assert.strictEqual(error.code, code, error.message);
  const ids = error.findDetails(ErrorDetailSchema).map((detail) => detail.id);
  assert.deepStrictEqual(ids, id ? [id] : [], error.message);
}

async function callAll(transport, userId, token, phone) {
  const met = new Set();
  const own = noting(createAuthServiceClient(transport(token, { baseUrl })), met);
  const named = noting(createUserServiceClient(transport(token, { baseUrl })), met);
  const backend = noting(createUserServiceClient(transport(backendToken, { baseUrl })), met);
  const returnCode = { case: 'returnCode', value: {} };

  await own.healthz({});
  const nobody = createAuthServiceClient(transport('nonsense', { baseUrl }));
  await refused(nobody.getMyPhone({}), Code.Unauthenticated);

  // The number, first API.
  const first = (await own.setMyPhone({ phone })).details;
  await own.resendMyPhoneVerification({});
  const { verificationCode } = await backend.resendPhoneCode({ userId, verification: returnCode });
  await refused(own.verifyMyPhone({ code: wrong(verificationCode) }), Code.InvalidArgument, 'COMMAND-sM0cs');
  const then = (await own.verifyMyPhone({ code: verificationCode })).details;
  assert(then.sequence > first.sequence && typeof then.sequence === 'bigint', `${then.sequence}`);
  assert.match(then.resourceOwner, /^AC[0-9a-f]{32}$/);
  const found = (await own.getMyPhone({})).phone;
  assert.deepStrictEqual([found.phone, found.isPhoneVerified], [phone, true]);
  await own.addMyAuthFactorOTPSMS({});
  const kinds = (await own.listMyAuthFactors({})).result.map((factor) => factor.type.case);
  assert.deepStrictEqual(kinds, ['otpSms']);
  await own.removeMyAuthFactorOTPSMS({});
  await own.removeMyPhone({});

  // The number, second API.
  const set = await backend.setPhone({ userId, phone, verification: returnCode });
  assert.match(set.verificationCode, /^[A-Z0-9]{6}$/);
  await named.verifyPhone({ userId, verificationCode: set.verificationCode });
  await refused(named.setPhone({ userId, phone, verification: returnCode }), Code.PermissionDenied);
  await named.addOTPSMS({ userId });
  await named.removeOTPSMS({ userId });
  await named.removePhone({ userId });

  // The app, by either API.
  const app = await own.addMyAuthFactorOTP({});
  await refused(own.verifyMyAuthFactorOTP({ code: wrong(totp(app.secret)) }), Code.InvalidArgument, 'EVENT-8isk2');
  await own.verifyMyAuthFactorOTP({ code: totp(app.secret) });
  await own.removeMyAuthFactorOTP({});
  const other = await named.registerTOTP({ userId });
  assert(other.uri.startsWith('otpauth://totp/'), other.uri);
  await named.verifyTOTPRegistration({ userId, code: totp(other.secret) });
  const factors = (await named.listAuthenticationFactors({ userId })).result;
  assert.deepStrictEqual(factors.map((factor) => factor.type.case), ['otp']);
  await named.removeTOTP({ userId });
  return [...met];
}

const told = {};
for (const [name, transport] of Object.entries({ createServerTransport, createClientTransport })) {
  const [userId, token] = users.splice(0, 2);
  told[name] = await callAll(transport, userId, token, `+1201555010${users.length}`);
}
console.log(JSON.stringify(told));
// Connections that are kept must not keep this process.
process.exit(0);
