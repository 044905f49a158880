"""00xx: files and the command line."""

from kvmc.diagnostics.model import Code, Severity

SITE_UNREADABLE = Code("KVMC0001", Severity.ERROR, "the site file cannot be read")
NOT_UTF8 = Code("KVMC0002", Severity.ERROR, "a source file is not UTF-8")
IMPORT_UNREADABLE = Code("KVMC0003", Severity.ERROR, "an imported file cannot be read")
IMPORT_PATH = Code("KVMC0004", Severity.ERROR, "an import names no file below the site's folder")
IMPORT_CYCLE = Code("KVMC0005", Severity.ERROR, "files import each other")
IMPORT_TWICE = Code("KVMC0006", Severity.ERROR, "a file imports another twice")
NOT_IN_STANDARD_LIBRARY = Code("KVMC0007", Severity.ERROR, "the standard library has no such file")

PATH_OUTSIDE = Code("KVMC0020", Severity.ERROR, "a path leaves the folder of the site")
NO_SUCH_HOST = Code("KVMC0021", Severity.ERROR, "the command line names a host that the site does not have")
NO_SUCH_VM = Code("KVMC0022", Severity.ERROR, "the command line names a guest that the site does not have")
UNKNOWN_TARGET = Code("KVMC0023", Severity.ERROR, "the site names a target that is not installed")
TARGET_NOT_CHOSEN = Code("KVMC0024", Severity.ERROR, "the command line names a target that the site does not use")
AUDIT_REFUTES = Code("KVMC0025", Severity.ERROR, "the audit refutes what kvmc was about to write")
NOTHING_TO_AUDIT = Code("KVMC0026", Severity.ERROR, "there is nothing to audit")

STANDARD_LIBRARY_SHADOWED = Code("KVMC0030", Severity.ERROR, "a file has the name of one of the standard library")
PAGE_UNWRITABLE = Code("KVMC0040", Severity.ERROR, "the page of a plan cannot be written")
