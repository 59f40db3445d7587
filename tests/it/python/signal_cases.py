"""Signal's registration service through `grpcio`: every error, every limit with its exact waits, both spellings."""

import grpc

import signal_limits  # noqa: F401  the cases of the limits come first
from cases import ask, case, equal, run_all, wait
from signal_service import SMS, VOICE, Caller, code_of, message_to, old_stub, pb, status_of, wrong

token = ask("token", dialect="signal")["token"]
caller = Caller(token)
LANDLINE, PREMIUM, FRENCH = 3222345678, 3290012345, 33612345678


def number(nth):
    """A number for films and books, of another area for each case."""
    return int(f"1{[305, 312, 313, 314, 315, 316, 317, 318, 319, 320, 321, 323, 325, 330, 331, 334][nth]}5550100")


@case
def what_is_no_number_is_refused():
    for illegal in [0, 1, 999, 2**64 - 1, 10**15]:
        equal(caller.try_create(illegal), ("ILLEGAL_PHONE_NUMBER", False, 0))


@case
def a_number_is_kept_as_it_is_and_what_is_known_of_it_changes_nothing():
    made = caller.try_create(number(0), exists=True)
    equal((made.e164, made.may_request_sms), (number(0), True))
    equal(caller.get(made.session_id), made)


@case
def malformed_requests_are_invalid_arguments_without_a_word():
    session = caller.create(number(1))
    calls = [caller.get, lambda session: caller.try_send(session), lambda session: caller.try_check(session, "1")]
    for call in [*calls, lambda session: caller.legacy_check(session, "1")]:
        for length in [0, 1, 15, 17, 32]:
            equal(status_of(lambda: call(bytes(length))), (grpc.StatusCode.INVALID_ARGUMENT, ""))
    for transport in [0, 3, -1, 2**31 - 1]:
        refused = status_of(lambda: caller.try_send(session, transport))
        equal(refused, (grpc.StatusCode.INVALID_ARGUMENT, ""))
    equal(caller.get(session).may_check_code, False)


@case
def what_is_unknown_is_not_found():
    for session in [bytes(16), b"\xff" * 16, caller.create(number(2))[::-1]]:
        equal(caller.get(session), "NOT_FOUND")
        equal(caller.try_send(session), (None, ("SESSION_NOT_FOUND", False, 0)))
        equal(caller.try_check(session, "123456"), (None, ("SESSION_NOT_FOUND", False, 0)))
        equal(caller.legacy_check(session, "123456"), (False, ("SESSION_NOT_FOUND", False, 0)))


@case
def nothing_is_checked_before_something_is_sent():
    session = caller.create(number(3))
    metadata, error = caller.try_check(session, "123456")
    equal(error, ("NO_CODE_SENT", False, 0))
    equal(metadata, caller.get(session))
    equal(caller.legacy_check(session, "123456"), (False, ("NO_CODE_SENT", False, 0)))


@case
def a_wrong_code_is_no_error_and_the_right_one_verifies():
    session = caller.create(number(4))
    caller.send(session)
    code = code_of(session)
    assert len(code) == 6 and code.isdecimal(), code
    for given in ["incorrect", wrong(code)]:
        equal(caller.check(session, given).verified, False)
    equal(caller.get(session).verified, False)
    wait(60)
    verified = caller.check(session, code)
    equal(verified, pb.RegistrationSessionMetadata(
        session_id=session, verified=True, e164=number(4), expiration_seconds=600,
    ))
    # Whatever is given then.
    for given in [code, wrong(code), "", "\0" * 16]:
        equal(caller.check(session, given), verified)
    for transport in [SMS, VOICE]:
        equal(caller.try_send(session, transport), (verified, ("SESSION_ALREADY_VERIFIED", False, 0)))
    equal(caller.legacy_check(session, code), (True, None))
    for given in [wrong(code), "", "incorrect"]:
        equal(caller.legacy_check(session, given), (False, None))
    # Not one of these calls makes it live longer.
    wait(599.5)
    equal(caller.get(session).expiration_seconds, 0)
    wait(0.5)
    equal(caller.get(session), "NOT_FOUND")
    equal(caller.try_send(session), (None, ("SESSION_NOT_FOUND", False, 0)))
    equal(caller.legacy_check(session, code), (False, ("SESSION_NOT_FOUND", False, 0)))


