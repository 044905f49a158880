"""The host of `support` is small: it lacks what no check of its own is for (clock, console, knobs of its profile). So comparison
to the last line is left out there; it is tried on trees that kvmc built, in `mutation/` and `test_exact.py`."""

from __future__ import annotations

import pytest

import kvmc.audit.exact

_BUILT = ("mutation", "test_exact.py", "test_handwritten.py", "test_theorems.py")


@pytest.fixture(autouse=True)
def _small_host(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not any(part in request.path.parts for part in _BUILT):
        monkeypatch.setattr(kvmc.audit.exact, "check", lambda *_: None)
