"""Twilio's own Python library, with nothing but its base URL changed, runs the 53 operations."""

import base64
import uuid
from datetime import datetime, timedelta, timezone

import pyotp
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

import schema
from checks import clear_of_the_step_edge
from limits_of_codes import (
    limits_are_kept,
    messaging_configurations,
    rate_limits,
    safe_list,
)
from library import (
    checks,
    conforms,
    last_body,
    lists,
    performed,
    refused,
    server,
    verify,
)
from verifications import attempts, checks_of_codes, templates, verifications

OPERATIONS = {
    f"{verb}{resource}"
    for resource, verbs in {
        "Service": "Create Fetch Update Delete List",
        "Entity": "Create Fetch Delete List",
        "Factor": "Create Fetch Update Delete List",
        "Challenge": "Create Fetch Update List",
        "AccessToken": "Create Fetch",
        "Notification": "Create",
        "Form": "Fetch",
        "Webhook": "Create Fetch Update Delete List",
        "Verification": "Create Fetch Update",
        "VerificationCheck": "Create",
        "VerificationAttempt": "Fetch List",
        "VerificationAttemptsSummary": "Fetch",
        "RateLimit": "Create Fetch Update Delete List",
        "Bucket": "Create Fetch Update Delete List",
        "MessagingConfiguration": "Create Fetch Update Delete List",
        "VerificationTemplate": "List",
        "Safelist": "Create Fetch Delete",
    }.items()
    for verb in verbs.split()
}
assert len(OPERATIONS) == 53

def identity():
    return f"user-{uuid.uuid4()}"


def services():
    created = conforms(
        "CreateService",
        verify.services.create(
            friendly_name="Owl Bank", totp_issuer="Owl", totp_time_step=60, totp_skew=2, code_length=5
        ),
        schema.SERVICE,
    )
    checks.equal("a service keeps its TOTP settings", created.totp["issuer"], "Owl")
    checks.equal("a service keeps its code length", created.code_length, 5)
    fetched = conforms("FetchService", verify.services(created.sid).fetch(), schema.SERVICE)
    checks.equal("a service is fetched as it was created", fetched.date_created, created.date_created)
    updated = conforms(
        "UpdateService", verify.services(created.sid).update(totp_code_length=8), schema.SERVICE
    )
    checks.equal(
        "an update changes what it names and nothing else",
        (updated.totp, updated.friendly_name, updated.code_length),
        ({**created.totp, "code_length": 8}, "Owl Bank", 5),
    )
    verify.services(created.sid).update(totp_code_length=6)
    others = [verify.services.create(friendly_name=f"Other {n}").sid for n in range(4)]
    page = verify.services.page(page_size=2)
    checks.check("a page of services has two", len(list(page)) == 2)
    seen = [service.sid for service in verify.services.list(page_size=2)]
    ours = [sid for sid in seen if sid in {created.sid, *others}]
    checks.equal("ListService over pages of two", ours, [created.sid, *others])
    wrong = [fault for item in last_body()["services"] for fault in schema.faults(item, schema.SERVICE)]
    checks.check("ListService has every field of the schema", not wrong, "; ".join(wrong))
    performed.add("ListService")
    for sid in others:
        checks.check("DeleteService", verify.services(sid).delete())
    performed.add("DeleteService")
    refused("a deleted service", 404, 20404, lambda: verify.services(others[0]).fetch())
    refused("deleting it again", 404, 20404, lambda: verify.services(others[0]).delete())
    return verify.services(created.sid)


