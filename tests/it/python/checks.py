"""What the scripts share: where the server is, one line per check, the exit status."""

import os
import sys
import time


class Server:
    """The server under test: from the arguments BASE_URL ACCOUNT_SID AUTH_TOKEN, or from the environment."""

    def __init__(self):
        names = ["COUNTERSIGN_TEST_URL", "COUNTERSIGN_TEST_ACCOUNT", "COUNTERSIGN_TEST_TOKEN"]
        given = sys.argv[1:] or [os.environ.get(name, "") for name in names]
        if len(given) != 3 or not all(given):
            sys.exit(f"usage: {sys.argv[0]} BASE_URL ACCOUNT_SID AUTH_TOKEN, or set {', '.join(names)}")
        self.url, self.account, self.token = given
        self.url = self.url.rstrip("/")


class Checks:
    """Prints one line per check; `finish` ends the script with the result."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def check(self, name, holds, detail=""):
        if holds:
            self.passed += 1
            print(f"ok    {name}", flush=True)
        else:
            self.failed += 1
            print(f"FAIL  {name}: {detail}", flush=True)
        return bool(holds)

    def equal(self, name, found, wanted):
        return self.check(name, found == wanted, f"found {found!r}, wanted {wanted!r}")

    def finish(self):
        print(f"{self.passed} checks passed, {self.failed} failed", flush=True)
        sys.exit(1 if self.failed or not self.passed else 0)


def clear_of_the_step_edge(period, margin=3):
    """The time now, after waiting out the last `margin` seconds of a time step."""
    left = period - time.time() % period
    if left < margin:
        time.sleep(left + 0.05)
    return int(time.time())
