"""Zitadel's services through `grpcio` and `curl`: every call, every error of the tables, and what counts across protocols."""

from cases import ask, case, equal, run_all, wait
from zitadel_service import Code, User, code_sent_to, error_of, json_error, matches, totp, user_v1, v2, wrong

ME = "/auth/v1/users/me"
ada = User("user-ada-01")
manager = User("backend-01", manages=True)
NOBODY = "user-nobody"
NONE = user_v1.Phone()
READY = "Multifactor OTP (OneTimePassword) is already set up"


def number(nth):
    """A number for films and books, of another area for each case."""
    return f"+1{[305, 312, 313, 314, 315, 316, 317, 318, 319, 320, 321, 323, 325, 330, 331, 334][nth]}5550100"


def new_user(name, **more):
    user = User(name, **more)
    user.my("GetMyPhone")
    return user


@case
def whoever_shows_no_token_is_nobody():
    for stranger, told in [
        (User(), "auth header missing"),
        (User(token="nonsense"), None),
        (User(token=ask("token", dialect="signal")["token"]), None),
        (User(token=ada.token + "x"), None),
    ]:
        code, identifier, text = error_of(lambda: stranger.my("GetMyPhone"))
        equal((code, identifier), (Code.UNAUTHENTICATED, None))
        http, in_json, _, also = json_error(stranger.json("GET", f"{ME}/phone"))
        equal((http, in_json, also), (401, 16, text))
        if told is not None:
            equal(text, told)
    made = ask("token", dialect="zitadel", user="user-gone-01", life=60)
    short, revoked = User(token=made["token"]), ask("token", dialect="zitadel", user="user-gone-01")
    short.my("GetMyPhone")
    wait(60)
    equal(error_of(lambda: short.my("GetMyPhone"))[0], Code.UNAUTHENTICATED)
    User(token=revoked["token"]).my("GetMyPhone")
    ask("revoke", sid=revoked["sid"])
    equal(error_of(lambda: User(token=revoked["token"]).my("GetMyPhone"))[0], Code.UNAUTHENTICATED)


@case
def the_server_says_that_it_is_there():
    User().my("Healthz")
    equal(User().json("GET", "/auth/v1/healthz"), (200, {}))


@case
def a_number_is_set_and_verified_by_its_owner():
    user = new_user("user-0001")
    equal(user.my("GetMyPhone").phone, NONE)
    first = user.my("SetMyPhone", phone=number(0)).details
    wait(1)
    equal(user.my("GetMyPhone").phone.is_phone_verified, False)
    code = code_sent_to(number(0))
    matches(code, "[A-Z0-9]{6}")
    then = user.my("VerifyMyPhone", code=code).details
    assert then.sequence > first.sequence and then.change_date.seconds > first.change_date.seconds, (first, then)
    equal((then.creation_date, then.resource_owner), (first.creation_date, first.resource_owner))
    matches(then.resource_owner, "AC[0-9a-f]{32}")
    phone = user.my("GetMyPhone").phone
    equal((phone.phone, phone.is_phone_verified), (number(0), True))
    # It is used.
    refused = (Code.NOT_FOUND, "COMMAND-Rsj8c", "Code not found")
    equal(error_of(lambda: user.my("VerifyMyPhone", code=code)), refused)


@case
def each_error_of_the_first_api_has_its_identifier():
    user = new_user("user-0002")
    verify, resend = "VerifyMyPhone", "ResendMyPhoneVerification"
    invalid, missing, failed = Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.FAILED_PRECONDITION
    equal(error_of(lambda: user.my(verify)), (invalid, "COMMAND-wMe9f", "Code is empty"))
    equal(error_of(lambda: user.my(verify, code="AAAAAA")), (missing, "COMMAND-Rsj8c", "Code not found"))
    equal(error_of(lambda: user.my(resend)), (missing, "COMMAND-2b7Hf", "Phone not found"))
    equal(error_of(lambda: user.my("RemoveMyPhone")), (missing, "COMMAND-p6rsc", "Phone not found"))
    for nonsense in ["", "4915112345678", "+", "+1", "+" + "1" * 50, "+49 what"]:
        equal(error_of(lambda: user.my("SetMyPhone", phone=nonsense))[:2], (invalid, None))
    user.my("SetMyPhone", phone=number(1))
    code = code_sent_to(number(1))
    unchanged = (failed, "COMMAND-wF94r", "Phone not changed")
    equal(error_of(lambda: user.my("SetMyPhone", phone=number(1))), unchanged)
    not_right = (invalid, "COMMAND-sM0cs", "Code is invalid")
    for guess in [wrong(code), code[:-1], code + "A", "1", "A" * 200]:
        equal(error_of(lambda: user.my(verify, code=guess)), not_right)
    equal(error_of(lambda: user.my(verify, code="A" * 201))[:2], (invalid, None))
    # One that expired is no longer right; the next one makes it void anyway.
    wait(3600)
    equal(error_of(lambda: user.my(verify, code=code)), not_right)
    user.my(resend)
    again = code_sent_to(number(1))
    assert again != code
    equal(error_of(lambda: user.my(verify, code=code)), not_right)
    # Capital letters are what is sent, and small ones what is typed.
    user.my(verify, code=again.lower())
    equal(error_of(lambda: user.my(resend)), (failed, "COMMAND-2M9sf", "Phone already verified"))
    equal(error_of(lambda: user.my("SetMyPhone", phone=number(2))), unchanged)
    user.my("RemoveMyPhone")
    equal(user.my("GetMyPhone").phone, NONE)


