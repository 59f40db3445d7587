"""A phone, written from the wire protocol alone: what it may do, and what is refused when somebody else tries."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from checks import Checks, Server

server = Server()
checks = Checks()
account = (server.account, server.token)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def backend(method, path, **form):
    """A call that the application's backend makes."""
    return requests.request(method, f"{server.url}/v2/{path}", auth=account, data=form or None, timeout=30)


class Device:
    """A device with a key of its own. `clock` is how far its clock is off."""

    def __init__(self, service, identity, clock=0):
        self.entity = f"Services/{service}/Entities/{identity}"
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.der = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.clock = clock

    def enrol(self, token, **other):
        form = {
            "FriendlyName": "Jane's phone",
            "FactorType": "push",
            "Binding.PublicKey": base64.b64encode(self.der).decode(),
            "Binding.Alg": "ES256",
            "Config.SdkVersion": "0.9.0",
            "Config.AppId": "com.example.owl",
            "Config.NotificationPlatform": "none",
            "Metadata": json.dumps({"os": "Python"}),
            **other,
        }
        answer = requests.post(
            f"{server.url}/v2/{self.entity}/Factors",
            auth=("token", token),
            data=form,
            headers={"Accept": "application/json"},
            timeout=30,
        )
        if answer.status_code == 201:
            self.factor = answer.json()["sid"]
            self.account = answer.json()["account_sid"]
            self.credential = answer.json()["config"]["credential_sid"]
        return answer

    def claims(self):
        now = int(time.time()) + self.clock
        return {"sub": self.account, "nbf": now, "exp": now + 600}

    def header(self):
        return {"cty": "twilio-pba;v=1", "kid": self.credential, "typ": "JWT", "alg": "ES256"}

    def token(self, claims=None, header=None):
        return jwt.encode(
            claims or self.claims(), self.key, algorithm="ES256", headers=header or self.header()
        )

    def call(self, method, path, form=None, query=None, token=None):
        # The SDKs ask for a form when they read; the answer is JSON all the same.
        accept = "application/x-www-form-urlencoded" if method == "GET" else "application/json"
        return requests.request(
            method,
            f"{server.url}/v2/{self.entity}/{path}",
            auth=("token", token or self.token()),
            params=query,
            data=form,
            headers={"Accept": accept, "Content-Type": "application/x-www-form-urlencoded"},
            timeout=30,
        )

    def proof(self, text):
        return base64.b64encode(self.key.sign(text.encode(), ec.ECDSA(SHA256()))).decode()

    def verify(self):
        return self.call("POST", f"Factors/{self.factor}", {"AuthPayload": self.proof(self.factor)})

    def challenge(self, sid):
        return self.call("GET", f"Challenges/{sid}")

    def fields(self, sid, status):
        """What there is to sign for an answer to a challenge."""
        answer = self.challenge(sid)
        body = answer.json()
        names = answer.headers["Twilio-Verify-Signature-Fields"].split(",")
        return {**{name: body[name] for name in names if name != "status"}, "status": status}

    def signed(self, payload):
        return jwt.encode(payload, self.key, algorithm="ES256")

    def answer(self, sid, payload):
        return self.call("POST", f"Challenges/{sid}", {"AuthPayload": payload})

    def respond(self, sid, status, **claims):
        return self.answer(sid, self.signed({**self.fields(sid, status), **claims}))


