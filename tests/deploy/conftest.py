"""Fixtures of the deployment tests: a Docker engine with the images, real backends, load on a web application."""
import sys

import pytest

from lib import places
from lib.docker import Engine
from lib.load import requests

sys.path.append(str(places.TESTS / "interop"))


@pytest.fixture(scope="module")
def docker():
    """A running Engine that holds the base image and the agent's own."""
    engine = Engine()
    try:
        engine.start()
        engine.build_agent()
        yield engine
    finally:
        engine.stop()


@pytest.fixture
def load():
    """load(url): requests on it until the test ends."""
    with requests() as start:
        yield start
