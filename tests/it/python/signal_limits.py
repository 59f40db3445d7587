"""The limits of Signal's registration service, with their exact waits."""

from cases import ask, case, equal, wait
from signal_service import SMS, VOICE, Caller, code_of, pb, wrong

caller = Caller(ask("token", dialect="signal")["token"])


def number(nth):
    """A number for films and books, of another area for each case."""
    return int(f"1{[201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217][nth]}5550100")


@case
def a_session_is_begun_without_a_sending_and_ends_after_ten_minutes():
    made = caller.try_create(number(0))
    equal(made, pb.RegistrationSessionMetadata(
        session_id=made.session_id, e164=number(0), may_request_sms=True, expiration_seconds=600,
    ))
    equal(caller.get(made.session_id), made)
    # Whole seconds, rounded down.
    wait(0.001)
    equal(caller.get(made.session_id).expiration_seconds, 599)
    wait(599.998)
    equal(caller.get(made.session_id).expiration_seconds, 0)
    wait(0.001)
    equal(caller.get(made.session_id), "NOT_FOUND")


@case
def five_text_messages_with_their_waits_and_the_sessions_end_after_each():
    session = caller.create(number(1))
    for delay, expiration in [(60, 660), (120, 720), (300, 900), (600, 1200)]:
        sent = caller.send(session)
        equal((sent.may_request_sms, sent.next_sms_seconds, sent.expiration_seconds), (True, delay, expiration))
        equal((sent.may_check_code, sent.next_code_check_seconds), (True, 0))
        wait(0.5)
        refused, error = caller.try_send(session)
        equal(error, ("RATE_LIMITED", True, delay - 1))
        equal(refused, caller.get(session))
        equal(refused.next_sms_seconds, delay - 1)
        wait(delay - 0.501)
        equal(caller.try_send(session)[1], ("RATE_LIMITED", True, 0))
        wait(0.001)
    last = caller.send(session)
    equal((last.may_request_sms, last.next_sms_seconds, last.expiration_seconds), (False, 0, 600))
    wait(599)
    refused, error = caller.try_send(session)
    equal(error, ("RATE_LIMITED", False, 0))
    equal((refused.may_request_sms, refused.expiration_seconds), (False, 1))


@case
def each_text_message_has_a_code_of_its_own():
    session = caller.create(number(2))
    caller.send(session)
    first = code_of(session)
    wait(60)
    caller.send(session)
    second = code_of(session)
    # Six digits of chance are the same once in a million times.
    assert first != second
    equal(caller.check(session, first).verified, False)
    equal(caller.check(session, second).verified, True)


@case
def a_call_waits_for_a_text_message_and_three_are_made():
    session = caller.create(number(3))
    refused, error = caller.try_send(session, VOICE)
    equal(error, ("RATE_LIMITED", False, 0))
    equal((refused.may_request_voice_call, refused.next_voice_call_seconds), (False, 0))
    sent = caller.send(session)
    equal((sent.may_request_voice_call, sent.next_voice_call_seconds), (True, 60))
    equal(caller.try_send(session, VOICE)[1], ("RATE_LIMITED", True, 60))
    wait(60)
    for delay, expiration in [(60, 660), (300, 900)]:
        called = caller.send(session, VOICE)
        equal((called.may_request_voice_call, called.next_voice_call_seconds), (True, delay))
        equal(called.expiration_seconds, expiration)
        wait(delay - 0.5)
        equal(caller.try_send(session, VOICE)[1], ("RATE_LIMITED", True, 0))
        wait(0.5)
    last = caller.send(session, VOICE)
    equal((last.may_request_voice_call, last.next_voice_call_seconds), (False, 0))
    equal(caller.try_send(session, VOICE)[1], ("RATE_LIMITED", False, 0))
    # A call has the code of its own, too; text messages were waited for meanwhile.
    equal((last.may_request_sms, last.next_sms_seconds), (True, 0))
    equal(caller.check(session, code_of(session)).verified, True)


@case
def calls_and_text_messages_wait_for_themselves_alone():
    session = caller.create(number(4))
    caller.send(session)
    wait(60)
    called = caller.send(session, VOICE)
    equal((called.next_sms_seconds, called.next_voice_call_seconds), (0, 60))
    sent = caller.send(session)
    # The first text message is what opened the gate.
    equal((sent.next_sms_seconds, sent.next_voice_call_seconds), (120, 60))


@case
def five_guesses_for_each_code_with_their_waits():
    session = caller.create(number(5))
    caller.send(session)
    for round_of_guesses in range(2):
        bad = wrong(code_of(session))
        for guess, delay in [(bad, 0), ("incorrect", 0), (bad, 60), ("", 120)]:
            checked = caller.check(session, guess)
            equal((checked.verified, checked.may_check_code, checked.next_code_check_seconds), (False, True, delay))
            if delay:
                wait(0.25)
                refused, error = caller.try_check(session, code_of(session))
                equal(error, ("RATE_LIMITED", True, delay - 1))
                equal(refused, caller.get(session))
                wait(delay - 0.25)
        fifth = caller.check(session, bad)
        equal((fifth.may_check_code, fifth.next_code_check_seconds), (False, 0))
        refused, error = caller.try_check(session, code_of(session))
        equal(error, ("RATE_LIMITED", False, 0))
        equal(refused, fifth)
        if round_of_guesses == 0:
            # The next code takes nothing over, neither the number nor the time of the guesses before.
            sent = caller.send(session)
            equal((sent.may_check_code, sent.next_code_check_seconds), (True, 0))
    # The limit comes before the code's own end.
    wait(600 - 180)
    equal(caller.try_check(session, code_of(session))[1], ("RATE_LIMITED", False, 0))


