"""Twilio's own Python library creates, reads, changes, lists and deletes the keys of push providers."""

import json
import re
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from checks import Checks, Server

FIELDS = {"sid", "account_sid", "friendly_name", "type", "sandbox", "date_created", "date_updated", "url"}

server = Server()
checks = Checks()
client = Client(server.account, server.token)
client.notify.base_url = server.url
client.verify.base_url = server.url
credentials = client.notify.v1.credentials


def pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


APPLE = pem(ec.generate_private_key(ec.SECP256R1()))
GOOGLE = json.dumps(
    {
        "type": "service_account",
        "project_id": "owl-bank",
        "private_key_id": "1",
        "private_key": pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        "client_email": "push@owl-bank.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
)


def conforms(operation, found, **expected):
    body = json.loads(client.http_client._test_only_last_response.text)
    checks.equal(f"{operation}: the fields", set(body), FIELDS)
    checks.check(f"{operation}: no secret", "PRIVATE" not in json.dumps(body), body)
    checks.check(f"{operation}: the SID", re.fullmatch("CR[0-9a-f]{32}", found.sid), found.sid)
    checks.equal(f"{operation}: the URL", found.url, f"{server.url}/v1/Credentials/{found.sid}")
    for name in ("date_created", "date_updated"):
        checks.check(f"{operation}: {name}", isinstance(getattr(found, name), datetime), getattr(found, name))
    for name, value in {"account_sid": server.account, **expected}.items():
        checks.equal(f"{operation}: {name}", getattr(found, name), value)
    return found


def refused(name, status, code, words, call):
    try:
        result = call()
    except TwilioRestException as error:
        checks.equal(f"refused: {name}", (error.status, error.code), (status, code))
        checks.check(f"the refusal names what to do: {name}", words in error.msg, error.msg)
    else:
        checks.check(f"refused: {name}", False, f"it was accepted: {result}")


apn = conforms(
    "create apn",
    credentials.create(
        type="apn",
        friendly_name="Owl Bank, iOS",
        private_key=APPLE,
        sandbox=True,
        secret=json.dumps({"key_id": "ABC123DEFG", "team_id": "DEF123GHIJ", "topic": "com.example.owlbank"}),
    ),
    type="apn",
    friendly_name="Owl Bank, iOS",
    sandbox="True",
)
fcm = conforms(
    "create fcm",
    credentials.create(type="fcm", friendly_name="Owl Bank, Android", secret=GOOGLE),
    type="fcm",
    friendly_name="Owl Bank, Android",
    sandbox=None,
)
# The extension parameters, through the library's own transport.
answer = client.request(
    "POST",
    f"{server.url}/v1/Credentials",
    data={"Type": "apn", "PrivateKey": APPLE, "KeyId": "ABC123DEFG", "TeamId": "DEF123GHIJ"},
)
checks.equal("extension parameters are taken", answer.status_code, 201)
plain = json.loads(answer.text)["sid"]

conforms("fetch", credentials(apn.sid).fetch(), type="apn", sandbox="True")
updated = credentials(apn.sid).update(friendly_name="Renamed", sandbox=False)
conforms("update", updated, friendly_name="Renamed", sandbox="False", type="apn")
conforms("update the key", credentials(fcm.sid).update(secret=GOOGLE), friendly_name="Owl Bank, Android")

more = [credentials.create(type="fcm", secret=GOOGLE).sid for _ in range(2)]
checks.equal(
    "a list over pages of two",
    [found.sid for found in credentials.list(page_size=2)],
    [apn.sid, fcm.sid, plain, *more],
)
page = credentials.page(page_size=2)
checks.equal("a page has two", [found.sid for found in page], [apn.sid, fcm.sid])
meta = json.loads(client.http_client._test_only_last_response.text)["meta"]
checks.equal("the key of a page", meta["key"], "credentials")
checks.check("the next page", meta["next_page_url"].startswith(f"{server.url}/v1/Credentials?"), meta)
checks.equal("the page behind it", [found.sid for found in page.next_page()], [plain, more[0]])

refused("a certificate", 400, 60300, "PrivateKey", lambda: credentials.create(type="apn", certificate="MII"))
refused("gcm", 400, 60300, "fcm", lambda: credentials.create(type="gcm", api_key="AAAA"))
refused("a server key", 400, 60300, "service account", lambda: credentials.create(type="fcm", secret="AAAA"))
refused("an API key", 400, 60300, "Secret", lambda: credentials.create(type="fcm", api_key="AAAA"))

service = client.verify.v2.services.create(friendly_name="Owl Bank", push_apn_credential_sid=apn.sid)
checks.equal("a service uses it", service.push["apn_credential_sid"], apn.sid)
refused(
    "a credential of the wrong type",
    400,
    60200,
    "Push.FcmCredentialSid",
    lambda: service.update(push_fcm_credential_sid=apn.sid),
)
refused("deleting what is used", 409, 20409, service.sid, lambda: credentials(apn.sid).delete())
service.update(push_apn_credential_sid="")
for sid in [apn.sid, fcm.sid, plain, *more]:
    checks.check(f"deleted {sid}", credentials(sid).delete())
checks.equal("nothing is left", credentials.list(), [])
refused("what is gone", 404, 20404, "not found", lambda: credentials(apn.sid).fetch())
checks.finish()
