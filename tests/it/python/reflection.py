"""A client that has no .proto file: it learns from the server what there is, and calls it. The argument is where."""

import sys

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

channel = grpc.insecure_channel(sys.argv[1])
database = ProtoReflectionDescriptorDatabase(channel)
services = sorted(database.get_services())
assert services == [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "org.signal.registration.rpc.RegistrationService",
    "zitadel.auth.v1.AuthService",
    "zitadel.user.v2.UserService",
], services
pool = DescriptorPool(database)


def call(service, method, /, **fields):
    described = pool.FindServiceByName(service).FindMethodByName(method)
    asked = message_factory.GetMessageClass(described.input_type)
    answered = message_factory.GetMessageClass(described.output_type)
    make = channel.unary_unary(
        f"/{service}/{method}", request_serializer=asked.SerializeToString, response_deserializer=answered.FromString
    )
    return make(asked(**fields), timeout=30, compression=grpc.Compression.Gzip)


def refused(service, method, /, **fields):
    try:
        call(service, method, **fields)
    except grpc.RpcError as error:
        return error.code()
    raise AssertionError(f"{method} was answered")


for service in ["", *services]:
    answer = call("grpc.health.v1.Health", "Check", service=service)
    assert answer.status == 1, (service, answer)
assert refused("grpc.health.v1.Health", "Check", service="nobody.Knows") == grpc.StatusCode.NOT_FOUND
assert (
    refused("org.signal.registration.rpc.RegistrationService", "CreateSession", e164=32470123456)
    == grpc.StatusCode.UNAUTHENTICATED
)
assert refused("zitadel.auth.v1.AuthService", "VerifyMyPhone", code="1") == grpc.StatusCode.UNAUTHENTICATED
unknown = refused("zitadel.user.v2.UserService", "RemovePhone", user_id="user-0001")
assert unknown == grpc.StatusCode.UNAUTHENTICATED
