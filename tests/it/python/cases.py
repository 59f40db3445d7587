"""What scripts of many cases share: the test around them, which moves the time, and the cases."""

import json
import sys
import traceback


def ask(what, **more):
    """Asks the test around this script for something."""
    print(json.dumps({"do": what, **more}), flush=True)
    return json.loads(sys.stdin.readline())


def wait(seconds):
    ask("wait", milliseconds=round(seconds * 1000))


def equal(found, wanted):
    assert found == wanted, f"found {found!r}, wanted {wanted!r}"


CASES = []


def case(function):
    """One of the cases, in their order."""
    CASES.append(function)
    return function


def run_all():
    """Each case has the day to itself: what was counted before is forgotten."""
    failed = []
    for function in CASES:
        wait(2 * 24 * 3600)
        try:
            function()
        except Exception:
            traceback.print_exc()
            failed.append(function.__name__)
    print(f"{len(CASES)} cases, failed: {failed}", file=sys.stderr)
    sys.exit(1 if failed or not CASES else 0)