def entities(service):
    names = [identity() for _ in range(105)]
    first = conforms("CreateEntity", service.entities.create(identity=names[0]), schema.ENTITY)
    for name in names[1:]:
        service.entities.create(identity=name)
    conforms("FetchEntity", service.entities(names[0]).fetch(), schema.ENTITY)
    checks.equal("an entity keeps its identity", first.identity, names[0])

    found = [entity.identity for entity in service.entities.list()]
    checks.equal("105 entities over the default pages", found, names)
    found = [entity.identity for entity in service.entities.stream(page_size=20)]
    checks.equal("105 entities over pages of 20", found, names)
    found = [entity.identity for entity in service.entities.stream(limit=37, page_size=10)]
    checks.equal("a stream stops at its limit", found, names[:37])
    found = [entity.identity for entity in service.entities.list(limit=105)]
    checks.equal("105 entities on one page", found, names)

    sids = [entity.sid for entity in service.entities.list(page_size=1000)]
    page = lists("ListEntity", service.entities, schema.ENTITY, sids)
    checks.check("the first page has none before it", last_body()["meta"]["previous_page_url"] is None)
    walked, pages = [entity.sid for entity in page], 1
    while (page := page.next_page()) is not None:
        walked += [entity.sid for entity in page]
        checks.equal(f"page {pages} knows its number", last_body()["meta"]["page"], pages)
        if pages == 1 and (before := page.previous_page()) is not None:
            checks.equal("the page before page 1 is page 0", [e.sid for e in before], sids[:2])
        pages += 1
    checks.equal("walking page by page", (walked, pages), (sids, 53))

    refused("an identity twice", 409, 60301, lambda: service.entities.create(identity=names[0]))
    message = refused(
        "an identity of 7", 400, 60306, lambda: service.entities.create(identity="short12")
    )
    checks.check("the refusal names the parameter", "Identity" in message, message)
    refused(
        "an identity of 65", 400, 60306, lambda: service.entities.create(identity="a" * 65)
    )
    refused("an unknown entity", 404, 20404, lambda: service.entities(identity()).fetch())

    checks.check("DeleteEntity", service.entities(names[0]).delete())
    performed.add("DeleteEntity")
    refused("a deleted entity", 404, 20404, lambda: service.entities(names[0]).fetch())


def totp_factor(service):
    name = identity()
    created = conforms(
        "CreateFactor",
        service.entities(name).new_factors.create(
            friendly_name="John’s phone", factor_type="totp", metadata={"os": "Android"}
        ),
        schema.NEW_FACTOR,
    )
    entity = service.entities(name)
    checks.equal("creating a factor creates its entity", entity.fetch().sid, created.entity_sid)
    checks.equal(
        "a factor takes the service's settings",
        created.config,
        {"alg": "sha1", "skew": 2, "code_length": 6, "time_step": 60},
    )
    checks.equal("a factor keeps its metadata", created.metadata, {"os": "Android"})
    totp = pyotp.parse_uri(created.binding["uri"])
    checks.equal(
        "an authenticator app understands the URI",
        (totp.secret, totp.issuer, totp.name, totp.digits, totp.interval),
        (created.binding["secret"], "Owl", "John’s phone", 6, 60),
    )
    factor = entity.factors(created.sid)
    conforms("FetchFactor", factor.fetch(), schema.FACTOR)
    checks.check("the binding is told once", "binding" not in last_body())
    refused(
        "a challenge of an unverified factor",
        403,
        60318,
        lambda: entity.challenges.create(factor_sid=created.sid),
    )

    now = clear_of_the_step_edge(60)
    wrong = str((int(totp.at(now)) + 1) % 1_000_000).zfill(6)
    live = {totp.at(now + 60 * step) for step in range(-3, 4)}
    while wrong in live:
        wrong = str((int(wrong) + 1) % 1_000_000).zfill(6)
    checks.equal("a wrong code is no error", factor.update(auth_payload=wrong).status, "unverified")
    updated = conforms("UpdateFactor", factor.update(auth_payload=totp.at(now - 60)), schema.FACTOR)
    checks.equal("a right code verifies the factor", updated.status, "verified")
    renamed = factor.update(friendly_name="Jane's phone")
    checks.equal(
        "an update changes what it names and nothing else",
        (renamed.friendly_name, renamed.status, renamed.config),
        ("Jane's phone", "verified", created.config),
    )
    refused(
        "a friendly name of 65", 400, 60306, lambda: factor.update(friendly_name="a" * 65)
    )

    sids = [created.sid]
    for number in range(4):
        more = entity.new_factors.create(friendly_name=f"Spare {number}", factor_type="totp")
        sids.append(more.sid)
    lists("ListFactor", entity.factors, schema.FACTOR, sids)
    checks.check("DeleteFactor", entity.factors(sids[-1]).delete())
    performed.add("DeleteFactor")
    refused("a deleted factor", 404, 20404, lambda: entity.factors(sids[-1]).fetch())
    refused(
        "a time step of 19",
        400,
        60306,
        lambda: entity.new_factors.create(friendly_name="x", factor_type="totp", config_time_step=19),
    )
    return entity, created.sid, totp, now, wrong