@case
def users_have_one_app_and_codes_by_sms():
    user = new_user("user-0003")
    add, prove, remove = "AddMyAuthFactorOTP", "VerifyMyAuthFactorOTP", "RemoveMyAuthFactorOTP"
    states = lambda: [(factor.WhichOneof("type"), factor.state) for factor in user.my("ListMyAuthFactors").result]
    equal(error_of(lambda: user.my(prove, code="123456"))[:2], (Code.NOT_FOUND, "COMMAND-3Mif9s"))
    void = user.my(add).secret
    made = user.my(add)
    assert made.secret != void
    matches(made.secret, "[A-Z2-7]{32}")
    matches(made.url, r"otpauth://totp/ZITADEL:user-0003\?.*")
    assert f"secret={made.secret}" in made.url and "issuer=ZITADEL" in made.url, "the parameters of the URI"
    equal(states(), [("otp", 1)])
    now = ask("now")
    equal(
        error_of(lambda: user.my(prove, code=wrong_digits(totp(made.secret, now)))),
        (Code.INVALID_ARGUMENT, "EVENT-8isk2", "Invalid code"),
    )
    equal(error_of(lambda: user.my(prove, code=totp(void, now)))[1], "EVENT-8isk2")
    user.my(prove, code=totp(made.secret, now - 30))
    equal(states(), [("otp", 2)])
    equal(error_of(lambda: user.my(add)), (Code.ALREADY_EXISTS, "COMMAND-do9se", READY))
    used = error_of(lambda: user.my(prove, code=totp(made.secret, now)))
    equal(used, (Code.FAILED_PRECONDITION, "COMMAND-qx4ls", READY))
    # The same factor, seen through the other protocol.
    seen = ask("twilio", service="ZITADEL", path="Entities/user-0003/Factors")["factors"]
    equal([(factor["factor_type"], factor["status"]) for factor in seen], [("totp", "verified")])
    user.my(remove)
    equal(states(), [])
    not_ready = error_of(lambda: user.my("AddMyAuthFactorOTPSMS"))[:2]
    equal(not_ready, (Code.FAILED_PRECONDITION, "COMMAND-Q54j2"))
    user.my("SetMyPhone", phone=number(3))
    user.my("VerifyMyPhone", code=code_sent_to(number(3)))
    user.my("AddMyAuthFactorOTPSMS")
    equal(states(), [("otp_sms", 2)])
    user.my("RemoveMyAuthFactorOTPSMS")
    equal(states(), [])


def wrong_digits(code):
    return ("1" if code[0] == "0" else "0") + code[1:]


@case
def a_factor_of_the_other_protocol_verifies_here():
    user = new_user("user-0004")
    form = {"FriendlyName": "An app", "FactorType": "totp"}
    made = ask("twilio", service="ZITADEL", path="Entities/user-0004/Factors", form=form)
    secret = made["binding"]["secret"]
    user.my("VerifyMyAuthFactorOTP", code=totp(secret, ask("now")))
    seen = ask("twilio", service="ZITADEL", path=f"Entities/user-0004/Factors/{made['sid']}")
    equal(seen["status"], "verified")


