"""Checks the signatures and the contents of webhook requests that stand, in JSON, on the standard input."""

import base64
import hashlib
import hmac
import json
import sys
import uuid
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

from twilio.request_validator import RequestValidator

received = json.load(sys.stdin)
old, new = received["secrets"]


def standard_signature(secret, headers, body):
    """What the Standard Webhooks specification asks for."""
    assert secret.startswith("whsec_")
    key = base64.b64decode(secret[len("whsec_") :], validate=True)
    assert len(key) == 32, len(key)
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def with_port_removed(url):
    parts = urlsplit(url)
    return parts._replace(netloc=parts.hostname).geturl()


def check(request):
    url, headers, body = request["url"], request["headers"], base64.b64decode(request["body"])
    signature = headers["x-twilio-signature"]
    validator = RequestValidator(old)
    is_form = headers["content-type"] == "application/x-www-form-urlencoded"
    if is_form:
        parsed = parse_qs(body.decode(), strict_parsing=True)
        fields = {name: value for name, (value,) in parsed.items()}
        params = fields
        assert "bodySHA256" not in url, url
        forged = {**fields, "type": "challenge.denied."}
    else:
        assert headers["content-type"] == "application/json", headers
        fields = json.loads(body)
        params = body.decode()
        assert parse_qs(urlsplit(url).query)["bodySHA256"] == [hashlib.sha256(body).hexdigest()], url
        forged = params.replace("factor", "f4ctor", 1)
    assert validator.validate(url, params, signature), ("Twilio", url, params, signature)
    # None of these is what was sent, or was signed with the secret.
    assert not validator.validate(url, forged, signature), url
    assert not validator.validate(url.replace("/127", "/128"), params, signature), url
    assert not validator.validate(with_port_removed(url), params, signature), url
    assert not validator.validate(url, params, base64.b64encode(bytes(20)).decode()), url
    assert not RequestValidator(new).validate(url, params, signature), "the old secret signs until the overlap ends"

    signatures = headers["webhook-signature"].split(" ")
    assert signatures == [standard_signature(secret, headers, body) for secret in (new, old)], signatures
    assert abs(int(headers["webhook-timestamp"]) - received["now"]) <= 300
    assert headers["user-agent"].startswith("countersign/")

    assert headers["i-twilio-idempotency-token"] == headers["webhook-id"] == fields["uuid"]
    assert str(uuid.UUID(fields["uuid"])) == fields["uuid"]
    assert fields["account_sid"] == received["account"]
    assert fields["service_sid"] == received["service"]
    assert fields["entity_identity"] == received["identity"]
    assert fields["factor_sid"] == received["factor"]
    assert fields["factor_type"] == "push"
    of_challenge = fields["type"] == "challenge.approved"
    assert of_challenge or fields["type"] in ("factor.created", "factor.verified"), fields
    assert fields.get("challenge_sid") == (received["challenge"] if of_challenge else None)
    if is_form:
        assert "entity_sid" not in fields and ("challenge_sid" in fields) == of_challenge
    else:
        assert fields["entity_sid"].startswith("YE")
        datetime.strptime(fields["date_created"], "%Y-%m-%dT%H:%M:%SZ")
    return fields["uuid"]


uuids = [check(request) for request in received["requests"]]
assert len(set(uuids)) == len(uuids), "two messages share an identifier"
print(f"{len(uuids)} requests hold")
