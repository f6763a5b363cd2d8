"""How much a test does of what it measures, by the build that it tests.

A sanitizer's subject is our code, not its speed: under one, the tests that are marked `measures` do the same things for a
shorter time, and compare no figure that its slowness decides. What a program says, names and delivers is judged in both.
"""
from lib import places

JUDGED = not places.sanitized()


def scaled(release, sanitizer):
    """The first for a build that is measured, the second under a sanitizer."""
    return release if JUDGED else sanitizer
