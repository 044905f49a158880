from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process loses nothing that the kernel holds: waiting for the medium only makes the tests slow."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
