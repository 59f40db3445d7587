"""The response schemas of the 53 operations: for each field of a resource, what it must look like.

Every field must be present, null included: a helper library turns an absent date into the current time.
"""

import re
from urllib.parse import urlsplit

DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def text(value):
    return isinstance(value, str)


def whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def boolean(value):
    return isinstance(value, bool)


def date(value):
    return text(value) and DATE.fullmatch(value) is not None


def uri(value):
    return text(value) and all(urlsplit(value)[:2])


def uris(*names):
    return lambda value: isinstance(value, dict) and set(names) <= set(value) and all(map(uri, value.values()))


def sid(prefix):
    shape = re.compile(prefix + "[0-9a-fA-F]{32}")
    return lambda value: text(value) and shape.fullmatch(value) is not None


def one_of(*values):
    return lambda value: value in values


def nullable(shape):
    return lambda value: value is None or shape(value)


def texts(value):
    return isinstance(value, dict) and all(text(item) for item in value.values())


def has(**shapes):
    return lambda value: isinstance(value, dict) and not faults(value, shapes)


def list_of(shape):
    return lambda value: isinstance(value, list) and all(shape(item) for item in value)


def faults(payload, shapes):
    """The fields of `payload` that are absent or of the wrong shape."""
    absent = [f"{name} is absent" for name in shapes if name not in payload]
    wrong = [
        f"{name} is {payload[name]!r}"
        for name, shape in shapes.items()
        if name in payload and not shape(payload[name])
    ]
    return absent + wrong


DATES = {"date_created": date, "date_updated": date}
OWNER = {"account_sid": sid("AC"), "service_sid": sid("VA")}

SERVICE = {
    "sid": sid("VA"),
    "account_sid": sid("AC"),
    "friendly_name": text,
    "code_length": whole,
    "lookup_enabled": boolean,
    "psd2_enabled": boolean,
    "skip_sms_to_landlines": boolean,
    "dtmf_input_required": boolean,
    "tts_name": nullable(text),
    "do_not_share_warning_enabled": boolean,
    "custom_code_enabled": boolean,
    "push": has(
        include_date=boolean,
        apn_credential_sid=nullable(sid("CR")),
        fcm_credential_sid=nullable(sid("CR")),
    ),
    "totp": has(
        issuer=nullable(text),
        time_step=nullable(whole),
        code_length=nullable(whole),
        skew=nullable(whole),
    ),
    "default_template_sid": nullable(sid("HJ")),
    "whatsapp": nullable(has(**{"msg_service_sid": nullable(sid("MG")), "from": nullable(text)})),
    "verify_event_subscription_enabled": boolean,
    **DATES,
    "url": uri,
    "links": uris("entities", "webhooks", "access_tokens"),
}

ENTITY = {
    "sid": sid("YE"),
    "identity": text,
    **OWNER,
    **DATES,
    "url": uri,
    "links": uris("factors", "new_factors", "challenges"),
}

TOTP_CONFIG = has(
    alg=one_of("sha1", "sha256", "sha512"), skew=whole, code_length=whole, time_step=whole
)
PUSH_CONFIG = has(
    sdk_version=text,
    app_id=text,
    notification_platform=one_of("apn", "fcm", "none"),
    notification_token=nullable(text),
    credential_sid=text,
)

FACTOR = {
    "sid": sid("YF"),
    **OWNER,
    "entity_sid": sid("YE"),
    "identity": text,
    **DATES,
    "friendly_name": text,
    "status": one_of("unverified", "verified"),
    "factor_type": one_of("push", "totp"),
    "config": lambda value: TOTP_CONFIG(value) or PUSH_CONFIG(value),
    "metadata": nullable(texts),
    "url": uri,
}

NEW_FACTOR = {
    **FACTOR,
    "binding": lambda value: has(secret=text, uri=uri)(value) or has(alg=text, public_key=text)(value),
}

CHALLENGE = {
    "sid": sid("YC"),
    **OWNER,
    "entity_sid": sid("YE"),
    "identity": text,
    "factor_sid": sid("YF"),
    **DATES,
    "date_responded": nullable(date),
    "expiration_date": date,
    "status": one_of("pending", "expired", "approved", "denied"),
    "responded_reason": nullable(one_of("none", "not_needed", "not_requested")),
    "details": nullable(lambda value: isinstance(value, dict)),
    "hidden_details": nullable(texts),
    "metadata": nullable(texts),
    "factor_type": one_of("push", "totp"),
    "url": uri,
    "links": uris("notifications"),
}

ACCESS_TOKEN = {
    "sid": sid("YK"),
    **OWNER,
    "entity_identity": text,
    "factor_type": one_of("push"),
    "factor_friendly_name": nullable(text),
    "token": nullable(text),
    "url": uri,
    "ttl": whole,
    "date_created": date,
}

