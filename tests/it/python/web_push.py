"""A browser and its push service, written from RFC 8188, RFC 8291 and RFC 8292 alone.

Reads {"private_key", "auth", "body", "authorization", "now"} (base64url but for the last two) from standard input, and
prints what the message says and who sent it.
"""

import base64
import json
import sys

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def derived(salt, secret, info, length):
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)


def point(key):
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def message(private_key, auth, body):
    """RFC 8291, section 4, and RFC 8188, section 2."""
    assert len(body) <= 4096, "a push service need not take more"
    salt, record_size, name_length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
    sender, record = body[21 : 21 + name_length], body[21 + name_length :]
    assert record_size > len(record), "one record, smaller than the record size"
    key = ec.derive_private_key(int.from_bytes(private_key, "big"), ec.SECP256R1())
    shared = key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender))
    info = b"WebPush: info\0" + point(key.public_key()) + sender
    keying = derived(auth, shared, info, 32)
    key = derived(salt, keying, b"Content-Encoding: aes128gcm\0", 16)
    nonce = derived(salt, keying, b"Content-Encoding: nonce\0", 12)
    plain = AESGCM(key).decrypt(nonce, record, None).rstrip(b"\0")
    assert plain[-1] == 2, "the delimiter of the last record"
    return json.loads(plain[:-1])


def claims(authorization, now):
    """RFC 8292, sections 2 and 3."""
    scheme, parameters = authorization.split(" ", 1)
    assert scheme == "vapid", scheme
    parameters = dict(parameter.strip().split("=", 1) for parameter in parameters.split(","))
    assert set(parameters) == {"t", "k"}, parameters
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decoded(parameters["k"]))
    options = {"verify_exp": False, "verify_aud": False, "require": ["aud", "exp"]}
    token = jwt.decode(parameters["t"], key, algorithms=["ES256"], options=options)
    assert now < token["exp"] <= now + 24 * 3600, token
    return token, parameters["k"]


question = json.load(sys.stdin)
token, key = claims(question["authorization"], question["now"])
secrets = [decoded(question[name]) for name in ("private_key", "auth", "body")]
print(json.dumps({"message": message(*secrets), "claims": token, "key": key}))