@case
def a_wait_of_guesses_ends_with_the_next_code():
    session = caller.create(number(6))
    caller.send(session)
    for _ in range(3):
        caller.check(session, wrong(code_of(session)))
    wait(59)
    equal(caller.try_check(session, "123456")[1], ("RATE_LIMITED", True, 1))
    wait(1)
    caller.check(session, wrong(code_of(session)))
    equal(caller.get(session).next_code_check_seconds, 120)
    equal(caller.send(session).next_code_check_seconds, 0)
    equal(caller.check(session, code_of(session)).verified, True)


@case
def a_code_is_over_after_ten_minutes_and_the_session_later():
    session = caller.create(number(7))
    caller.send(session)
    code = code_of(session)
    wait(599.999)
    equal(caller.get(session).may_check_code, True)
    wait(0.001)
    late = caller.get(session)
    equal((late.may_check_code, late.next_code_check_seconds, late.expiration_seconds), (False, 0, 60))
    equal(caller.try_check(session, code), (None, ("ATTEMPT_EXPIRED", False, 0)))
    equal(caller.legacy_check(session, code), (False, ("ATTEMPT_EXPIRED", False, 0)))
    # Asking too late changes nothing.
    equal(caller.get(session), late)
    wait(60)
    equal(caller.get(session), "NOT_FOUND")
    equal(caller.try_check(session, code), (None, ("SESSION_NOT_FOUND", False, 0)))


@case
def guesses_make_a_session_live_longer():
    session = caller.create(number(8))
    caller.send(session)
    wait(300)
    # The next text message could have been asked for 240 seconds ago, the next guess at once.
    equal(caller.get(session).expiration_seconds, 360)
    for expiration in [600, 600, 660]:
        equal(caller.check(session, "000000x").expiration_seconds, expiration)


@case
def five_sessions_of_a_number_a_minute_apart_counted_apart_by_their_key():
    for nth in range(5):
        caller.create(number(9), "a")
        equal(caller.try_create(number(9), "a"), ("RATE_LIMITED", True, 60 if nth < 4 else 17280 - 240))
        wait(0.5)
        equal(caller.try_create(number(9), "a"), ("RATE_LIMITED", True, 59 if nth < 4 else 17280 - 241))
        if nth < 4:
            wait(59.5)
    # Another key, no key and another number have buckets of their own; so has whoever puts both together.
    caller.create(number(9), "b")
    caller.create(number(9))
    caller.create(number(9) + 1, "a")
    wait(17280 - 240.501)
    equal(caller.try_create(number(9), "a"), ("RATE_LIMITED", True, 0))
    wait(0.001)
    caller.create(number(9), "a")
    equal(caller.try_create(number(9), "a"), ("RATE_LIMITED", True, 17280))
    # All five are there again a day later.
    wait(24 * 3600)
    for _ in range(5):
        caller.create(number(9), "a")
        wait(60)
    equal(caller.try_create(number(9), "a")[:2], ("RATE_LIMITED", True))


@case
def a_number_gets_no_more_than_its_day_allows_and_the_session_is_shown():
    sent = 0
    for key in ["a", "b", "c", "d", "e", "f"]:
        session = caller.create(number(10), key)
        for delay in [60, 120, 300, 600, 0]:
            caller.send(session)
            sent += 1
            wait(delay)
        equal(caller.check(session, code_of(session)).verified, True)
    equal(sent, 30)
    session = caller.create(number(10), "g")
    metadata, (kind, may_retry, seconds) = caller.try_send(session)
    equal((kind, may_retry), ("RATE_LIMITED", True))
    assert 3600 < seconds <= 24 * 3600, seconds
    equal(metadata, caller.get(session))
    wait(seconds)
    equal(caller.try_send(session, SMS)[1], ("SESSION_NOT_FOUND", False, 0))


@case
def wrong_codes_of_a_number_add_up_over_its_sessions():
    for _ in range(2):
        session = caller.create(number(11))
        caller.send(session)
        for delay in [0, 0, 60, 120, 0]:
            caller.check(session, wrong(code_of(session)))
            wait(delay)
    session = caller.create(number(11))
    caller.send(session)
    before = caller.get(session)
    metadata, (kind, may_retry, seconds) = caller.try_check(session, code_of(session))
    equal((kind, may_retry), ("RATE_LIMITED", True))
    assert seconds > 0, seconds
    equal(metadata, before)
    equal(caller.get(session), before)
    wait(seconds + 1)
    equal(caller.check(session, code_of(session)).verified, True)
