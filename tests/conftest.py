"""What every test stands on: no key, event or setting of the machine it runs on."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def keys_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keys go to a temporary folder, and OpenLineage's own configuration is not read.

    For the session, not for each test: a store that several tests share finds its keys again.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RINGFENCE_HOME", str(tmp_path_factory.mktemp("keys")))
        for name in [name for name in os.environ if name.startswith("OPENLINEAGE")]:
            patch.delenv(name)
        yield
