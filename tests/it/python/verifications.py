"""Codes by message: verifications, their checks, the attempts to send them, the templates of what they say."""

from datetime import datetime, timedelta, timezone

import schema
from library import checks, code_of, conforms, last_body, performed, refused, verify

CARRIER = {"mobile_country_code", "mobile_network_code", "name", "type", "error_code"}


def service(**settings):
    created = verify.services.create(friendly_name="Owl Bank", **settings)
    return verify.services(created.sid)


def verifications():
    owl = service(lookup_enabled=True, code_length=7)
    number = "+4915112345001"
    created = conforms(
        "CreateVerification", owl.verifications.create(to=number, channel="sms"), schema.VERIFICATION
    )
    checks.equal(
        "a verification waits for its code",
        (created.to, created.channel, created.status, created.valid, created.amount, created.sna),
        (number, "sms", "pending", False, None, None),
    )
    checks.equal("a number is looked up", set(created.lookup["carrier"]), CARRIER)
    checks.equal("a mobile number is one", created.lookup["carrier"]["type"], "mobile")
    again = conforms(
        "CreateVerification", owl.verifications.create(to=number, channel="call"), schema.VERIFICATION
    )
    channels = [attempt["channel"] for attempt in again.send_code_attempts]
    checks.equal("sending again is the same verification", (again.sid, channels), (created.sid, ["SMS", "CALL"]))
    codes = [code_of(attempt["attempt_sid"]) for attempt in again.send_code_attempts]
    checks.equal("it is the same code, of the service's length", (len(set(codes)), len(codes[0])), (1, 7))
    for name in (created.sid, number, number.replace("+", "%2B")):
        fetched = conforms("FetchVerification", owl.verifications(name).fetch(), schema.VERIFICATION)
        checks.equal(f"fetched as {name}", fetched.sid, created.sid)
    checked = conforms(
        "CreateVerificationCheck",
        owl.verification_checks.create(to=number, code=codes[0]),
        schema.VERIFICATION_CHECK,
    )
    checks.equal("the code approves", (checked.status, checked.valid), ("approved", True))
    refused(
        "a code that was used", 404, 20404, lambda: owl.verification_checks.create(to=number, code=codes[0])
    )
    fetched = owl.verifications(created.sid).fetch()
    checks.equal("what became of it can be fetched", fetched.status, "approved")

    for status in ("canceled", "approved"):
        waiting = owl.verifications.create(to="mail@example.com", channel="email")
        updated = conforms(
            "UpdateVerification", owl.verifications(waiting.sid).update(status=status), schema.VERIFICATION
        )
        checks.equal(f"a verification is {status}", (updated.status, updated.valid), (status, status == "approved"))
        refused("it is over", 404, 20404, lambda: owl.verifications(waiting.sid).update(status="canceled"))
    checks.equal("an e-mail address has no lookup", updated.lookup, {})

    other = service()
    unknown = "VE" + "0" * 32
    refused("an unknown verification", 404, 20404, lambda: other.verifications(unknown).fetch())
    refused("another service's verification", 404, 20404, lambda: other.verifications(created.sid).fetch())
    refused(
        "a code of one's own", 403, 60204,
        lambda: other.verifications.create(to=number, channel="sms", custom_code="123456"),
    )
    message = refused(
        "a number that is none", 400, 60200, lambda: other.verifications.create(to="12", channel="sms")
    )
    checks.check("the refusal names the parameter", "To" in message, message)
    every_parameter()
    return owl.verifications(created.sid).fetch()


def every_parameter():
    own = service(custom_code_enabled=True, do_not_share_warning_enabled=True)
    own.rate_limits.create(unique_name="client_address")
    created = conforms(
        "CreateVerification",
        own.verifications.create(
            to="+4915112345002",
            channel="sms",
            custom_code="013579",
            custom_friendly_name="Eagle Owl",
            custom_message="Here it is: {{code}}",
            send_digits="ww1",
            locale="pt-BR",
            rate_limits={"client_address": "192.0.2.1"},
            channel_configuration={"from": "foo@example.com", "from_name": "Foo"},
            app_hash="He42w354ol9",
            device_ip="192.0.2.7",
            enable_sna_client_token=False,
            risk_check="enable",
            tags='{"tenant_id": "12345"}',
        ),
        schema.VERIFICATION,
    )
    checks.equal(
        "a code of one's own is sent", code_of(created.send_code_attempts[0]["attempt_sid"]), "013579"
    )
    checked = own.verification_checks.create(verification_sid=created.sid, code="013579")
    checks.equal("a code of one's own approves", checked.status, "approved")

    psd2 = service(psd2_enabled=True)
    parameters = dict(to="+4915112345003", channel="sms")
    refused("a payment without its payee", 400, 60206, lambda: psd2.verifications.create(**parameters, amount="1"))
    refused("no payment", 400, 60206, lambda: psd2.verifications.create(**parameters))
    paying = dict(amount="€39.99", payee="Acme Inc.")
    waiting = conforms("CreateVerification", psd2.verifications.create(**parameters, **paying), schema.VERIFICATION)
    checks.equal("a payment is shown", (waiting.amount, waiting.payee), ("€39.99", "Acme Inc."))
    code = code_of(waiting.send_code_attempts[0]["attempt_sid"])
    to = dict(to="+4915112345003", code=code)
    other = psd2.verification_checks.create(**to, amount="€3999", payee="Acme Inc.")
    checks.equal("the code for another payment is wrong", (other.status, other.valid), ("pending", False))
    right = conforms(
        "CreateVerificationCheck", psd2.verification_checks.create(**to, **paying), schema.VERIFICATION_CHECK
    )
    checks.equal("the code for this payment is right", (right.status, right.amount), ("approved", "€39.99"))