def challenge_of(device, **more):
    answer = backend(
        "POST",
        f"{device.entity}/Challenges",
        **{"FactorSid": device.factor, "Details.Message": "Log in to https://owl.example?", **more},
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["sid"]


def enrolled(service, identity, clock=0):
    token = backend("POST", f"Services/{service}/AccessTokens", Identity=identity, FactorType="push").json()["token"]
    device = Device(service, identity)
    assert device.enrol(token).status_code == 201
    assert device.verify().json()["status"] == "verified"
    device.clock = clock
    return device


def is_refused(name, answer, *wanted):
    """A refusal has one of the (status, code) pairs and tells nothing else; a status alone leaves the code open."""
    body = answer.json()
    found = (answer.status_code, body.get("code"))
    checks.check(f"refused: {name}", found in wanted or found[0] in wanted, f"{found}, wanted {wanted}: {body}")
    if answer.status_code == 401:
        checks.check(f"the server tells its time with: {name}", "Date" in answer.headers, answer.headers)


def enrolment(service):
    identity = f"user-{uuid.uuid4()}"
    created = backend(
        "POST", f"Services/{service}/AccessTokens", Identity=identity, FactorType="push", FactorFriendlyName="Phone"
    ).json()
    token = created["token"]
    other = Device(service, f"user-{uuid.uuid4()}")
    is_refused("an access token of another identity", other.enrol(token), 401, (403, 60313))

    device = Device(service, identity)
    is_refused("no access token", device.enrol("made-up"), 401, (403, 60313))
    point_off_the_curve = device.der[:-1] + bytes([device.der[-1] ^ 1])
    bad_key = {"Binding.PublicKey": base64.b64encode(point_off_the_curve).decode()}
    is_refused("a point that is not on the curve", device.enrol(token, **bad_key), (400, 60314), (400, 60306))

    answer = device.enrol(token)
    body = answer.json()
    checks.equal("a device enrols with its access token", (answer.status_code, body["status"]), (201, "unverified"))
    checks.check("the server names the credential", bool(body["config"].get("credential_sid")), body)
    checks.equal("metadata is kept", body["metadata"], {"os": "Python"})
    second = Device(service, identity)
    is_refused("an access token twice", second.enrol(token), 401, (403, 60313))

    wrong = device.call("POST", f"Factors/{device.factor}", {"AuthPayload": device.proof("YF" + "0" * 32)})
    is_refused("a proof over another text", wrong, (403, 60311))
    raw = device.signed({"sid": device.factor})
    is_refused(
        "a proof that is a JWT", device.call("POST", f"Factors/{device.factor}", {"AuthPayload": raw}), 400, (403, 60311)
    )
    answer = device.verify()
    checks.equal("a DER signature over its SID verifies a factor", (answer.status_code, answer.json()["status"]), (200, "verified"))
    return device


def reading(device):
    sids = [challenge_of(device) for _ in range(4)]
    first = challenge_of(device, HiddenDetails=json.dumps({"ip": "10.0.0.1"}))
    sids.append(first)
    for spelling in ("PageToken", "pageToken"):
        found, token = [], None
        for _ in range(10):
            query = {"PageSize": 2, "FactorSid": device.factor, "Order": "asc", "Status": "pending"}
            if token:
                query[spelling] = token
            body = device.call("GET", "Challenges", query=query).json()
            found += [challenge["sid"] for challenge in body["challenges"]]
            following = body["meta"]["next_page_url"]
            if following is None:
                break
            token = parse_qs(urlsplit(following).query)["PageToken"][0]
        checks.equal(f"a device lists its pending challenges page by page with {spelling}", found, sids)
    newest = device.call("GET", "Challenges", query={"PageSize": 2, "FactorSid": device.factor, "Order": "desc"}).json()
    checks.equal("the newest come first when asked", [c["sid"] for c in newest["challenges"]], sids[:-3:-1])
    checks.check(
        "every listed challenge is one the SDKs can read",
        all(isinstance(c["details"].get("message"), str) and c["details"].get("date", "") is not None
            for c in newest["challenges"]),
        newest,
    )
    answer = device.challenge(first)
    header = answer.headers.get("Twilio-Verify-Signature-Fields", "")
    names = header.split(",")
    checks.check("a pending challenge says what to sign", header and " " not in header, header)
    checks.equal("every field to sign is there", [name for name in names if name not in answer.json()], [])
    needed = {"sid", "details", "hidden_details", "factor_sid", "expiration_date"}
    checks.check("what is decided about is signed", needed <= set(names), names)
    return sids


def answering(device, sids):
    fields = device.fields(sids[0], "approved")
    answer = device.answer(sids[0], device.signed(fields))
    checks.equal("an approval is taken", answer.status_code, 200)
    after = device.challenge(sids[0])
    checks.equal("an approved challenge is approved", after.json()["status"], "approved")
    for status in ("approved", "denied"):
        again = device.signed({**fields, "status": status})
        is_refused(f"{status} after it was approved", device.answer(sids[0], again), (403, 60322))
    device.respond(sids[1], "denied")
    checks.equal("a denied challenge is denied", device.challenge(sids[1]).json()["status"], "denied")

    # Android escapes slashes, iOS orders keys as it likes: values count, not bytes.
    fields = device.fields(sids[2], "approved")
    text = json.dumps(dict(reversed(fields.items())), indent=1).replace("/", "\\/")
    message = base64url(b'{"alg":"ES256","typ":"JWT"}') + "." + base64url(text.encode())
    algorithm = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256)
    payload = message + "." + base64url(algorithm.sign(message.encode(), device.key))
    answer = device.answer(sids[2], payload)
    checks.equal("another order and escaped slashes are the same answer", answer.status_code, 200)


