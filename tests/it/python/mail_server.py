"""A mail server (aiosmtpd) that prints each mail as JSON, parsed by Python's own library.

Its first argument is JSON: {"tls": "none" | "starttls" | "implicit", "certificate", "key", "password", "answers",
"smtputf8"}. Each of "answers" is what one RCPT is answered; then everything is well. "smtputf8": false offers no SMTPUTF8. The first line that is printed holds the port.
"""

import asyncio
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


def say(value):
    print(json.dumps(value), flush=True)


class Handler:
    def __init__(self, answers):
        self.answers = list(answers)

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer == "never":
            await asyncio.Event().wait()
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.strict)
        say(
            {
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "tls": server.transport.get_extra_info("sslcontext") is not None,
                "login": session.auth_data,
                "peer": session.peer[1],
                "hello": session.host_name,
                "headers": [[name, str(value)] for name, value in mail.items()],
                "defects": [str(defect) for defect in mail.defects],
                "type": mail.get_content_type(),
                "text": mail.get_content().replace("\r\n", "\n"),
            }
        )
        return "250 queued as 17"


async def main():
    settings = json.loads(sys.argv[1])
    tls = settings["tls"]
    context = None
    if tls != "none":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings["certificate"], settings["key"])
    handler = Handler(settings.get("answers", []))

    def authenticate(server, session, envelope, mechanism, data):
        login, password = data.login.decode(), data.password.decode()
        if password != settings["password"]:
            return AuthResult(success=False, handled=False)
        return AuthResult(success=True, auth_data=login)

    def protocol():
        return SMTP(
            handler,
            enable_SMTPUTF8=settings.get("smtputf8", True),
            tls_context=context if tls == "starttls" else None,
            authenticator=authenticate,
            auth_required="password" in settings,
            auth_require_tls=tls == "starttls",
        )

    loop = asyncio.get_running_loop()
    implicit = context if tls == "implicit" else None
    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=implicit)
    say({"port": server.sockets[0].getsockname()[1]})
    await server.serve_forever()


asyncio.run(main())
