"""The 18 operations of rate limits, buckets, messaging configurations and the safe list.

`run` is handed what the script with all operations works with, so that this file does nothing when it is imported.
"""

import schema

OPERATIONS = {
    f"{verb}{resource}"
    for resource, verbs in {
        "RateLimit": "Create Fetch Update Delete List",
        "Bucket": "Create Fetch Update Delete List",
        "MessagingConfiguration": "Create Fetch Update Delete List",
        "Safelist": "Create Fetch Delete",
    }.items()
    for verb in verbs.split()
}
assert len(OPERATIONS) == 18

RATE_LIMIT = {
    "sid": schema.sid("RK"),
    **schema.OWNER,
    "unique_name": schema.text,
    "description": schema.nullable(schema.text),
    **schema.DATES,
    "url": schema.uri,
    "links": schema.uris("buckets"),
}

BUCKET = {
    "sid": schema.sid("BL"),
    "rate_limit_sid": schema.sid("RK"),
    **schema.OWNER,
    "max": schema.whole,
    "interval": schema.whole,
    **schema.DATES,
    "url": schema.uri,
}

MESSAGING_CONFIGURATION = {
    **schema.OWNER,
    "country": schema.text,
    "messaging_service_sid": schema.sid("MG"),
    **schema.DATES,
    "url": schema.uri,
}

SAFE_NUMBER = {"sid": schema.sid("GN"), "phone_number": schema.text, "url": schema.uri}


def run(verify, service, checks, performed, conforms, lists, refused):
    """Performs all of `OPERATIONS`; what is created under `service` is left there."""
    limit = rate_limits(service, checks, performed, conforms, lists, refused)
    buckets(limit, checks, performed, conforms, lists, refused)
    messaging_configurations(service, checks, performed, conforms, refused)
    safe_list(verify.safelist, checks, performed, conforms, refused)


def rate_limits(service, checks, performed, conforms, lists, refused):
    created = conforms(
        "CreateRateLimit",
        service.rate_limits.create(unique_name="end_user.session", description="A session"),
        RATE_LIMIT,
    )
    limit = service.rate_limits(created.sid)
    fetched = conforms("FetchRateLimit", limit.fetch(), RATE_LIMIT)
    checks.equal("a rate limit is fetched as it was created", fetched.unique_name, "end_user.session")
    updated = conforms("UpdateRateLimit", limit.update(description="Changed"), RATE_LIMIT)
    checks.equal(
        "an update of a rate limit changes its description and not its name",
        (updated.description, updated.unique_name),
        ("Changed", "end_user.session"),
    )
    others = [service.rate_limits.create(unique_name=f"other-{n}").sid for n in range(4)]
    lists("ListRateLimit", service.rate_limits, RATE_LIMIT, [created.sid, *others])
    refused(
        "a rate limit's name that is taken",
        400,
        60208,
        lambda: service.rate_limits.create(unique_name="end_user.session"),
    )
    refused(
        "a rate limit's name with a blank", 400, 60209, lambda: service.rate_limits.create(unique_name="a b")
    )
    checks.check("DeleteRateLimit", service.rate_limits(others[0]).delete())
    performed.add("DeleteRateLimit")
    refused("a deleted rate limit", 404, 20404, lambda: service.rate_limits(others[0]).fetch())
    return limit


def buckets(limit, checks, performed, conforms, lists, refused):
    created = conforms("CreateBucket", limit.buckets.create(max=5, interval=60), BUCKET)
    conforms("FetchBucket", limit.buckets(created.sid).fetch(), BUCKET)
    updated = conforms("UpdateBucket", limit.buckets(created.sid).update(max=7), BUCKET)
    checks.equal(
        "an update of a bucket changes what it names and nothing else",
        (updated.max, updated.interval),
        (7, 60),
    )
    others = [limit.buckets.create(max=1, interval=n).sid for n in range(1, 5)]
    lists("ListBucket", limit.buckets, BUCKET, [created.sid, *others])
    refused("a bucket's interval that is taken", 400, 60211, lambda: limit.buckets.create(max=1, interval=60))
    refused("a bucket without room", 400, 60200, lambda: limit.buckets.create(max=0, interval=61))
    checks.check("DeleteBucket", limit.buckets(created.sid).delete())
    performed.add("DeleteBucket")
    refused("a deleted bucket", 404, 20404, lambda: limit.buckets(created.sid).fetch())


def messaging_configurations(service, checks, performed, conforms, refused):
    resource = service.messaging_configurations
    sender, other = "MG" + "0" * 32, "MG" + "f" * 32
    created = conforms(
        "CreateMessagingConfiguration",
        resource.create(country="CA", messaging_service_sid=sender),
        MESSAGING_CONFIGURATION,
    )
    checks.equal("a configuration is of its country", created.country, "CA")
    conforms("FetchMessagingConfiguration", resource("CA").fetch(), MESSAGING_CONFIGURATION)
    updated = conforms(
        "UpdateMessagingConfiguration",
        resource("CA").update(messaging_service_sid=other),
        MESSAGING_CONFIGURATION,
    )
    checks.equal("an update changes the messaging service", updated.messaging_service_sid, other)
    for country in ("all", "US", "AT", "DE"):
        resource.create(country=country, messaging_service_sid=sender)
    listed = conforms_all("ListMessagingConfiguration", resource.list(page_size=2), checks)
    checks.equal("countries over pages of two", listed, ["all", "AT", "CA", "DE", "US"])
    performed.add("ListMessagingConfiguration")
    refused(
        "a country that has a configuration",
        400,
        60213,
        lambda: resource.create(country="CA", messaging_service_sid=sender),
    )
    checks.check("DeleteMessagingConfiguration", resource("CA").delete())
    performed.add("DeleteMessagingConfiguration")
    refused("a deleted configuration", 404, 20404, lambda: resource("CA").fetch())


def conforms_all(operation, items, checks):
    """The countries of configurations, none of which misses a field."""
    empty = [
        f"{name} of {item.country}"
        for item in items
        for name in MESSAGING_CONFIGURATION
        if getattr(item, name) is None
    ]
    checks.check(f"{operation} has every field of the schema", not empty, "; ".join(empty))
    return [item.country for item in items]


def safe_list(resource, checks, performed, conforms, refused):
    number = "+15125550123"
    created = conforms("CreateSafelist", resource.create(phone_number=number), SAFE_NUMBER)
    fetched = conforms("FetchSafelist", resource(number).fetch(), SAFE_NUMBER)
    checks.equal("a safe number is fetched as it was created", fetched.sid, created.sid)
    refused("a number that is safe already", 409, 60411, lambda: resource.create(phone_number=number))
    refused("a number that is none", 400, 60200, lambda: resource.create(phone_number="512"))
    checks.check("DeleteSafelist", resource(number).delete())
    performed.add("DeleteSafelist")
    refused("a number that was removed", 404, 20404, lambda: resource(number).fetch())