def by_hand(header, payload, sign):
    """A token of any header, signed in any way."""
    message = base64url(json.dumps(header).encode()) + "." + base64url(json.dumps(payload).encode())
    return message + "." + base64url(sign(message.encode()))


def tampered_answers(device, other, elsewhere):
    """What an attacker could send for a challenge, given what is to be signed for it and for another one."""

    def turned(good):
        header, claims, signature = device.signed({**good, "status": "denied"}).split(".")
        approval = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        approval["status"] = "approved"
        return ".".join([header, base64url(json.dumps(approval).encode()), signature])

    def hs256(message):
        return hmac.new(device.der, message, hashlib.sha256).digest()

    return {
        "a denial turned into an approval": turned,
        "an approval of another challenge": lambda good: device.signed(elsewhere),
        "an approval with another message": lambda good: device.signed({**good, "details": {"message": "Pay 1?"}}),
        "an approval without a field": lambda good: device.signed({k: v for k, v in good.items() if k != "details"}),
        "an approval by another device": other.signed,
        "an approval by HS256 with the public key": lambda good: by_hand({"alg": "HS256", "typ": "JWT"}, good, hs256),
        "an approval with alg none": lambda good: by_hand({"alg": "none", "typ": "JWT"}, good, lambda _: b""),
        "an approval of no known kind": lambda good: device.signed({**good, "status": "eaten"}),
    }


def tampering(device, other, sids):
    elsewhere = device.fields(sids[4], "approved")
    for name, tamper in tampered_answers(device, other, elsewhere).items():
        sid = challenge_of(device)
        good = device.fields(sid, "approved")
        is_refused(name, device.answer(sid, tamper(good)), (403, 60324), 400)
        checks.equal(f"still pending after: {name}", device.challenge(sid).json()["status"], "pending")
        checks.equal(f"the true answer after: {name}", device.answer(sid, device.signed(good)).status_code, 200)

    def es256(message):
        return jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256).sign(message, device.key)

    def hs256(message):
        return hmac.new(device.der, message, hashlib.sha256).digest()

    past = {**device.claims(), "nbf": int(time.time()) - 7200, "exp": int(time.time()) - 6600}
    future = {**device.claims(), "nbf": int(time.time()) + 6600, "exp": int(time.time()) + 7200}
    textual = {**device.claims(), "exp": str(int(time.time()) + 600)}
    endless = {name: value for name, value in device.claims().items() if name != "exp"}
    for name, token in {
        "an expired JWT": device.token(past),
        "a JWT of the future": device.token(future),
        "a JWT that never expires": device.token(endless),
        "a JWT whose expiry is text": by_hand(device.header(), textual, es256),
        "a JWT of another account": device.token({**device.claims(), "sub": "AC" + "0" * 32}),
        "a JWT by HS256 with the public key": by_hand({**device.header(), "alg": "HS256"}, device.claims(), hs256),
        "a JWT with alg none": by_hand({**device.header(), "alg": "none"}, device.claims(), lambda _: b""),
        "a JWT of another key": other.token(device.claims(), device.header()),
        "a JWT of an unknown credential": device.token(header={**device.header(), "kid": "CR" + "0" * 32}),
        "a JWT of another kind": device.token(header={**device.header(), "cty": "twilio-fpa;v=1"}),
        "an answer as a JWT": device.signed(elsewhere),
    }.items():
        is_refused(name, device.call("GET", f"Challenges/{sids[4]}", token=token), 401)

    for name, answer in {
        "another device's challenge": device.call("GET", f"Challenges/{sids[4]}", token=other.token()),
        "an answer to another device's challenge": device.call(
            "POST", f"Challenges/{sids[4]}", {"AuthPayload": other.signed(elsewhere)}, token=other.token()
        ),
        "another device's challenges": device.call(
            "GET", "Challenges", query={"FactorSid": device.factor}, token=other.token()
        ),
        "renaming another device": device.call(
            "POST", f"Factors/{device.factor}", {"FriendlyName": "Mine"}, token=other.token()
        ),
        "deleting another device": device.call("DELETE", f"Factors/{device.factor}", token=other.token()),
    }.items():
        is_refused(name, answer, 401, 403, 404)
    checks.equal("and the other's challenge is pending", device.challenge(sids[4]).json()["status"], "pending")


