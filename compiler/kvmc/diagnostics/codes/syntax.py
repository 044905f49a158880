"""01xx: what the parser could not read."""

from kvmc.diagnostics.model import Code, Severity

UNEXPECTED = Code("KVMC0101", Severity.ERROR, "unexpected text")
UNCLOSED_BLOCK = Code("KVMC0102", Severity.ERROR, "a block is never closed")
UNMATCHED_BRACE = Code("KVMC0103", Severity.ERROR, "a closing brace without an opening one")
UNCLOSED_TEXT = Code("KVMC0104", Severity.ERROR, "a quoted text is not closed on its line")
BAD_ESCAPE = Code("KVMC0105", Severity.ERROR, "an unknown escape in a quoted text")
UNCLOSED_LIST = Code("KVMC0106", Severity.ERROR, "a list is never closed")
CONTROL_CHARACTER = Code("KVMC0107", Severity.ERROR, "an invisible or control character")
TOO_DEEP = Code("KVMC0108", Severity.ERROR, "blocks are nested too deep")
NO_HEADER = Code("KVMC0109", Severity.ERROR, "a file does not say its language version first")
UNKNOWN_VERSION = Code("KVMC0110", Severity.ERROR, "an unknown language version")
TOO_MANY = Code("KVMC0111", Severity.ERROR, "too many errors in one file")
TOO_LARGE = Code("KVMC0112", Severity.ERROR, "a file is too large")
LOST_OPEN = Code("KVMC0113", Severity.ERROR, "the opening brace of a block is lost")
