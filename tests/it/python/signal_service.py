"""What scripts for Signal's registration service share: the stubs, who calls, and the test around them that moves the time."""

import importlib.util
import os
import re
import sys

import grpc
from grpc_tools import protoc

from cases import ask

address, protos, stubs = sys.argv[1:4]


def compiled(folder, text, *outputs):
    """Makes Python of a `.proto` file."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "registration.proto")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    arguments = ["protoc", f"-I{folder}", *(f"--{output}={folder}" for output in outputs), path]
    assert protoc.main(arguments) == 0, "the .proto file cannot be compiled"


def loaded(folder, name):
    """The module that is called `registration_pb2_grpc`, under another name."""
    spec = importlib.util.spec_from_file_location(name, os.path.join(folder, "registration_pb2_grpc.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def in_older_spelling(text):
    """What the service was called before July 2023: `create_session` for `CreateSession`."""
    return re.sub(
        r"(?<=  rpc )\w+",
        lambda name: re.sub(r"(?<!^)(?=[A-Z])", "_", name[0]).lower(),
        text,
    )


with open(os.path.join(protos, "registration.proto"), encoding="utf-8") as file:
    text = file.read()
today, before = os.path.join(stubs, "today"), os.path.join(stubs, "before")
compiled(today, text, "python_out", "grpc_python_out")
compiled(before, in_older_spelling(text), "grpc_python_out")
sys.path.insert(0, today)
import registration_pb2 as pb  # noqa: E402

channel = grpc.insecure_channel(address)
stub = loaded(today, "todays_stubs").RegistrationServiceStub(channel)
old_stub = loaded(before, "older_stubs").RegistrationServiceStub(channel)

SMS, VOICE = pb.MESSAGE_TRANSPORT_SMS, pb.MESSAGE_TRANSPORT_VOICE


def code_of(session):
    return ask("code", session=session.hex())


def message_to(number):
    """The last message that left for the number."""
    return ask("message", to=str(number))


def wrong(code):
    return ("1" if code[0] == "0" else "0") + code[1:]


class Caller:
    """Whoever shows a token; the calls give what they answer, errors as (name, may_retry, retry_after_seconds)."""

    def __init__(self, token, *, stub=stub, header="authorization", **options):
        shown = f"Bearer {token}" if header == "authorization" else token
        self.metadata = [(header, shown)] if token is not None else []
        self.stub, self.options = stub, options

    def call(self, name, request):
        """By its name of today; the older stubs know the older one."""
        older = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        method = getattr(self.stub, name, None) or getattr(self.stub, older)
        return method(request, metadata=self.metadata, **{"timeout": 20, **self.options})

    def try_create(self, number, key="", exists=False):
        asked = pb.CreateRegistrationSessionRequest(
            e164=number, rate_limit_collation_key=key, account_exists_with_e164=exists
        )
        answer = self.call("CreateSession", asked)
        which = answer.WhichOneof("response")
        assert which in ("session_metadata", "error"), answer
        return answer.session_metadata if which == "session_metadata" else error_of(answer.error)

    def create(self, number, key=""):
        """The identifier of a new session."""
        made = self.try_create(number, key)
        assert isinstance(made, pb.RegistrationSessionMetadata), made
        assert len(made.session_id) == 16
        return made.session_id

    def get(self, session):
        answer = self.call("GetSessionMetadata", pb.GetRegistrationSessionMetadataRequest(session_id=session))
        which = answer.WhichOneof("response")
        if which == "session_metadata":
            return answer.session_metadata
        return end_of_name(answer.error)

    def try_send(self, session, transport=SMS, **more):
        """The session, and the error, each only if it is there."""
        asked = pb.SendVerificationCodeRequest(session_id=session, transport=transport, **more)
        return parts(self.call("SendVerificationCode", asked))

    def send(self, session, transport=SMS, **more):
        """The session after a sending that must be allowed."""
        metadata, error = self.try_send(session, transport, **more)
        assert error is None, error
        return metadata

    def try_check(self, session, code):
        asked = pb.CheckVerificationCodeRequest(session_id=session, verification_code=code)
        return parts(self.call("CheckVerificationCode", asked))

    def check(self, session, code):
        """The session after a guess that must be evaluated."""
        metadata, error = self.try_check(session, code)
        assert error is None, error
        return metadata

    def legacy_check(self, session, code):
        """Whether it is verified, and the error."""
        asked = pb.CheckVerificationCodeRequest(session_id=session, verification_code=code)
        answer = self.call("LegacyCheckVerificationCode", asked)
        return answer.verified, error_of(answer.error) if answer.HasField("error") else None


def parts(answer):
    metadata = answer.session_metadata if answer.HasField("session_metadata") else None
    return metadata, error_of(answer.error) if answer.HasField("error") else None


def error_of(error):
    """The end of the error's name, whether and after how many seconds it may be tried again."""
    return end_of_name(error), error.may_retry, error.retry_after_seconds


def end_of_name(error):
    kinds = error.DESCRIPTOR.fields_by_name["error_type"].enum_type
    return kinds.values_by_number[error.error_type].name.split("_ERROR_TYPE_")[1]


def status_of(call):
    """With which status, and which words, a call fails."""
    try:
        answer = call()
    except grpc.RpcError as error:
        return error.code(), error.details()
    raise AssertionError(f"it answers {answer}")
