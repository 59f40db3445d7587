"""Telegram's login codes through Telethon, unmodified: sending, waiting, guessing, logging in and out, restarts in between."""

import asyncio
import struct
import sys

from telethon import TelegramClient, errors, functions, types
from telethon.crypto import AuthKey, rsa
from telethon.errors import AuthKeyNotFound
from telethon.network import connection
from telethon.sessions import MemorySession
from telethon.tl import TLRequest

from cases import ask, case, equal, run_all, wait

port, pem, api_id, api_hash = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
rsa.add_key(pem, old=False)


def number(nth):
    """A number for films and books, of another area for each case."""
    return f"+1{[305, 312, 313, 314, 315, 316, 317, 318, 319, 320, 321, 323, 325, 330, 331, 334][nth]}5550100"


def at(handle):
    """One of the cases, which are asynchronous."""

    def run():
        asyncio.run(asyncio.wait_for(handle(), 120))

    run.__name__ = handle.__name__
    return case(run)


def session():
    new = MemorySession()
    new.set_dc(2, "127.0.0.1", port)
    return new


class Phone:
    """A client that is opened anew whenever the clock was moved: it keeps to the time that it was told."""

    def __init__(self, of=None, transport=connection.ConnectionTcpFull, shown=api_hash):
        self.session, self.transport, self.shown = of or session(), transport, shown
        self.client = None

    async def __aenter__(self):
        self.client = TelegramClient(
            self.session, api_id, self.shown, connection=self.transport, flood_sleep_threshold=0,
            request_retries=1, connection_retries=3, auto_reconnect=False,
        )
        await self.client.connect()
        return self

    async def __aexit__(self, *_):
        await self.client.disconnect()

    async def wait(self, seconds):
        await self.client.disconnect()
        wait(seconds)
        await self.__aenter__()

    async def send(self, to):
        return await self.client.send_code_request(to)

    async def begin(self, to):
        """As `send`, which asks for a code again if it has asked before."""
        return await self.client(functions.auth.SendCodeRequest(to, api_id, self.shown, types.CodeSettings()))

    async def resend(self, to, sent):
        return await self.client(functions.auth.ResendCodeRequest(to, sent.phone_code_hash))

    async def sign_in(self, to, sent, code):
        return await self.client.sign_in(to, code, phone_code_hash=sent.phone_code_hash)

    async def cancel(self, to, sent):
        return await self.client(functions.auth.CancelCodeRequest(to, sent.phone_code_hash))


def code_of(sent):
    return ask("code", session=sent.phone_code_hash)


def wrong(code):
    return ("1" if code[0] == "0" else "0") + code[1:]


async def refused(kind, call):
    try:
        await call
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


def told(sent):
    """How it was sent, how it will be, and when."""
    kinds = (type(sent.type).__name__, type(sent.next_type).__name__ if sent.next_type else None)
    return (*kinds, sent.timeout)


@at
async def a_code_goes_each_way_to_the_end_and_is_right_once():
    to = number(0)
    async with Phone() as phone:
        equal(await phone.client.is_user_authorized(), False)
        sent = await phone.send(to)
        equal(told(sent), ("SentCodeTypeSms", "CodeTypeCall", 60))
        equal((sent.type.length, ask("message", to=to[1:])["channel"]), (5, "sms"))
        early = await refused(errors.FloodWaitError, phone.resend(to, sent))
        equal(early.seconds, 60)
        await phone.wait(59)
        equal((await refused(errors.FloodWaitError, phone.resend(to, sent))).seconds, 1)
        await phone.wait(1)
        again = await phone.resend(to, sent)
        equal(told(again), ("SentCodeTypeCall", "CodeTypeSms", 0))
        equal(again.phone_code_hash, sent.phone_code_hash)
        message = ask("message", to=to[1:])
        equal((message["channel"], message["code"]), ("call", code_of(sent)))
        last = await phone.resend(to, sent)
        equal(told(last), ("SentCodeTypeSms", None, None))
        await refused(errors.SendCodeUnavailableError, phone.resend(to, sent))
        await refused(errors.PhoneCodeInvalidError, phone.sign_in(to, sent, wrong(code_of(sent))))
        me = await phone.sign_in(to, sent, code_of(sent))
        equal(me.phone, to[1:])
        assert 0 < me.id < 2**40, me.id
        equal((await phone.client.get_me()).id, me.id)
        again = functions.auth.SignInRequest(to, sent.phone_code_hash, message["code"])
        await refused(errors.PhoneCodeExpiredError, phone.client(again))


@at
async def a_login_belongs_to_the_key_and_outlives_connections_and_processes():
    to = number(1)
    async with Phone() as phone:
        sent = await phone.send(to)
        first = await phone.sign_in(to, sent, code_of(sent))
    async with Phone(phone.session) as again:
        equal((await again.client.get_me()).id, first.id)
        ask("restart")
    async with Phone(phone.session) as later:
        equal(await later.client.is_user_authorized(), True)
        equal((await later.client.get_me()).id, first.id)
    async with Phone() as other:
        equal(await other.client.is_user_authorized(), False)
        sent = await other.send(to)
        ask("restart")
    async with Phone(other.session) as other:
        equal((await other.sign_in(to, sent, code_of(sent))).id, first.id)
        await other.client(functions.auth.LogOutRequest())
        for request in [functions.updates.GetStateRequest(), functions.auth.LogOutRequest()]:
            await refused(errors.AuthKeyUnregisteredError, other.client(request))
    async with Phone(phone.session) as later:
        equal(await later.client.is_user_authorized(), True)


