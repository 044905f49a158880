"""Whatever a source says, loading it gives a site or an error, and each error has its place in the source."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from kvmc.model.load import load_site

EXAMPLE = (Path(__file__).parents[2] / "examples/telco-edge/site.kvmt").read_text(encoding="utf-8")
WORDS = [match.span() for match in re.finditer(r"[\w./:-]+", EXAMPLE)]
ODD = """none [] [a] -1 shared sata qcow2 uuid mac addresses "../x" "$(id)" import kvmt 0 99999999999 1.5GiB 64G "" disk hostdev 6
    52:54:00:00:00:01 [1,1] 2*1GiB [2*1GiB,1*1GiB] std/x"""
VOCABULARY = [*sorted({EXAMPLE[start:end] for start, end in WORDS}), *ODD.split()]

swaps = st.lists(st.tuples(st.integers(0, len(WORDS) - 1), st.sampled_from(VOCABULARY)), min_size=1, max_size=8)
drops = st.lists(st.integers(0, EXAMPLE.count("\n")), max_size=3)


@settings(max_examples=120, deadline=None)
@given(swaps, drops)
def test_an_example_with_words_swapped_and_lines_dropped(put: list[tuple[int, str]], dropped: list[int]) -> None:
    text = EXAMPLE
    for index, word in sorted(dict(put).items(), reverse=True):
        start, end = WORDS[index]
        text = text[:start] + word + text[end:]
    lines = text.split("\n")
    text = "\n".join(line for index, line in enumerate(lines) if index not in dropped)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "site.kvmt")
        path.write_text(text, encoding="utf-8")
        loaded = load_site(path)
    assert (loaded.site is None) == loaded.bag.has_errors
    for item in loaded.bag:
        assert item.primary is not None
        for label in (item.primary, *item.secondary):
            assert 0 <= label.span.start <= label.span.end <= len(text)
        assert item.message.isprintable()
        assert "pydantic" not in item.message