@case
def users_are_managed_by_name():
    user = new_user("user-0005")
    name = user.name
    sent = manager.of("SetPhone", name, phone=number(4))
    equal(sent.HasField("verification_code"), False)
    code = code_sent_to(number(4))
    unchanged = (Code.FAILED_PRECONDITION, "COMMAND-Uch5e", "Phone not changed")
    equal(error_of(lambda: manager.of("SetPhone", name, phone=number(4))), unchanged)
    empty = error_of(lambda: user.of("VerifyPhone", name))
    equal(empty, (Code.INVALID_ARGUMENT, "COMMAND-Fia4a", "Code is empty"))
    guess = error_of(lambda: user.of("VerifyPhone", name, verification_code=wrong(code)))
    equal(guess, (Code.INVALID_ARGUMENT, "COMMAND-eis9R", "Code is invalid"))
    shown = manager.of("ResendPhoneCode", name, return_code=v2.ReturnPhoneVerificationCode())
    details = user.of("VerifyPhone", name, verification_code=shown.verification_code).details
    matches(details.resource_owner, "AC[0-9a-f]{32}")
    # The second API may replace a number that is verified.
    shown = manager.of("SetPhone", name, phone=number(5), return_code=v2.ReturnPhoneVerificationCode())
    matches(shown.verification_code, "[A-Z0-9]{6}")
    equal(user.my("GetMyPhone").phone.is_phone_verified, False)
    vouched = manager.of("SetPhone", name, phone=number(6), is_verified=True)
    assert vouched.details.sequence > shown.details.sequence
    equal(user.my("GetMyPhone").phone.is_phone_verified, True)
    made = user.of("RegisterTOTP", name)
    user.of("VerifyTOTPRegistration", name, code=totp(made.secret, ask("now")))
    user.of("AddOTPSMS", name)
    kinds = {factor.WhichOneof("type") for factor in manager.of("ListAuthenticationFactors", name).result}
    equal(kinds, {"otp", "otp_sms"})
    manager.of("RemoveOTPSMS", name)
    manager.of("RemoveTOTP", name)
    equal(list(user.of("ListAuthenticationFactors", name).result), [])
    manager.of("RemovePhone", name)
    equal(user.my("GetMyPhone").phone, NONE)
    gone = (Code.NOT_FOUND, "COMMAND-ieJ2e", "Phone not found")
    equal(error_of(lambda: user.of("VerifyPhone", name, verification_code=code)), gone)


@case
def nobody_vouches_for_themselves_or_acts_for_others():
    user, other = new_user("user-0006"), new_user("user-0007")
    code = v2.ReturnPhoneVerificationCode()
    for call in [
        lambda: user.of("SetPhone", user.name, phone=number(7), return_code=code),
        lambda: user.of("SetPhone", user.name, phone=number(7), is_verified=True),
        lambda: user.of("ResendPhoneCode", user.name, return_code=code),
        lambda: user.of("SetPhone", other.name, phone=number(7)),
        lambda: user.of("RegisterTOTP", other.name),
        lambda: user.of("RegisterTOTP", NOBODY),
    ]:
        equal(error_of(call)[0], Code.PERMISSION_DENIED)
    equal(user.my("GetMyPhone").phone, NONE)
    equal(error_of(lambda: manager.of("SetPhone", NOBODY, phone=number(7)))[0], Code.NOT_FOUND)
    # Another account has users of the same name, and they are others.
    elsewhere = User("backend-01", manages=True, account=1)
    equal(error_of(lambda: elsewhere.of("SetPhone", user.name, phone=number(7)))[0], Code.NOT_FOUND)


@case
def a_number_is_throttled_across_protocols_and_users():
    user, other = new_user("user-0008"), new_user("user-0009")
    for each in [user, other]:
        each.my("SetMyPhone", phone=number(8))
    code = code_sent_to(number(8))
    for nth in range(10):
        each = [user, other][nth % 2]
        equal(error_of(lambda: each.my("VerifyMyPhone", code=wrong(code)))[1], "COMMAND-sM0cs")
    for each in [user, other]:
        equal(error_of(lambda: each.my("VerifyMyPhone", code=code))[0], Code.RESOURCE_EXHAUSTED)
    equal(json_error(other.json("POST", f"{ME}/phone/_verify", {"code": code}))[:2], (429, 8))
    form = {"To": number(8), "Channel": "sms"}
    ask("twilio", service="ZITADEL", path="Verifications", form=form)
    wait(30)
    other.my("VerifyMyPhone", code=code)


