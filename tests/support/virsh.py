"""libvirt's own reading of domains, by its test driver, which starts nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest


def read_back(domains: Sequence[tuple[str, str]], folder: Path) -> list[str]:
    """Each domain (its uuid and its XML) defined and dumped, in one run of virsh."""
    if shutil.which("virsh") is None:
        pytest.skip("virsh is not installed")
    commands = []
    for number, (uuid, text) in enumerate(domains):
        (folder / f"{number}.xml").write_text(text)
        commands += [
            f"define --validate {folder}/{number}.xml",
            f"dumpxml --inactive {uuid}",
            f"undefine --nvram {uuid}",
        ]
    virsh = ["virsh", "-q", "-c", "test:///default"]
    run = subprocess.run(virsh, input="\n".join(commands), capture_output=True, text=True, timeout=60, check=False)
    dumps = re.findall("^<domain .*?^</domain>$", run.stdout, re.DOTALL | re.MULTILINE)
    assert len(dumps) == len(domains), run.stderr
    # The test driver names the host's end of each NIC as if the guest ran.
    return [re.sub("<target dev='testnet[0-9]+'/>", "", dump) for dump in dumps]
