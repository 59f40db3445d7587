"""Twilio's client as it comes, for which the name of Twilio's host leads to a port of this machine: an entry among its hosts."""

import sys

from twilio.rest import Client
from urllib3.util import connection

port, account, token = sys.argv[1:]
connect = connection.create_connection


def connect_here(address, *more, **others):
    assert address == ("verify.twilio.com", 443), address
    return connect(("127.0.0.1", int(port)), *more, **others)


connection.create_connection = connect_here
print(Client(account, token).verify.v2.services.create(friendly_name="Owl").sid)
