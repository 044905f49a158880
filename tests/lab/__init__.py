"""The lab: real consumers of what kvmc writes, each behind a small judge that tells what it takes and what it refuses.

Nothing here changes the machine: what would is run in a throw-away copy of it (`lab.scratch`).
"""
