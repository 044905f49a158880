"""The last stage: artifacts to disk, all or nothing. Here are the names that it gives its files."""

GENERATED = "generated"
LOCKS = "locks"
TEMP_SUFFIX = ".kvmc-new"
JOURNAL = ".kvmc-journal.json"
