"""A message centre: sockets of Python's own, units as smpplib knows them. Prints each unit that comes as JSON.

Its first argument is JSON: {"certificate", "key", "password", "statuses"}. Each of "statuses" is what one submit_sm is
answered: a status of SMPP, "never", "close", or "unbind"; then everything is well. Behind every bind it asks whether the
other side is there, and sends it a message that nobody waits for. The first line that is printed holds the port.
"""

import json
import socket
import ssl
import struct
import sys
import threading

from smpplib import smpp
from smpplib.client import SimpleSequenceGenerator

# Names of units that this server begins with.
ENQUIRE_LINK, DELIVER_SM, UNBIND = 0x15, 0x05, 0x06
# Connections have threads, and one must not speak in the middle of another's line.
LINES = threading.Lock()


def say(value):
    with LINES:
        print(json.dumps(value), flush=True)


def exactly(connection, length):
    octets = b""
    while len(octets) < length:
        more = connection.recv(length - len(octets))
        if not more:
            raise EOFError
        octets += more
    return octets


def text(value):
    return value.decode("latin-1") if isinstance(value, bytes) else value


def request(connection, command, sequence, body=b""):
    connection.sendall(struct.pack(">IIII", 16 + len(body), command, 0, sequence) + body)


def answer(connection, name, sequence, status=0, **fields):
    unit = smpp.make_pdu(name, client=SimpleSequenceGenerator(), **fields)
    unit.sequence = sequence
    unit.status = status
    connection.sendall(unit.generate())


class Centre:
    def __init__(self, settings):
        self.password = settings.get("password", "")
        self.statuses = list(settings.get("statuses", []))
        self.messages = 0

    def serve(self, connection, tls):
        try:
            while True:
                length = exactly(connection, 4)
                octets = length + exactly(connection, struct.unpack(">I", length)[0] - 4)
                if not self.take(connection, octets, tls):
                    break
        except (EOFError, OSError):
            pass
        say({"unit": "closed"})
        connection.close()

    def take(self, connection, octets, tls):
        sequence = struct.unpack(">I", octets[12:16])[0]
        unit = smpp.parse_pdu(octets, client=SimpleSequenceGenerator(), allow_unknown_opt_params=True)
        name = unit.command
        if name in ("bind_transmitter", "bind_transceiver"):
            good = text(unit.password) == self.password
            say(
                {
                    "unit": name,
                    "system_id": text(unit.system_id),
                    "system_type": text(unit.system_type),
                    "version": unit.interface_version,
                    "tls": tls,
                }
            )
            answer(connection, name + "_resp", sequence, 0 if good else 0x0E, system_id="centre")
            if good:
                request(connection, ENQUIRE_LINK, 901)
                message = b"\0" + b"\1\x0115005550006\0" * 2 + b"\0" * 9 + b"\2hi"
                request(connection, DELIVER_SM, 902, message)
        elif name == "submit_sm":
            return self.submit(connection, unit, sequence)
        elif name == "unbind":
            say({"unit": name})
            answer(connection, "unbind_resp", sequence)
            return False
        elif name == "enquire_link":
            say({"unit": name})
            answer(connection, "enquire_link_resp", sequence)
        else:
            say({"unit": name, "sequence": sequence, "status": unit.status})
        return True

    def submit(self, connection, unit, sequence):
        payload = unit.message_payload
        say(
            {
                "unit": "submit_sm",
                "from": [unit.source_addr_ton, unit.source_addr_npi, text(unit.source_addr)],
                "to": [unit.dest_addr_ton, unit.dest_addr_npi, text(unit.destination_addr)],
                "esm_class": unit.esm_class,
                "validity_period": text(unit.validity_period),
                "data_coding": unit.data_coding,
                "registered_delivery": unit.registered_delivery,
                "message": list(unit.short_message or b""),
                "payload": None if payload is None else list(payload),
            }
        )
        status = self.statuses.pop(0) if self.statuses else 0
        if status == "close":
            return False
        if status == "unbind":
            request(connection, UNBIND, 903)
        elif status != "never":
            self.messages += 1
            name = f"m-{self.messages}" if status == 0 else ""
            answer(connection, "submit_sm_resp", sequence, status, message_id=name)
        return True


def main():
    settings = json.loads(sys.argv[1])
    context = None
    if settings.get("certificate"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings["certificate"], settings["key"])
    centre = Centre(settings)
    listener = socket.create_server(("127.0.0.1", 0))
    say({"port": listener.getsockname()[1]})
    while True:
        connection, _ = listener.accept()
        if context:
            try:
                connection = context.wrap_socket(connection, server_side=True)
            except (OSError, ssl.SSLError):
                continue
        threading.Thread(target=centre.serve, args=(connection, context is not None), daemon=True).start()


main()