NOTIFICATION = {
    "sid": sid("NT"),
    **OWNER,
    "entity_sid": sid("YE"),
    "identity": text,
    "challenge_sid": sid("YC"),
    "priority": one_of("high"),
    "ttl": whole,
    "date_created": date,
}

FORM = {
    "form_type": one_of("form-push"),
    "forms": lambda value: isinstance(value, dict),
    "form_meta": nullable(lambda value: isinstance(value, dict)),
    "url": uri,
}

WEBHOOK = {
    "sid": sid("YW"),
    **OWNER,
    "friendly_name": text,
    "event_types": list_of(text),
    "status": one_of("enabled", "disabled"),
    "version": one_of("v1", "v2"),
    "webhook_url": uri,
    "webhook_method": one_of("GET", "POST"),
    **DATES,
    "url": uri,
}

CHANNEL = one_of("sms", "call", "email", "whatsapp", "sna", "rcs")
STATUS = one_of("pending", "approved", "canceled", "max_attempts_reached", "deleted", "failed", "expired")

VERIFICATION = {
    "sid": sid("VE"),
    **OWNER,
    "to": text,
    "channel": CHANNEL,
    "status": STATUS,
    "valid": boolean,
    **DATES,
    "lookup": lambda value: value == {} or has(carrier=lambda carrier: isinstance(carrier, dict))(value),
    "amount": nullable(text),
    "payee": nullable(text),
    "send_code_attempts": list_of(
        has(
            time=date,
            channel=one_of("SMS", "CALL", "EMAIL", "whatsapp", "sna", "rcs"),
            attempt_sid=sid("VL"),
        )
    ),
    "sna": nullable(has(url=uri)),
    "url": uri,
}

VERIFICATION_CHECK = {
    "sid": sid("VE"),
    **OWNER,
    "to": text,
    "channel": CHANNEL,
    "status": STATUS,
    "valid": boolean,
    "amount": nullable(text),
    "payee": nullable(text),
    "sna_attempts_error_codes": nullable(list_of(has(attempt_sid=sid("VL"), code=whole))),
    **DATES,
}

MESSAGE_STATUS = one_of(
    "queued", "sending", "sent", "failed", "delivered", "undelivered", "receiving", "received", "accepted",
    "scheduled", "read", "partially_delivered", "canceled",
)
CALL_STATUS = one_of(
    "queued", "in-progress", "completed", "busy", "failed", "no-answer", "ringing", "canceled"
)
COUNTRY = re.compile("[A-Z]{2}")

CHANNEL_DATA = {
    "verification_sid": sid("VE"),
    "to": text,
    "status": one_of("confirmed", "unconfirmed", "expired"),
    "error_code": nullable(text),
    "country": nullable(lambda value: text(value) and COUNTRY.fullmatch(value) is not None),
    "code_length": whole,
    "locale": nullable(text),
    "mcc": nullable(text),
    "mnc": nullable(text),
    "carrier": nullable(text),
}

ATTEMPT = {
    "sid": sid("VL"),
    **OWNER,
    "verification_sid": sid("VE"),
    **DATES,
    "conversion_status": one_of("converted", "unconverted"),
    "channel": CHANNEL,
    "price": nullable(has(value=text, currency=text)),
    "channel_data": lambda value: has(**CHANNEL_DATA)(value)
    and (has(message_status=MESSAGE_STATUS)(value) or has(call_status=CALL_STATUS)(value)),
    "url": uri,
}

SUMMARY = {
    "total_attempts": whole,
    "total_converted": whole,
    "total_unconverted": whole,
    "conversion_rate_percentage": nullable(lambda value: text(value) and 0 <= float(value) <= 100),
    "url": uri,
}

RATE_LIMIT = {
    "sid": sid("RK"),
    **OWNER,
    "unique_name": text,
    "description": nullable(text),
    **DATES,
    "url": uri,
    "links": uris("buckets"),
}

BUCKET = {
    "sid": sid("BL"),
    "rate_limit_sid": sid("RK"),
    **OWNER,
    "max": whole,
    "interval": whole,
    **DATES,
    "url": uri,
}

MESSAGING_CONFIGURATION = {
    **OWNER,
    "country": text,
    "messaging_service_sid": sid("MG"),
    **DATES,
    "url": uri,
}

TEMPLATE = {
    "sid": sid("HJ"),
    "account_sid": sid("AC"),
    "friendly_name": text,
    "channels": list_of(one_of("sms", "voice")),
    "translations": lambda value: isinstance(value, dict)
    and all(
        has(
            is_default_translation=boolean,
            status=text,
            locale=text,
            text=text,
            date_created=nullable(text),
            date_updated=nullable(text),
        )(translation)
        for translation in value.values()
    ),
}

SAFE_NUMBER = {"sid": sid("GN"), "phone_number": text, "url": uri}

META = {
    "page": whole,
    "page_size": whole,
    "first_page_url": uri,
    "previous_page_url": nullable(uri),
    "url": uri,
    "next_page_url": nullable(uri),
    "key": text,
}
