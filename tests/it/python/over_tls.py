"""Signal's and Zitadel's services over TLS, which `grpcio` asks HTTP/2 of in the handshake.

Arguments: where, the certificate that is trusted, the tokens of a backend and of a user. It has no .proto file: it learns
from the server what there is.
"""

import sys

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

address, certificate, signal_token, user_token = sys.argv[1:5]
with open(certificate, "rb") as file:
    credentials = grpc.ssl_channel_credentials(root_certificates=file.read())
channel = grpc.secure_channel(address, credentials)
pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))


def call(token, service, method, /, **fields):
    described = pool.FindServiceByName(service).FindMethodByName(method)
    asked = message_factory.GetMessageClass(described.input_type)
    answered = message_factory.GetMessageClass(described.output_type)
    make = channel.unary_unary(
        f"/{service}/{method}", request_serializer=asked.SerializeToString, response_deserializer=answered.FromString
    )
    return make(asked(**fields), metadata=[("authorization", f"Bearer {token}")], timeout=20)


REGISTRATION, AUTH = "org.signal.registration.rpc.RegistrationService", "zitadel.auth.v1.AuthService"
session = call(signal_token, REGISTRATION, "CreateSession", e164=12015550100).session_metadata
found = call(signal_token, REGISTRATION, "GetSessionMetadata", session_id=session.session_id)
assert found.session_metadata.e164 == 12015550100, found
call(user_token, AUTH, "SetMyPhone", phone="+12015550101")
found = call(user_token, AUTH, "GetMyPhone")
assert found.phone.phone == "+12015550101", found
try:
    call(signal_token, AUTH, "GetMyPhone")
    raise AssertionError("a token of another service is taken")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED, error
# Whoever does not trust the certificate says nothing.
stranger = grpc.secure_channel(address, grpc.ssl_channel_credentials())
try:
    stranger.unary_unary(f"/{AUTH}/Healthz")(b"", timeout=20)
    raise AssertionError("a certificate that nobody trusts is taken")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.UNAVAILABLE, error