@case
def the_older_check_knows_the_same_errors():
    session = caller.create(number(5))
    caller.send(session)
    code = code_of(session)
    for _ in range(3):
        equal(caller.legacy_check(session, wrong(code)), (False, None))
    equal(caller.legacy_check(session, code), (False, ("RATE_LIMITED", True, 60)))
    wait(600)
    equal(caller.legacy_check(session, code), (False, ("ATTEMPT_EXPIRED", False, 0)))
    caller.send(session)
    equal(caller.legacy_check(session, code_of(session)), (True, None))
    equal(caller.get(session).verified, True)


@case
def a_landline_is_refused_text_messages_where_the_service_says_so():
    caller.create(number(6))  # The service is there from the first call on.
    ask("service", settings={"LookupEnabled": "true", "SkipSmsToLandlines": "true"})
    session = caller.create(LANDLINE)
    metadata, error = caller.try_send(session)
    equal(error, ("TRANSPORT_NOT_ALLOWED", False, 0))
    equal((metadata.session_id, metadata.verified, metadata.may_check_code), (session, False, False))
    # No text message ever, and a call at once: there is none to wait for.
    equal((metadata.may_request_sms, metadata.next_sms_seconds), (False, 0))
    equal((metadata.may_request_voice_call, metadata.next_voice_call_seconds), (True, 0))
    equal(metadata, caller.get(session))
    equal(caller.try_check(session, "123456")[1], ("NO_CODE_SENT", False, 0))
    equal(caller.try_send(session)[1], ("RATE_LIMITED", False, 0))
    equal(caller.send(session, VOICE).next_voice_call_seconds, 60)
    equal(message_to(LANDLINE)["channel"], "call")
    equal(caller.check(session, code_of(session)).verified, True)
    ask("service", settings={"SkipSmsToLandlines": "false"})


@case
def who_has_no_sender_and_who_is_likely_fraud_are_told_apart():
    session = caller.create(FRENCH)
    equal(caller.try_send(session), (None, ("SENDER_REJECTED", False, 0)))
    # Nothing was counted.
    equal(caller.get(session).may_request_sms, True)
    session = caller.create(PREMIUM)
    equal(caller.try_send(session), (None, ("SUSPECTED_FRAUD", False, 0)))
    equal(caller.get(session).may_request_sms, True)


@case
def a_sender_is_named_and_another_one_helps_out():
    for nth, (transport, name, used) in enumerate([
        (SMS, "", "first"), (SMS, "second", "second"), (SMS, "first", "first"), (SMS, "unheard-of", "first"),
        (SMS, "Sec\u00f6nd \0" * 50, "first"),
    ]):
        own = number(7) + nth
        session = caller.create(own)
        caller.send(session, transport, sender_name=name)
        sent = message_to(own)
        equal((sent["sender"], sent["channel"], sent["code"]), (used, "sms", code_of(session)))
    # The second one makes no calls.
    wait(60)
    caller.send(session, VOICE, sender_name="second")
    called = message_to(own)
    equal((called["sender"], called["channel"]), ("first", "call"))


@case
def languages_are_those_of_the_header_and_english_otherwise():
    seen = {}
    for nth, (header, language) in enumerate([
        ("", "en"), ("de", "de"), ("de-AT, en;q=0.8", "de"), ("en;q=0.2, fr;q=0.9, de", "de"), ("fr;q=0.3,de;q=0.2", "fr"), ("tlh, de;q=0.1", "de"),
        ("*", "en"), ("de;q=nonsense", "en"), ("de;q=2", "en"), (";;;,,,", "en"), ("\u202ede\0", "en"), ("x" * 10_000, "en"),
    ]):
        own = number(8) + nth
        session = caller.create(own)
        caller.send(session, accept_language=header)
        sent = message_to(own)
        equal(sent["locale"].split("-")[0], language)
        assert code_of(session) in sent["text"] and "Signal" in sent["text"], sent
        seen[language] = sent["text"].replace(code_of(session), "")
    equal(len(set(seen.values())), 3)