@case
def json_is_another_form_of_the_same():
    user = new_user("user-0010")
    http, answer = user.json("PUT", f"{ME}/phone", {"phone": number(9), "unknown": [1]})
    equal(http, 200)
    details = answer["details"]
    equal(sorted(details), ["changeDate", "creationDate", "resourceOwner", "sequence"])
    matches(details["sequence"], "[0-9]+")
    matches(details["changeDate"], r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
    # What is zero is left out.
    equal(user.json("GET", f"{ME}/phone")[1]["phone"], {"phone": number(9)})
    code = code_sent_to(number(9))
    refused = json_error(user.json("POST", f"{ME}/phone/_verify", {"code": wrong(code)}))
    equal(refused, (400, 3, "COMMAND-sM0cs", "Code is invalid"))
    equal(json_error(user.json("POST", f"{ME}/phone/_verify", {})), (400, 3, "COMMAND-wMe9f", "Code is empty"))
    equal(user.json("POST", f"{ME}/phone/_verify", {"code": code})[0], 200)
    equal(user.json("GET", f"{ME}/phone")[1]["phone"]["isPhoneVerified"], True)
    equal(json_error(user.json("POST", f"{ME}/phone/_resend_verification", {}))[:3], (400, 9, "COMMAND-2M9sf"))
    equal(json_error(user.json("PUT", f"{ME}/phone", {"phone": number(10)}))[:3], (400, 9, "COMMAND-wF94r"))
    equal(user.json("DELETE", f"{ME}/phone")[0], 200)
    equal(json_error(user.json("DELETE", f"{ME}/phone")), (404, 5, "COMMAND-p6rsc", "Phone not found"))
    made = user.json("POST", f"{ME}/auth_factors/otp", {})[1]
    verified = user.json("POST", f"{ME}/auth_factors/otp/_verify", {"code": totp(made["secret"], ask("now"))})
    equal(verified[0], 200)
    equal(json_error(user.json("POST", f"{ME}/auth_factors/otp", {}))[:3], (409, 6, "COMMAND-do9se"))
    listed = user.json("POST", f"{ME}/auth_factors/_search", {})[1]
    equal(listed, {"result": [{"state": "AUTH_FACTOR_STATE_READY", "otp": {}}]})
    equal(json_error(user.json("POST", f"{ME}/auth_factors/otp_sms", {}))[:3], (400, 9, "COMMAND-Q54j2"))
    equal(user.json("DELETE", f"{ME}/auth_factors/otp")[0], 200)
    equal(json_error(user.json("DELETE", f"{ME}/auth_factors/otp_sms"))[:2], (404, 5))


@case
def json_names_users_in_its_paths():
    user = new_user("user-0011")
    users = f"/v2/users/{user.name}"
    for body in [{"phone": number(11), "returnCode": {}}, {"phone": number(12), "return_code": {}}]:
        http, answer = manager.json("POST", f"{users}/phone", body)
        equal(http, 200)
        matches(answer["verificationCode"], "[A-Z0-9]{6}")
    again = manager.json("POST", f"{users}/phone/resend", {"returnCode": {}})[1]["verificationCode"]
    equal(user.json("POST", f"{users}/phone/verify", {"verificationCode": again})[0], 200)
    made = user.json("POST", f"{users}/totp", {})[1]
    matches(made["uri"], "otpauth://totp/.*")
    equal(user.json("POST", f"{users}/totp/verify", {"code": totp(made["secret"], ask("now"))})[0], 200)
    equal(user.json("POST", f"{users}/otp_sms", {})[0], 200)
    listed = user.json("POST", f"{users}/authentication_factors/_search", {})[1]["result"]
    equal(sorted(kind for factor in listed for kind in factor if kind != "state"), ["otp", "otpSms"])
    for part in ["otp_sms", "totp", "phone"]:
        equal(manager.json("DELETE", f"{users}/{part}")[0], 200)
    denied = user.json("POST", f"{users}/phone", {"phone": number(13), "isVerified": True})
    equal(json_error(denied)[:2], (403, 7))
    equal(json_error(manager.json("POST", f"/v2/users/{NOBODY}/phone", {"phone": number(13)}))[:2], (404, 5))


@case
def json_that_means_nothing_or_two_things_is_refused_and_changes_nothing():
    user = new_user("user-0012")
    users = f"/v2/users/{user.name}"
    before = user.json("GET", f"{ME}/phone")
    for body in [
        "",
        "{",
        "[]",
        '"x"',
        '{"phone": 5}',
        '{"phone": "%s", "phone": "%s"}' % (number(13), number(14)),
        '{"phone": "%s"} {}' % number(13),
        "[" * 5000,
        '{"phone": "\\ud800"}',
    ]:
        equal(json_error(user.json("PUT", f"{ME}/phone", body))[:2], (400, 3))
    for body in [
        {"phone": number(13), "returnCode": {}, "isVerified": True},
        {"phone": number(13), "sendCode": {}, "return_code": {}},
        '{"phone": "%s", "returnCode": {}, "return_code": {}}' % number(13),
    ]:
        equal(json_error(manager.json("POST", f"{users}/phone", body))[:2], (400, 3))
    equal(user.json("GET", f"{ME}/phone"), before)


run_all()
