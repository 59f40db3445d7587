// Checks the signatures of webhook requests that stand, in JSON, on the standard input.

'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const twilio = require('twilio');

const received = JSON.parse(fs.readFileSync(0, 'utf8'));
const [old] = received.secrets;

for (const { url, headers, body } of received.requests) {
  const text = Buffer.from(body, 'base64').toString();
  const signature = headers['x-twilio-signature'];
  if (headers['content-type'] === 'application/json') {
    assert(twilio.validateRequestWithBody(old, signature, url, text), url);
    assert(!twilio.validateRequestWithBody(old, signature, url, text + ' '), url);
    assert(!twilio.validateRequestWithBody(old + 'x', signature, url, text), url);
  } else {
    const params = Object.fromEntries(new URLSearchParams(text));
    assert(twilio.validateRequest(old, signature, url, params), url);
    assert(!twilio.validateRequest(old, signature, url, { ...params, type: 'x' }), url);
    assert(!twilio.validateRequest(old + 'x', signature, url, params), url);
  }
}
console.log(`${received.requests.length} requests hold`);