@case
def only_apps_for_android_get_their_hash():
    for nth, (client, has_hash) in enumerate([
        (pb.CLIENT_TYPE_UNSPECIFIED, False), (pb.CLIENT_TYPE_IOS, False), (pb.CLIENT_TYPE_ANDROID_WITH_FCM, True),
        (pb.CLIENT_TYPE_ANDROID_WITHOUT_FCM, True), (17, False),
    ]):
        own = number(9) + nth
        caller.send(caller.create(own), client_type=client)
        equal(message_to(own)["text"].endswith("\nFA+9qCX9VSu"), has_hash)


@case
def whoever_shows_no_good_token_is_unauthenticated():
    made = ask("token", dialect="signal", life=3600)
    good, sid = made["token"], made["sid"]
    strange = ask("token", dialect="zitadel")["token"]
    revoked = ask("token", dialect="signal")
    ask("revoke", sid=revoked["sid"])

    def status(shown, header="authorization"):
        return status_of(lambda: Caller(shown, header=header).get(bytes(16)))

    for header in ["authorization", "x-signal-api-key"]:
        equal(Caller(good, header=header).get(bytes(16)), "NOT_FOUND")
        for bad in [
            strange, revoked["token"], "", " ", good + "x", good[:-1], sid, sid + "_", good.lower() + "_", "_", "x" * 2000,
            f"{sid}_{strange.split('_', 1)[1]}", f"{strange.split('_', 1)[0]}_{good.split('_', 1)[1]}",
        ]:
            equal(status(bad, header), (grpc.StatusCode.UNAUTHENTICATED, "API key not recognized"))
    code, words = status(None)
    equal(code, grpc.StatusCode.UNAUTHENTICATED)
    assert words.startswith("No API key provided"), words
    # The token is looked at before what is asked, and before whether it can be read.
    for call in [
        lambda: Caller(None).try_create(number(10)), lambda: Caller(None).try_send(b"1", 0),
        lambda: Caller(None).try_check(b"1", "1"), lambda: Caller(None).legacy_check(b"1", "1"),
    ]:
        equal(status_of(call)[0], grpc.StatusCode.UNAUTHENTICATED)
    wait(3599.9)
    equal(Caller(good).get(bytes(16)), "NOT_FOUND")
    wait(0.1)
    equal(status(good), (grpc.StatusCode.UNAUTHENTICATED, "API key not recognized"))


@case
def sessions_are_their_accounts_own():
    other = Caller(ask("token", dialect="signal", account=1)["token"])
    session = caller.create(number(11))
    caller.send(session)
    code = code_of(session)
    before = caller.get(session)
    equal(other.get(session), "NOT_FOUND")
    equal(other.try_send(session), (None, ("SESSION_NOT_FOUND", False, 0)))
    equal(other.try_check(session, code), (None, ("SESSION_NOT_FOUND", False, 0)))
    equal(other.legacy_check(session, code), (False, ("SESSION_NOT_FOUND", False, 0)))
    equal(caller.get(session), before)
    equal(caller.check(session, code).verified, True)
    # A new session of theirs is no repetition of ours, but the same number is not asked for twice by one.
    equal(other.try_create(number(11)).e164, number(11))
    equal(caller.try_create(number(11)), ("RATE_LIMITED", True, 60))


@case
def both_spellings_are_the_same_service():
    older = Caller(token, stub=old_stub)
    for nth, (one, another) in enumerate([(older, caller), (caller, older)]):
        session = one.create(number(12) + nth)
        equal(another.get(session).session_id, session)
        one.send(session)
        equal(another.legacy_check(session, wrong(code_of(session))), (False, None))
        equal(one.check(session, wrong(code_of(session))).verified, False)
        equal(another.check(session, code_of(session)).verified, True)
        equal(one.legacy_check(session, code_of(session)), (True, None))
        equal(another.try_send(session)[1], ("SESSION_ALREADY_VERIFIED", False, 0))


@case
def requests_may_be_compressed():
    zipped = Caller(token, compression=grpc.Compression.Gzip)
    session = zipped.create(number(13), key="k" * 3000)
    equal(zipped.send(session, accept_language="de, " * 500 + "de").may_check_code, True)
    deflated = Caller(token, compression=grpc.Compression.Deflate)
    equal(status_of(lambda: deflated.get(session))[0], grpc.StatusCode.UNIMPLEMENTED)
    equal(zipped.get(session).session_id, session)


run_all()
