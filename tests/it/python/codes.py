"""Codes from pyotp and oathtool, for every hash, length and step that a factor can have."""

import hashlib
import itertools
import subprocess
import uuid
from urllib.parse import parse_qsl, urlsplit

import pyotp
import requests

from checks import Checks, Server, clear_of_the_step_edge

HASHES = ("sha1", "sha256", "sha512")
LENGTHS = range(3, 9)
PERIODS = (20, 30, 60)

server = Server()
checks = Checks()


def call(path, **form):
    answer = requests.post(
        f"{server.url}/v2/{path}", auth=(server.account, server.token), data=form, timeout=30
    )
    assert answer.ok, f"{path}: {answer.status_code} {answer.text}"
    return answer.json()


# Neither program knows codes of less than six digits. A shorter code is the end of a longer one.
def from_pyotp(secret, algorithm, digits, period, moment):
    digest = getattr(hashlib, algorithm)
    return pyotp.TOTP(secret, digits=max(digits, 6), digest=digest, interval=period).at(moment)[-digits:]


def from_oathtool(secret, algorithm, digits, period, moment):
    command = [
        "oathtool",
        f"--totp={algorithm}",
        f"--digits={max(digits, 6)}",
        f"--time-step-size={period}s",
        f"--now=@{moment}",
        "--base32",
        # The secret comes from the standard input, not from the process list.
        "-",
    ]
    printed = subprocess.run(command, input=secret, capture_output=True, text=True, check=True).stdout
    return printed.strip()[-digits:]


def read_uri(uri):
    """What an authenticator app takes from a URI; pyotp reads those of the common lengths."""
    said = dict(parse_qsl(urlsplit(uri).query, strict_parsing=True))
    digits, period = int(said["digits"]), int(said["period"])
    if digits in (6, 7, 8):
        app = pyotp.parse_uri(uri)
        assert (app.digits, app.interval) == (digits, period)
        return app.secret, app.digits, app.interval, app.digest().name
    return said["secret"], digits, period, said["algorithm"].lower()


def round_trip(service, algorithm, digits, period, own_secret):
    entity = f"Services/{service}/Entities/user-{uuid.uuid4()}"
    form = {
        "FriendlyName": "jane@example.com",
        "FactorType": "totp",
        "Config.Alg": algorithm,
        "Config.CodeLength": digits,
        "Config.TimeStep": period,
    }
    if own_secret:
        form["Binding.Secret"] = pyotp.random_base32(32)
    factor = call(f"{entity}/Factors", **form)
    secret = factor["binding"]["secret"]
    faults = []
    if own_secret and secret != form["Binding.Secret"]:
        faults.append("the secret is not the one that was given")
    if not own_secret and len(secret.rstrip("=")) * 5 // 8 != hashlib.new(algorithm).digest_size:
        faults.append(f"a generated secret has {len(secret)} digits")
    if read_uri(factor["binding"]["uri"]) != (secret, digits, period, algorithm):
        faults.append("the URI says something else")

    now = clear_of_the_step_edge(period)
    before = from_pyotp(secret, algorithm, digits, period, now - period)
    current = from_oathtool(secret, algorithm, digits, period, now)
    after = from_pyotp(secret, algorithm, digits, period, now + period)
    if current != from_pyotp(secret, algorithm, digits, period, now):
        faults.append("pyotp and oathtool disagree")
    # A short code can be that of two live steps, and a server may take either. Another secret tells more.
    if len({before, current, after}) < 3:
        return round_trip(service, algorithm, digits, period, own_secret)
    verified = call(f"{entity}/Factors/{factor['sid']}", AuthPayload=before)
    if verified["status"] != "verified":
        faults.append(f"the code of the step before leaves it {verified['status']}")
    replayed = call(f"{entity}/Challenges", FactorSid=factor["sid"], AuthPayload=before)
    if replayed["status"] != "pending":
        faults.append(f"the enrolment code makes a challenge {replayed['status']}")
    approved = call(f"{entity}/Challenges", FactorSid=factor["sid"], AuthPayload=current)
    if approved["status"] != "approved":
        faults.append(f"the current code makes a challenge {approved['status']}")
    origin = "own" if own_secret else "generated"
    checks.check(f"{algorithm}, {digits} digits, {period} s, {origin} secret", not faults, "; ".join(faults))


def names_with_colons():
    """Apps split the path at a colon, some of them after decoding it."""
    service = call("Services", **{"FriendlyName": "Owl Bank", "Totp.Issuer": "Owl: Bank"})["sid"]
    for name in ("ada: phone", ":", "https://ada.example"):
        form = {"FriendlyName": name, "FactorType": "totp"}
        factor = call(f"Services/{service}/Entities/user-{uuid.uuid4()}/Factors", **form)
        app = pyotp.parse_uri(factor["binding"]["uri"])
        read = (app.issuer, app.name)
        right = read == ("Owl- Bank", name.replace(":", "-")) and factor["friendly_name"] == name
        checks.check(f"an account called {name}", right, str(read))


names_with_colons()
service = call("Services", FriendlyName="Owl Bank")["sid"]
for number, (algorithm, digits, period) in enumerate(itertools.product(HASHES, LENGTHS, PERIODS)):
    round_trip(service, algorithm, digits, period, own_secret=number % 2 == 0)
checks.finish()
