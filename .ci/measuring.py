"""Servers that are measured: what `hot_path`, `steps` and `gates` have in common."""

import json
import os
import pathlib
import signal
import subprocess
import sys

ACCOUNT = "AC00000000000000000000000000000001:for-this-measurement-only"


class Server:
    """A server on an empty store in `directory`, or on the one at `data`; with `floor` the bare handler. `under` is the command
    that it is run by."""

    def __init__(self, binary, directory, under=(), floor=False, data=None, account=ACCOUNT, more=()):
        self.binary, self.directory = binary, pathlib.Path(directory)
        self.account, self.floor = account, floor
        if floor:
            served = ["bench", "floor-server"]
        else:
            served = ["serve", "--data", str(data or self.directory / "data"), "--listen", "127.0.0.1:0", "--log", "warn"]
            ops = f"127.0.0.1:{free_port()}"
            served += ["--ops-listen", ops, *more]
            self.metrics = f"http://{ops}"
        environment = {
            **without_ours(),
            "COUNTERSIGN_CODES_SENDS_PER_PREFIX_PER_HOUR": "none",
            "COUNTERSIGN_CODES_SENDS_PER_PREFIX_PER_DAY": "none",
            # So that others than root can watch it, too.
            "COUNTERSIGN_CORE_DUMPS": "1",
        }
        if data is None:
            environment["COUNTERSIGN_BOOTSTRAP"] = account
        self.errors = open(self.directory / "errors", "a+")
        self.process = subprocess.Popen(
            [*under, binary, *served],
            # Whoever is the bare handler lives until this ends.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=environment,
            text=True,
        )
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            self.fail(f"the server did not start: {line!r}")
        self.url = line.split()[2]

    def fail(self, text):
        self.errors.seek(0)
        self.stop()
        sys.exit(f"{text}\n{self.errors.read()[-4000:]}")

    def load(self, operation, *more):
        """The report of `countersign bench`."""
        return json.loads(self.prepare(operation, "--json", *more))

    def prepare(self, operation, *more):
        """What `countersign bench` prints."""
        command = [self.binary, "bench", operation, "--url", self.url, *map(str, more)]
        environment = {**without_ours(), "COUNTERSIGN_ACCOUNT": self.account}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            self.fail(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def around(self, begin, end):
        """The argument that has a load call these commands of a shell when it begins and when it is over."""
        program = self.directory / "around"
        program.write_text(f'#!/bin/sh\nif [ "$1" = begin ]; then\n{begin}\nelse\n{end}\nfi >/dev/null 2>&1\n')
        program.chmod(0o700)
        return ["--around", program]

    def stop(self):
        self.process.stdin.close()
        if not self.floor:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()


def without_ours():
    """The variables that are no settings of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COUNTERSIGN_")}


def free_port():
    """A port that was free a moment ago."""
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def median(numbers):
    """The one in the middle."""
    return sorted(numbers)[len(numbers) // 2]