def number_challenge(device, digits):
    """A challenge that asks for a number: its SID, and what the login page shows."""
    form = {"FactorSid": device.factor, "Details.Message": "Log in?", "Details.NumberMatching": digits}
    created = backend("POST", f"{device.entity}/Challenges", **form).json()
    return created["sid"], created["number_matching"]["number"]


def wrong(number):
    return str((int(number) + 1) % 10 ** len(number)).zfill(len(number))


def numbers(service, identity):
    device = enrolled(service, identity)
    for digits in (2, 3):
        sid, number = number_challenge(device, digits)
        checks.check(f"the backend is told {digits} digits", number.isdigit() and len(number) == digits, number)
        shown = device.challenge(sid)
        checks.equal("the device is told how many, not which", shown.json()["number_matching"], {"digits": digits})
        is_refused("an approval by an app that knows nothing of numbers", device.respond(sid, "approved"), (403, 60324))
        is_refused("a number that is none", device.respond(sid, "approved", number=int(number)), (403, 60324))
        is_refused("too few digits", device.respond(sid, "approved", number=number[1:]), (403, 60324))
        answer = device.respond(sid, "approved", number=number)
        checks.equal("the number approves", (answer.status_code, answer.json()["status"]), (200, "approved"))
    sid, number = number_challenge(device, 2)
    answer = device.respond(sid, "approved", number=wrong(number)).json()
    checks.equal("a wrong number denies", (answer["status"], answer["deny_reason"]), ("denied", "wrong_number"))
    is_refused("the right number afterwards", device.respond(sid, "approved", number=number), (403, 60322))

    sid, other = challenge_of(device), challenge_of(device)
    is_refused("a number that nobody asked for", device.respond(sid, "approved", number="47"), (403, 60324))
    is_refused("a reason of one's own", device.respond(sid, "denied", reason="no"), (403, 60324))
    answer = device.respond(sid, "denied", reason="not_me").json()
    checks.equal("a report denies", (answer["status"], answer["deny_reason"]), ("denied", "not_me"))
    form = {"FactorSid": device.factor, "Details.Message": "Log in?"}
    paused = backend("POST", f"{device.entity}/Challenges", **form)
    is_refused("a challenge after a report", paused, (429, 20429))
    checks.check("it says when to try again", int(paused.headers["Countersign-Retry-After"]) > 3500, paused.headers)
    is_refused("an approval after a report", device.respond(other, "approved"), (429, 20429))
    path = f"Factors/{device.factor}"
    checks.check("the pause is seen", "push_paused_until" in device.call("GET", path).json()["config"])
    is_refused("a device that ends its pause", device.call("POST", path, {"Config.PushPaused": "false"}), (403, 20403))
    factor = backend("POST", f"{device.entity}/{path}", **{"Config.PushPaused": "false"}).json()
    checks.check("the backend ends it", "push_paused_until" not in factor["config"], factor)
    checks.equal("and approvals count again", device.respond(other, "approved").json()["status"], "approved")


def clock(service, identity):
    late = enrolled(service, identity, clock=-7200)
    answer = late.call("GET", "Challenges", query={"PageSize": 1, "FactorSid": late.factor, "Order": "desc"})
    is_refused("a device whose clock is two hours late", answer, 401)
    told = time.mktime(time.strptime(answer.headers["Date"], "%a, %d %b %Y %H:%M:%S GMT")) - time.timezone
    late.clock = int(told - time.time())
    answer = late.call("GET", "Challenges", query={"PageSize": 1, "FactorSid": late.factor, "Order": "desc"})
    checks.equal("it is heard once it goes by the server's clock", answer.status_code, 200)