def checks_of_codes():
    owl = service(custom_code_enabled=True)
    to = "+4915112345004"
    owl.verifications.create(to=to, channel="sms", custom_code="424242")
    for _ in range(4):
        wrong = conforms(
            "CreateVerificationCheck",
            owl.verification_checks.create(to=to, code="424243"),
            schema.VERIFICATION_CHECK,
        )
        checks.equal("a wrong code is no error", (wrong.status, wrong.valid), ("pending", False))
    owl.verification_checks.create(to=to, code="424243")
    refused(
        "a sixth check, with the right code", 429, 60202,
        lambda: owl.verification_checks.create(to=to, code="424242"),
    )
    refused(
        "another verification meanwhile", 429, 60202,
        lambda: owl.verifications.create(to=to, channel="sms"),
    )
    refused("nothing to be checked", 400, 60221, lambda: owl.verification_checks.create(code="424242"))
    refused("three digits", 400, 60200, lambda: owl.verification_checks.create(to=to, code="123"))
    busy = "+4915112345005"
    for _ in range(5):
        owl.verifications.create(to=busy, channel="sms")
    refused("a sixth sending", 429, 60203, lambda: owl.verifications.create(to=busy, channel="sms"))
    performed.add("CreateVerificationCheck")


def attempts(verification):
    first = verification.send_code_attempts[0]["attempt_sid"]
    fetched = conforms("FetchVerificationAttempt", verify.verification_attempts(first).fetch(), schema.ATTEMPT)
    checks.equal(
        "an attempt belongs to its verification",
        (fetched.verification_sid, fetched.channel_data["to"], fetched.channel_data["country"]),
        (verification.sid, verification.to, "DE"),
    )
    sids = [attempt["attempt_sid"] for attempt in verification.send_code_attempts][::-1]
    filters = dict(verification_sid=verification.sid)
    found = [attempt.sid for attempt in verify.verification_attempts.list(page_size=1, **filters)]
    checks.equal("ListVerificationAttempt over pages of one, the newest first", found, sids)
    everything = verify.verification_attempts.list(page_size=3)
    body = last_body()
    wrong = schema.faults(body["meta"], schema.META)
    wrong += [fault for item in body["attempts"] for fault in schema.faults(item, schema.ATTEMPT)]
    checks.check("ListVerificationAttempt has every field of the schema", not wrong, "; ".join(wrong))
    performed.add("ListVerificationAttempt")
    dates = [attempt.date_created for attempt in everything]
    checks.check("the newest come first", dates == sorted(dates, reverse=True), dates)

    before = datetime.now(timezone.utc) - timedelta(hours=1)
    after = datetime.now(timezone.utc) + timedelta(hours=1)
    for name, filters, wanted in [
        ("the channel", dict(channel="call"), lambda one: one.channel == "call"),
        ("the country", dict(country="DE"), lambda one: one.channel_data["country"] == "DE"),
        (
            "the destination",
            dict(channel_data_to=verification.to),
            lambda one: one.channel_data["to"] == verification.to,
        ),
        (
            "the service",
            dict(verify_service_sid=verification.service_sid),
            lambda one: one.service_sid == verification.service_sid,
        ),
        ("the conversion", dict(status="converted"), lambda one: one.conversion_status == "converted"),
        ("the beginning", dict(date_created_after=before), lambda one: True),
        ("the end", dict(date_created_before=before), lambda one: False),
        ("both ends", dict(date_created_after=before, date_created_before=after), lambda one: True),
    ]:
        found = [attempt.sid for attempt in verify.verification_attempts.list(**filters)]
        expected = [attempt.sid for attempt in everything if wanted(attempt)]
        checks.equal(f"attempts by {name}", found, expected)

    summary = conforms(
        "FetchVerificationAttemptsSummary", verify.verification_attempts_summary().fetch(), schema.SUMMARY
    )
    converted = sum(attempt.conversion_status == "converted" for attempt in everything)
    checks.equal(
        "the summary counts what is listed",
        (summary.total_attempts, summary.total_converted, summary.total_unconverted),
        (len(everything), converted, len(everything) - converted),
    )
    rate = float(summary.conversion_rate_percentage)
    checks.check("the rate is theirs", abs(rate - 100 * converted / len(everything)) < 1e-8, rate)
    some = verify.verification_attempts_summary().fetch(
        verify_service_sid=verification.service_sid,
        date_created_after=before,
        date_created_before=after,
        country="DE",
        channel="sms",
        destination_prefix="+4915112345",
    )
    checks.equal("a summary of one service", some.total_attempts, 1)
    refused("an unknown attempt", 404, 20404, lambda: verify.verification_attempts("VL" + "0" * 32).fetch())


def templates():
    found = verify.templates.list(page_size=1)
    body = last_body()
    wrong = [fault for item in body["templates"] for fault in schema.faults(item, schema.TEMPLATE)]
    checks.check("ListVerificationTemplate has every field of the schema", found and not wrong, "; ".join(wrong))
    named = verify.templates.list(friendly_name=found[0].friendly_name)
    checks.equal("templates by name", [one.sid for one in named], [found[0].sid])
    checks.equal("templates by another name", verify.templates.list(friendly_name="No such template"), [])
    performed.add("ListVerificationTemplate")
    owl = service(default_template_sid=found[0].sid)
    created = owl.verifications.create(
        to="+4915112345006", channel="sms", template_sid=found[0].sid, template_custom_substitutions="{}"
    )
    code = code_of(created.send_code_attempts[0]["attempt_sid"])
    checks.equal(
        "a code in a template approves", owl.verification_checks.create(to=created.to, code=code).status, "approved"
    )
