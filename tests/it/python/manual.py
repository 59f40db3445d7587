"""Runs Python of the manual that comes on the standard input, and plays whoever sits at the keyboard."""

import ast
import builtins
import os
import re
import subprocess
import sys
import time


def typed(prompt=""):
    """What a user types: the code of the authenticator app, or the one that was sent last."""
    names = sys._getframe(1).f_globals
    if "factor" not in names:
        return sent()
    # A code that was used is no good: the next one is that of the next time step.
    at = int(time.time()) + (30 if "Next" in prompt else 0)
    command = ["countersign", "totp", "--uri", "-", "--at", str(at)]
    return subprocess.run(command, input=names["factor"].binding["uri"], capture_output=True, check=True, text=True).stdout.strip()


def sent():
    """The last code in the server's log, once there is one that was not read yet."""
    for _ in range(200):
        with open("countersign.log", encoding="utf-8") as log:
            codes = re.findall(r"the code for \S+ by \S+ is (\d+)", log.read())
        if len(codes) > len(read):
            read.append(codes[-1])
            return codes[-1]
        time.sleep(0.05)
    raise AssertionError("no code was sent")


read = []
code = ast.parse(sys.stdin.read(), "the manual")
if sys.argv[1] == "run":
    # As for whoever types it: what lies beside it is found.
    sys.path.insert(0, os.getcwd())
    builtins.input = typed
    exec(compile(code, "the manual", "exec"), {"__name__": "__main__"})