@at
async def every_transport_carries_a_login():
    transports = [
        connection.ConnectionTcpFull,
        connection.ConnectionTcpAbridged,
        connection.ConnectionTcpIntermediate,
        connection.ConnectionTcpObfuscated,
    ]
    for nth, transport in enumerate(transports):
        to = number(2 + nth)
        async with Phone(transport=transport) as phone:
            sent = await phone.send(to)
            equal((await phone.sign_in(to, sent, code_of(sent))).phone, to[1:])


@at
async def what_is_cancelled_unknown_or_anothers_is_expired():
    to = number(6)
    async with Phone() as phone:
        sent = await phone.send(to)
        code = code_of(sent)
        await refused(errors.PhoneCodeExpiredError, phone.sign_in(number(7), sent, code))
        await refused(errors.PhoneCodeExpiredError, phone.resend(number(7), sent))
        await refused(errors.PhoneCodeExpiredError, phone.cancel(number(7), sent))
        equal(await phone.cancel(to, sent), True)
        await refused(errors.PhoneCodeExpiredError, phone.cancel(to, sent))
        await refused(errors.PhoneCodeExpiredError, phone.sign_in(to, sent, code))
        await refused(errors.PhoneCodeExpiredError, phone.resend(to, sent))
        sent.phone_code_hash = "f" * 32
        await refused(errors.PhoneCodeExpiredError, phone.sign_in(to, sent, code))
        sent.phone_code_hash = ""
        await refused(errors.PhoneCodeHashEmptyError, phone.resend(to, sent))
        sent = await phone.send(to)
        await refused(errors.PhoneCodeEmptyError, phone.client(functions.auth.SignInRequest(to, sent.phone_code_hash, "")))
        code = code_of(sent)
        await phone.wait(600)
        await refused(errors.PhoneCodeExpiredError, phone.sign_in(to, sent, code))


@at
async def guesses_and_attempts_are_counted():
    to = number(8)
    async with Phone() as phone:
        sent = await phone.send(to)
        code = code_of(sent)
        for _ in range(5):
            await refused(errors.PhoneCodeInvalidError, phone.sign_in(to, sent, wrong(code)))
        equal((await refused(errors.FloodWaitError, phone.sign_in(to, sent, code))).seconds, 600)
        for _ in range(4):
            await phone.begin(to)
        flood = await refused(errors.FloodWaitError, phone.begin(to))
        equal(flood.seconds, 1800)


@at
async def numbers_and_programs_must_be_known():
    async with Phone() as phone:
        for to in ["+1", "+999999999999"]:
            await refused(errors.PhoneNumberInvalidError, phone.send(to))
        await refused(errors.SmsCodeCreateFailedError, phone.send("+33612345678"))
    async with Phone(shown="0" * 32) as other:
        await refused(errors.ApiIdInvalidError, other.send(number(9)))


@at
async def before_a_login_everything_else_is_unauthorized_and_nothing_ends_the_connection():
    async with Phone() as phone:
        for request in [
            functions.users.GetUsersRequest([types.InputUserSelf()]),
            functions.updates.GetStateRequest(),
            functions.messages.GetDialogsRequest(0, 0, types.InputPeerEmpty(), 0, 0),
        ]:
            await refused(errors.AuthKeyUnregisteredError, phone.client(request))
        equal((await phone.client(functions.help.GetConfigRequest())).this_dc, 2)


@at
async def a_key_that_nobody_knows_is_told_so():
    stranger = session()
    stranger.auth_key = AuthKey(bytes(range(256)))
    try:
        async with Phone(stranger) as phone:
            await phone.client.get_me()
    except (AuthKeyNotFound, ConnectionError):
        return
    raise AssertionError("the key was taken")


class Raw(TLRequest):
    """A method as it is written, with the answer of another one."""

    def __init__(self, written, like):
        self.written, self.like = written, like
        self.CONSTRUCTOR_ID = struct.unpack("<I", written[:4])[0]

    def _bytes(self):
        return self.written

    def read_result(self, reader):
        return self.like.read_result(reader)


def older(constructor, *texts):
    """A method of the schema of layer 133, whose arguments are texts."""
    return struct.pack("<I", constructor) + b"".join(TLRequest.serialize_bytes(text) for text in texts)


@at
async def versions_of_years_ago_are_answered_in_their_own_words():
    to = number(10)
    async with Phone() as phone:
        sent = await phone.send(to)
        code = code_of(sent)
        sign_in = functions.auth.SignInRequest(to, sent.phone_code_hash, code)
        in_layer = lambda query: functions.InvokeWithLayerRequest(133, query)
        nobody = Raw(older(0x3EF1A9BF, "+1", sent.phone_code_hash), sign_in)
        equal((await refused(errors.PhoneNumberInvalidError, phone.client(in_layer(nobody)))).code, 400)
        early = Raw(older(0x3EF1A9BF, to, sent.phone_code_hash), sign_in)
        await refused(errors.FloodWaitError, phone.client(in_layer(early)))
        # A client remembers for how long it is to wait.
        await phone.wait(0)
        signed = await phone.client(in_layer(Raw(older(0xBCD51581, to, sent.phone_code_hash, code), sign_in)))
        equal(type(signed).__name__, "AuthorizationSignUpRequired")
        equal(await phone.client.is_user_authorized(), False)


run_all()