def waiting(device):
    """Long polls and the event stream: one thread waits, the other does what it waits for."""
    for sid in [c["sid"] for c in device.call("GET", "Challenges", query={"Status": "pending"}).json()["challenges"]]:
        device.respond(sid, "denied")
    with ThreadPoolExecutor() as threads:
        query = {"Status": "pending", "Wait": 30}
        poll = threads.submit(device.call, "GET", "Challenges", query=query)
        sid = challenge_of(device)
        found = poll.result(timeout=20).json()["challenges"]
        checks.equal("a long poll is answered when a challenge arrives", [c["sid"] for c in found], [sid])
        poll = threads.submit(backend, "GET", f"{device.entity}/Challenges/{sid}?Wait=30")
        device.respond(sid, "approved")
        status = poll.result(timeout=20).json()["status"]
        checks.equal("a long poll is answered when the challenge is decided", status, "approved")
    is_refused("a wait of an hour", device.call("GET", "Challenges", query={**query, "Wait": 3600}), (400, 60300))

    first = challenge_of(device)
    with events_of(device) as stream:
        heard = events_in(stream)
        checks.equal("a stream begins with what is pending", next(heard)[:2], ("challenge.created", first))
        second = challenge_of(device)
        name, sid, data = next(heard)
        checks.equal("a stream tells of a new challenge", (name, sid), ("challenge.created", second))
        checks.equal("as it is fetched", data, device.challenge(second).json())
        device.respond(second, "denied")
        checks.equal("a stream tells of a denial", next(heard)[:2], ("challenge.denied", second))
    with events_of(device, last=first) as stream:
        # Created within the slack: told again, known by its id.
        checks.equal("a stream is resumed", next(events_in(stream))[:2], ("challenge.created", first))
    device.respond(first, "approved")


def events_of(device, last=None):
    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
    url = f"{server.url}/v2/{device.entity}/Factors/{device.factor}/Events"
    stream = requests.get(url, auth=("token", device.token()), headers=headers, stream=True, timeout=30)
    checks.equal("a stream is one", stream.headers["Content-Type"], "text/event-stream")
    return stream


def events_in(stream):
    event = {}
    for line in stream.iter_lines(chunk_size=1, decode_unicode=True):
        name, _, value = line.partition(":")
        if line:
            event[name] = value.strip()
        elif "event" in event:
            yield event["event"], event["id"], json.loads(event["data"])
            event = {}


def leaving(device):
    form = {
        "FriendlyName": "Jane's phone",
        "Config.SdkVersion": "0.9.1",
        "Config.AppId": "com.example.owl",
        "Config.NotificationPlatform": "fcm",
        "Config.NotificationToken": "t" * 64,
    }
    answer = device.call("POST", f"Factors/{device.factor}", form)
    checks.equal("a device updates its push token", answer.status_code, 200)
    checks.check("an update names the credential too", "credential_sid" in answer.json()["config"], answer.text)
    config = backend("GET", f"{device.entity}/Factors/{device.factor}").json()["config"]
    checks.equal(
        "the backend sees the new token",
        (config["notification_platform"], config["notification_token"], config["sdk_version"]),
        ("fcm", "t" * 64, "0.9.1"),
    )
    is_refused(
        "a push token of 31",
        device.call("POST", f"Factors/{device.factor}", {**form, "Config.NotificationToken": "t" * 31}),
        400,
    )
    answer = device.call("DELETE", f"Factors/{device.factor}")
    checks.equal("a device deletes itself", (answer.status_code, answer.content), (204, b""))
    is_refused("a deleted device", device.call("GET", "Challenges", query={"FactorSid": device.factor}), 401)


service = backend("POST", "Services", FriendlyName="Owl Bank").json()["sid"]
phone = enrolment(service)
neighbour = enrolled(service, phone.entity.rsplit("/", 1)[1])
challenges = reading(phone)
answering(phone, challenges)
tampering(phone, neighbour, challenges)
numbers(service, f"user-{uuid.uuid4()}")
waiting(phone)
clock(service, f"user-{uuid.uuid4()}")
leaving(phone)
checks.finish()
