"""What the parts of the script that runs Twilio's library share: the library, and the checks of what it hands out."""

import json
import os
import re
import time
from datetime import datetime

from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

import schema
from checks import Checks, Server

server = Server()
checks = Checks()
client = Client(server.account, server.token)
client.verify.base_url = server.url
verify = client.verify.v2
performed = set()


def last_body():
    """The body behind the last answer, as it came over the wire."""
    return json.loads(client.http_client._test_only_last_response.text)


def conforms(operation, instance, shapes):
    """The answer has every field of the seed's schema, and the library hands it out with the right type."""
    performed.add(operation)
    payload = last_body()
    wrong = schema.faults(payload, shapes)
    for name, shape in shapes.items():
        value, seen = payload.get(name), getattr(instance, name)
        if name.startswith("date_") or name == "expiration_date":
            # The library hands out a date that it cannot parse as the text it is.
            if value is not None and not isinstance(seen, datetime):
                wrong.append(f"{name} is no datetime in the library")
        elif seen != value:
            wrong.append(f"{name} is {seen!r} in the library")
    checks.check(f"{operation} has every field of the schema", not wrong, "; ".join(wrong))
    return instance


def lists(operation, resource, shapes, sids, **filters):
    """A list has all of `sids` in their order, whatever the page size; every page conforms."""
    performed.add(operation)
    found = [item.sid for item in resource.list(page_size=2, **filters)]
    checks.equal(f"{operation} over pages of two", found, sids)
    page = resource.page(page_size=2, **filters)
    body = last_body()
    key = body["meta"]["key"]
    wrong = schema.faults(body["meta"], schema.META)
    wrong += [fault for item in body[key] for fault in schema.faults(item, shapes)]
    checks.check(f"{operation} has every field of the schema", not wrong, "; ".join(wrong))
    checks.equal(f"{operation} starts at page 0", (body["meta"]["page"], body["meta"]["page_size"]), (0, 2))
    checks.check(
        f"{operation} names absolute URLs of this server",
        all(
            body["meta"][name] is None or body["meta"][name].startswith(server.url + "/v2/")
            for name in ("first_page_url", "previous_page_url", "url", "next_page_url")
        ),
        body["meta"],
    )
    return page


def refused(name, status, code, call):
    """A call raises the library's exception with this HTTP status and this code."""
    try:
        result = call()
    except TwilioRestException as error:
        found = (error.status, error.code)
        holds = error.status == status and error.code == code and bool(error.msg)
        checks.check(f"refused: {name}", holds, f"found {found}, wanted {(status, code)}")
        body = last_body()
        checks.check(
            f"the error body of: {name}",
            set(body) >= {"code", "message", "more_info", "status"} and body["status"] == status,
            body,
        )
        return error.msg
    checks.check(f"refused: {name}", False, f"it was accepted: {result}")
    return ""


def code_of(attempt):
    """The code that an attempt brought, as the server's log sender wrote it, once it has; its line ends in the SID."""
    line = re.compile(rf"the code for \S+ by \w+ is (\d+) \({attempt}\)")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with open(os.environ["COUNTERSIGN_TEST_LOG"], encoding="utf-8") as log:
            if found := line.search(log.read()):
                return found.group(1)
        time.sleep(0.02)
    checks.check(f"the code of {attempt} is in the log", False, "it did not come")
    checks.finish()
