"""Facts on the knobs of a host, as data: what exists since when, what it is for, when it harms, who says so."""