def totp_challenges(entity, factor, totp, now, wrong):
    approved = conforms(
        "CreateChallenge",
        entity.challenges.create(factor_sid=factor, auth_payload=totp.at(now)),
        schema.CHALLENGE,
    )
    checks.equal("a right code approves at once", approved.status, "approved")
    checks.check("an answer has its date", isinstance(approved.date_responded, datetime))
    again = entity.challenges.create(factor_sid=factor, auth_payload=totp.at(now))
    checks.equal("a used code approves nothing", again.status, "pending")
    checks.equal("a pending challenge has no answer's date", again.date_responded, None)

    expires = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(minutes=20)
    pending = entity.challenges.create(
        factor_sid=factor,
        expiration_date=expires,
        details_message="Log in?",
        details_fields=[{"label": "Action", "value": "Log in"}, {"label": "Blank", "value": "a b+c&d=é"}],
        hidden_details={"ip": "172.168.1.234"},
    )
    checks.equal("an expiration date is kept", pending.expiration_date, expires)
    challenge = entity.challenges(pending.sid)
    fetched = conforms("FetchChallenge", challenge.fetch(), schema.CHALLENGE)
    checks.equal("hidden details are kept", fetched.hidden_details, {"ip": "172.168.1.234"})
    checks.equal(
        "details are kept",
        fetched.details,
        {
            "message": "Log in?",
            "fields": [{"label": "Action", "value": "Log in"}, {"label": "Blank", "value": "a b+c&d=é"}],
        },
    )
    checks.equal("a wrong code leaves it pending", challenge.update(auth_payload=wrong).status, "pending")
    answered = conforms(
        "UpdateChallenge",
        challenge.update(auth_payload=totp.at(now + 60), metadata={"os": "Android"}),
        schema.CHALLENGE,
    )
    checks.equal(
        "a right code approves", (answered.status, answered.metadata), ("approved", {"os": "Android"})
    )
    refused(
        "an answered challenge",
        403,
        60322,
        lambda: challenge.update(auth_payload=totp.at(now + 120)),
    )
    refused(
        "letters as a code",
        400,
        60306,
        lambda: entity.challenges(again.sid).update(auth_payload="abcdef"),
    )
    refused(
        "an expiry beyond an hour",
        400,
        60306,
        lambda: entity.challenges.create(factor_sid=factor, expiration_date=expires + timedelta(hours=1)),
    )
    sids = [approved.sid, again.sid, pending.sid]
    lists("ListChallenge", entity.challenges, schema.CHALLENGE, sids)
    lists("ListChallenge", entity.challenges, schema.CHALLENGE, sids[::-1], factor_sid=factor, order="desc")
    found = [challenge.sid for challenge in entity.challenges.list(status="pending")]
    checks.equal("challenges are filtered by status", found, [again.sid])


def push_notification(service):
    key = ec.generate_private_key(ec.SECP256R1())
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    entity = service.entities(identity())
    parameters = dict(
        friendly_name="Phone",
        factor_type="push",
        binding_alg="ES256",
        binding_public_key=base64.b64encode(der).decode(),
        config_app_id="com.example.owl",
        config_notification_platform="fcm",
        config_notification_token="t" * 40,
        config_sdk_version="1.0",
    )
    created = conforms("CreateFactor", entity.new_factors.create(**parameters), schema.NEW_FACTOR)
    refused("the same key twice", 409, 60317, lambda: entity.new_factors.create(**parameters))
    proof = key.sign(created.sid.encode(), ec.ECDSA(SHA256()))
    factor = entity.factors(created.sid).update(auth_payload=base64.b64encode(proof).decode())
    checks.equal("a signature over its SID verifies a push factor", factor.status, "verified")
    challenge = conforms(
        "CreateChallenge",
        entity.challenges.create(factor_sid=created.sid, details_message="Log in?"),
        schema.CHALLENGE,
    )
    checks.equal("a push challenge is pending", (challenge.status, challenge.factor_type), ("pending", "push"))
    sent = conforms(
        "CreateNotification",
        entity.challenges(challenge.sid).notifications.create(ttl=150),
        schema.NOTIFICATION,
    )
    checks.equal("a notification belongs to its challenge", (sent.challenge_sid, sent.ttl), (challenge.sid, 150))
    refused(
        "a push challenge without a message",
        400,
        60306,
        lambda: entity.challenges.create(factor_sid=created.sid),
    )
    entity.factors(created.sid).update(config_notification_platform="none")
    try:
        entity.challenges(challenge.sid).notifications.create()
        checks.check("nothing is pushed to platform none", False, "it was accepted")
    except TwilioRestException as error:
        checks.equal("nothing is pushed to platform none", error.code, 60307)


