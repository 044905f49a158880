"""087x: taking over what runs."""

from kvmc.diagnostics.model import Code, Severity

NOTHING_TO_IMPORT = Code("KVMC0870", Severity.ERROR, "there is no domain to import")
NOT_KVM = Code("KVMC0872", Severity.ERROR, "a domain is none of KVM's")
NAME_MAPPED = Code("KVMC0873", Severity.WARNING, "a domain's name is none of the language's")
SETTING_NOT_TAKEN = Code("KVMC0874", Severity.WARNING, "a setting of the host is not taken over")
