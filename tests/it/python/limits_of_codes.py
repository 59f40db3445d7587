"""What bounds and directs codes by message: rate limits, messaging configurations, the safe list."""

import schema
from library import checks, client, conforms, lists, performed, refused, verify


def service():
    return verify.services(verify.services.create(friendly_name="Owl Bank").sid)


def rate_limits():
    owl = service()
    created = conforms(
        "CreateRateLimit",
        owl.rate_limits.create(unique_name="session", description="By session"),
        schema.RATE_LIMIT,
    )
    limit = owl.rate_limits(created.sid)
    conforms("FetchRateLimit", limit.fetch(), schema.RATE_LIMIT)
    updated = conforms("UpdateRateLimit", limit.update(description="Changed"), schema.RATE_LIMIT)
    checks.equal("a rate limit is described", updated.description, "Changed")
    sids = [created.sid] + [owl.rate_limits.create(unique_name=f"more.{n}").sid for n in range(4)]
    lists("ListRateLimit", owl.rate_limits, schema.RATE_LIMIT, sids)
    refused("a name twice", 400, 60208, lambda: owl.rate_limits.create(unique_name="session"))
    refused("a name with blanks", 400, 60209, lambda: owl.rate_limits.create(unique_name="a b"))

    bucket = conforms("CreateBucket", limit.buckets.create(max=5, interval=60), schema.BUCKET)
    conforms("FetchBucket", limit.buckets(bucket.sid).fetch(), schema.BUCKET)
    updated = conforms("UpdateBucket", limit.buckets(bucket.sid).update(max=6), schema.BUCKET)
    checks.equal("a bucket is changed", (updated.max, updated.interval), (6, 60))
    sids = [bucket.sid] + [limit.buckets.create(max=5, interval=60 + n).sid for n in range(1, 5)]
    lists("ListBucket", limit.buckets, schema.BUCKET, sids)
    refused("an interval twice", 400, 60211, lambda: limit.buckets.create(max=7, interval=60))

    checks.check("DeleteBucket", limit.buckets(bucket.sid).delete())
    performed.add("DeleteBucket")
    refused("a deleted bucket", 404, 20404, lambda: limit.buckets(bucket.sid).fetch())
    checks.check("DeleteRateLimit", limit.delete())
    performed.add("DeleteRateLimit")
    refused("a deleted rate limit", 404, 20404, lambda: limit.fetch())


def limits_are_kept():
    """A rate limit holds up whoever has used its value, over all numbers, and says which one it was."""
    owl = service()
    limit = owl.rate_limits.create(unique_name="client_address")
    owl.rate_limits(limit.sid).buckets.create(max=2, interval=3600)

    def send(number, address):
        return owl.verifications.create(to=number, channel="sms", rate_limits={"client_address": address})

    for number in ("+4915112345101", "+4915112345102"):
        checks.equal("below the limit", send(number, "192.0.2.1").status, "pending")
    refused("beyond the limit", 429, 20429, lambda: send("+4915112345103", "192.0.2.1"))
    headers = client.http_client._test_only_last_response.headers
    reached = headers.get("Twilio-Reached-Rate-Limit"), int(headers.get("Countersign-Retry-After", 0)) > 5
    checks.equal("the limit is named", reached, ("client_address", True))
    checks.check("nobody is put to sleep for long", "Retry-After" not in headers, headers)
    checks.equal("another value is not held up", send("+4915112345103", "192.0.2.2").status, "pending")


def messaging_configurations():
    owl = service()
    sids = ["MG" + digit * 32 for digit in "abcde"]
    created = conforms(
        "CreateMessagingConfiguration",
        owl.messaging_configurations.create(country="CA", messaging_service_sid=sids[0]),
        schema.MESSAGING_CONFIGURATION,
    )
    checks.equal("a configuration is one country's", created.country, "CA")
    configuration = owl.messaging_configurations("CA")
    conforms("FetchMessagingConfiguration", configuration.fetch(), schema.MESSAGING_CONFIGURATION)
    updated = conforms(
        "UpdateMessagingConfiguration",
        configuration.update(messaging_service_sid=sids[1]),
        schema.MESSAGING_CONFIGURATION,
    )
    checks.equal("a configuration is changed", updated.messaging_service_sid, sids[1])
    for country, sid in zip(["DE", "FR", "all"], sids[2:]):
        owl.messaging_configurations.create(country=country, messaging_service_sid=sid)
    found = owl.messaging_configurations.list(page_size=3)
    countries = sorted(one.country for one in found)
    checks.equal("ListMessagingConfiguration over pages of three", countries, ["CA", "DE", "FR", "all"])
    performed.add("ListMessagingConfiguration")
    refused(
        "a country twice", 400, 60213,
        lambda: owl.messaging_configurations.create(country="CA", messaging_service_sid=sids[0]),
    )
    checks.check("DeleteMessagingConfiguration", configuration.delete())
    performed.add("DeleteMessagingConfiguration")
    refused("a deleted configuration", 404, 20404, lambda: configuration.fetch())


def safe_list():
    number = "+4915112345201"
    created = conforms("CreateSafelist", verify.safelist.create(phone_number=number), schema.SAFE_NUMBER)
    fetched = conforms("FetchSafelist", verify.safelist(number).fetch(), schema.SAFE_NUMBER)
    checks.equal("a number of the safe list", (fetched.sid, fetched.phone_number), (created.sid, number))
    refused("a number twice", 409, 60411, lambda: verify.safelist.create(phone_number=number))
    checks.check("DeleteSafelist", verify.safelist(number).delete())
    performed.add("DeleteSafelist")
    refused("a deleted number", 404, 20404, lambda: verify.safelist(number).fetch())