def access_tokens(service):
    name = identity()
    created = conforms(
        "CreateAccessToken",
        service.access_tokens.create(
            identity=name, factor_type="push", factor_friendly_name="Jane's phone", ttl=300
        ),
        schema.ACCESS_TOKEN,
    )
    checks.check("an access token is told on creation", bool(created.token))
    checks.equal("an access token keeps what it is for", (created.entity_identity, created.ttl), (name, 300))
    fetched = conforms("FetchAccessToken", service.access_tokens(created.sid).fetch(), schema.ACCESS_TOKEN)
    checks.equal("an access token is fetched as it was created", fetched.entity_identity, name)
    default = service.access_tokens.create(identity=name, factor_type="push")
    checks.equal("an access token lives a minute by default", default.ttl, 60)
    refused(
        "an access token of 301 seconds",
        400,
        60300,
        lambda: service.access_tokens.create(identity=name, factor_type="push", ttl=301),
    )


def forms():
    conforms("FetchForm", verify.forms("form-push").fetch(), schema.FORM)
    refused("an unknown form", 404, 20404, lambda: verify.forms("form-smoke").fetch())


def webhooks(service):
    create = dict(
        friendly_name="Hook",
        event_types=["factor.created", "challenge.approved"],
        webhook_url="https://example.com/hook",
    )
    created = conforms("CreateWebhook", service.webhooks.create(**create), schema.WEBHOOK)
    checks.equal(
        "a webhook has its defaults",
        (created.status, created.version, created.webhook_method),
        ("enabled", "v2", "POST"),
    )
    conforms("FetchWebhook", service.webhooks(created.sid).fetch(), schema.WEBHOOK)
    updated = conforms("UpdateWebhook", service.webhooks(created.sid).update(status="disabled"), schema.WEBHOOK)
    checks.equal(
        "an update changes what it names and nothing else",
        (updated.status, updated.event_types, updated.webhook_url, updated.friendly_name),
        ("disabled", create["event_types"], create["webhook_url"], "Hook"),
    )
    sids = [created.sid] + [service.webhooks.create(**create).sid for _ in range(4)]
    lists("ListWebhook", service.webhooks, schema.WEBHOOK, sids)
    refused(
        "an event that does not exist",
        400,
        60306,
        lambda: service.webhooks.create(**{**create, "event_types": ["factor.eaten"]}),
    )
    checks.check("DeleteWebhook", service.webhooks(created.sid).delete())
    performed.add("DeleteWebhook")
    refused("a deleted webhook", 404, 20404, lambda: service.webhooks(created.sid).fetch())


def credentials(service):
    stranger = Client(server.account, "0" * 32)
    stranger.verify.base_url = server.url
    unknown = "VA" + "0" * 32
    for name, call in {
        "a wrong token": lambda: stranger.verify.v2.services.create(friendly_name="Owl"),
        "a wrong token on a service": lambda: stranger.verify.v2.services(service.fetch().sid).fetch(),
        "a wrong token on an unknown service": lambda: stranger.verify.v2.services(unknown).fetch(),
    }.items():
        try:
            call()
            checks.check(f"refused: {name}", False, "it was accepted")
        except TwilioRestException as error:
            checks.equal(f"refused: {name}", (error.status, error.code), (401, 20003))


service = services()
entities(service)
totp_challenges(*totp_factor(service))
push_notification(service)
access_tokens(service)
forms()
webhooks(service)
credentials(service)
verification = verifications()
checks_of_codes()
attempts(verification)
templates()
rate_limits()
limits_are_kept()
messaging_configurations()
safe_list()
checks.equal("all 53 operations were performed", sorted(OPERATIONS - performed), [])
checks.finish()
