"""What scripts for Zitadel's services share: the stubs, who calls over gRPC and as JSON, and the test around them."""

import base64
import glob
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys

import grpc
from grpc_tools import protoc

from cases import ask

address, protos, stubs = sys.argv[1:4]
files = sorted(glob.glob(os.path.join(protos, "*.proto")))
wanted = ["protoc", f"-I{protos}", f"--python_out={stubs}", f"--grpc_python_out={stubs}", *files]
# The types that protobuf itself has are beside the compiler.
import grpc_tools  # noqa: E402

wanted.insert(1, "-I" + os.path.join(os.path.dirname(grpc_tools.__file__), "_proto"))
assert protoc.main(wanted) == 0, "the .proto files cannot be compiled"
sys.path.insert(0, stubs)
import auth_pb2 as v1  # noqa: E402
import auth_pb2_grpc  # noqa: E402
import details_pb2  # noqa: E402
import status_pb2  # noqa: E402
import user_v1_pb2 as user_v1  # noqa: E402
import user_v2_pb2 as v2  # noqa: E402
import user_v2_pb2_grpc  # noqa: E402

channel = grpc.insecure_channel(address)
AUTH, USERS = auth_pb2_grpc.AuthServiceStub(channel), user_v2_pb2_grpc.UserServiceStub(channel)
Code = grpc.StatusCode


def code_sent_to(number):
    """The last code that left for the number."""
    return ask("message", to=number.lstrip("+"))["code"]


def wrong(code):
    return ("A" if code[0] != "A" else "B") + code[1:]


class User:
    """Whoever shows a token."""

    def __init__(self, name=None, *, manages=False, account=0, token=None, **options):
        self.name = name
        if name is not None:
            token = ask("token", dialect="zitadel", user=name, manages=manages, account=account)["token"]
        self.token = token
        self.metadata = [("authorization", f"Bearer {token}")] if token is not None else []
        self.options = {"timeout": 20, **options}

    def my(self, method, **fields):
        """A call of the first API, about oneself."""
        return getattr(AUTH, method)(getattr(v1, method + "Request")(**fields), metadata=self.metadata, **self.options)

    def of(self, method, user, **fields):
        """A call of the second API, about the user of this name."""
        request = getattr(v2, method + "Request")(user_id=user, **fields)
        return getattr(USERS, method)(request, metadata=self.metadata, **self.options)

    def json(self, verb, path, body=None, *headers):
        """The HTTP status, and the answer."""
        shown = ["-H", f"Authorization: Bearer {self.token}"] if self.token is not None else []
        more = [part for header in headers for part in ("-H", header)]
        sent = body if isinstance(body, (str, type(None))) else json.dumps(body)
        data = ["-H", "Content-Type: application/json", "--data-binary", sent] if sent is not None else []
        command = ["curl", "-sS", "-X", verb, "-w", "\n%{http_code}", *shown, *data, *more, f"http://{address}{path}"]
        answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
        text, _, status = answer.rpartition("\n")
        return int(status), json.loads(text)


def error_of(call):
    """With which status a call fails, with which words, and with which identifier in its details."""
    try:
        answer = call()
    except grpc.RpcError as error:
        details = dict(error.trailing_metadata()).get("grpc-status-details-bin")
        identifier = None
        if details is not None:
            status = status_pb2.Status.FromString(details)
            assert (status.code, status.message) == (error.code().value[0], error.details()), status
            detail = details_pb2.ErrorDetail()
            assert status.details[0].Unpack(detail), status
            assert error.details() == f"{detail.message} ({detail.id})", status
            return error.code(), detail.id, detail.message
        return error.code(), identifier, error.details()
    raise AssertionError(f"it answers {answer}")


def json_error(answer):
    """The HTTP status and the code of an error in JSON, its identifier and its words."""
    http, body = answer
    assert http >= 400, answer
    details = body.get("details", [])
    if details:
        (detail,) = details
        assert detail["@type"] == "type.googleapis.com/zitadel.v1.ErrorDetail", body
        assert body["message"] == f"{detail['message']} ({detail['id']})", body
        return http, body["code"], detail["id"], detail["message"]
    return http, body["code"], None, body["message"]


def totp(secret, seconds):
    """The code of an authenticator app (RFC 6238)."""
    key = base64.b32decode(secret)
    digest = hmac.new(key, int(seconds // 30).to_bytes(8, "big"), hashlib.sha1).digest()
    start = digest[-1] & 15
    return f"{(int.from_bytes(digest[start:start + 4], 'big') & 0x7FFFFFFF) % 10**6:06}"


def matches(text, pattern):
    assert re.fullmatch(pattern, text), f"{text!r} is not {pattern}"
