"""Vonage's own Python libraries of two generations, over TLS: begin, go on, check, look for, cancel."""

import ast
import importlib.metadata
import sys

from cases import ask, case, equal, run_all, wait

host = sys.argv[1]
major = int(importlib.metadata.version("vonage").split(".")[0])
assert major == int(sys.argv[2])

import vonage  # noqa: E402

NUMBER = f"491511234568{major}"


class Client:
    """Both generations with the same methods. What is answered is a dictionary."""

    def __init__(self, credentials):
        self.key = credentials["key"]
        if major >= 4:
            auth = vonage.Auth(api_key=self.key, api_secret=credentials["secret"])
            client = vonage.Vonage(auth, vonage.HttpClientOptions(api_host=host))
            self.verify = client.verify_legacy
        else:
            client = vonage.Client(key=self.key, secret=credentials["secret"])
            client.api_host(host)
            self.verify = client.verify

    def start(self, **parameters):
        if major < 4:
            return self.verify.start_verification(parameters)
        from vonage_verify_legacy import VerifyRequest

        return self.answered(lambda: self.verify.start_verification(VerifyRequest(**parameters)))

    def start_psd2(self, **parameters):
        if major < 4:
            return self.verify.psd2(parameters)
        from vonage_verify_legacy import Psd2Request

        return self.answered(lambda: self.verify.start_psd2_verification(Psd2Request(**parameters)))

    def check(self, request_id, code):
        if major < 4:
            return self.verify.check(request_id, code=code)
        return self.answered(lambda: self.verify.check_code(request_id, code))

    def search(self, request_id):
        return self.answered(lambda: self.verify.search(request_id))

    def cancel(self, request_id):
        cancel = self.verify.cancel if major < 4 else self.verify.cancel_verification
        return self.answered(lambda: cancel(request_id))

    def trigger(self, request_id):
        return self.answered(lambda: self.verify.trigger_next_event(request_id))

    @staticmethod
    def answered(call):
        """The answer; today's library raises what is no success, with the answer in its words."""
        if major < 4:
            return call()
        from vonage_verify_legacy.errors import VerifyError

        try:
            answer = call()
        except VerifyError as error:
            words = str(error)
            return ast.literal_eval(words[words.index("{"):])
        return [one.model_dump() for one in answer] if isinstance(answer, list) else answer.model_dump()


def client():
    return Client(ask("credentials"))


def other(code):
    return str((int(code) + 1) % 10 ** len(code)).zfill(len(code))


@case
def a_code_is_sent_and_checked():
    verify = client()
    begun = verify.start(number=NUMBER, brand="Owl Bank", workflow_id=6, lg="de-de", sender_id="OWL")
    equal(begun["status"], "0")
    message = ask("message", to=NUMBER)
    equal((message["channel"], message["locale"], len(message["code"])), ("sms", "de", 4))
    assert "Owl Bank" in message["text"]
    request_id = begun["request_id"]
    equal(verify.check(request_id, other(message["code"]))["status"], "16")
    checked = verify.check(request_id, message["code"])
    equal((checked["status"], checked["currency"]), ("0", "EUR"))
    found = verify.search(request_id)
    equal((found["status"], found["account_id"], found["sender_id"]), ("SUCCESS", verify.key, "OWL"))
    equal([check["status"] for check in found["checks"]], ["INVALID", "VALID"])
    equal([event["type"] for event in found["events"]], ["sms"])
    equal(verify.check(request_id, message["code"])["status"], "6")


@case
def a_request_goes_on_and_is_canceled():
    verify = client()
    request_id = verify.start(number=NUMBER, brand="Owl Bank")["request_id"]
    again = verify.start(number=NUMBER, brand="Owl Bank")
    equal((again["status"], again["request_id"]), ("10", request_id))
    equal(verify.cancel(request_id)["status"], "19")
    equal(verify.trigger(request_id)["command"], "trigger_next_event")
    equal(ask("message", to=NUMBER)["channel"], "call")
    wait(31)
    equal(verify.cancel(request_id)["command"], "cancel")
    equal(verify.search(request_id)["status"], "CANCELLED")


@case
def events_come_by_themselves():
    verify = client()
    request_id = verify.start(number=NUMBER, brand="Owl Bank", next_event_wait=60)["request_id"]
    for events in (["sms", "tts"], ["sms", "tts", "tts"]):
        wait(60)
        equal([event["type"] for event in verify.search(request_id)["events"]], events)
    wait(60)
    equal(verify.search(request_id)["status"], "EXPIRED")


@case
def three_wrong_codes_are_the_end():
    verify = client()
    request_id = verify.start(number=NUMBER, brand="Owl Bank")["request_id"]
    wrong = other(ask("code", session=request_id))
    equal([verify.check(request_id, wrong)["status"] for _ in range(4)], ["16", "16", "16", "17"])
    equal(verify.search(request_id)["status"], "FAILED")


@case
def a_payment_is_told():
    verify = client()
    request_id = verify.start_psd2(number=NUMBER, payee="Owl Shop", amount=12.5)["request_id"]
    message = ask("message", to=NUMBER)
    assert "12.50 EUR" in message["text"] and "Owl Shop" in message["text"], message
    equal(verify.check(request_id, message["code"])["status"], "0")


@case
def several_are_found_at_once():
    verify = client()
    first = verify.start(number=NUMBER, brand="Owl Bank")["request_id"]
    second = verify.start(number=NUMBER[:-2] + "99", brand="Owl Bank")["request_id"]
    found = verify.search([first, second])
    if major < 4:
        found = found["verification_requests"]
    equal([one["request_id"] for one in found], [first, second])


@case
def strangers_are_told_so():
    credentials = ask("credentials")
    stranger = Client({**credentials, "secret": "wrong"})
    equal(stranger.start(number=NUMBER, brand="Owl Bank")["status"], "4")
    equal(client().check("nothing", "1234")["status"], "6")


run_all()
