"""00xx: files and the command line."""

from kvmc.diagnostics.model import Code, Severity

SITE_UNREADABLE = Code("KVMC0001", Severity.ERROR, "the site file cannot be read")
NOT_UTF8 = Code("KVMC0002", Severity.ERROR, "a source file is not UTF-8")
IMPORT_UNREADABLE = Code("KVMC0003", Severity.ERROR, "an imported file cannot be read")
IMPORT_PATH = Code("KVMC0004", Severity.ERROR, "an import names no file below the site's folder")
IMPORT_CYCLE = Code("KVMC0005", Severity.ERROR, "files import each other")
IMPORT_TWICE = Code("KVMC0006", Severity.ERROR, "a file imports another twice")
NO_STANDARD_LIBRARY = Code("KVMC0007", Severity.ERROR, "the standard library is not part of this release")
