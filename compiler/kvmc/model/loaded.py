"""What loading a site gives: the value of every phase that follows."""

from __future__ import annotations

from dataclasses import dataclass

from kvmc.diagnostics import Bag, Sources
from kvmc.model.origins import Origins
from kvmc.model.site import Site


@dataclass(frozen=True, slots=True)
class Loaded:
    """A site file and its imports, read and lowered. `site` is None where the bag holds an error."""

    site: Site | None
    origins: Origins
    sources: Sources
    bag: Bag
