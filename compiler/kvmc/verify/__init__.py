"""What runs on a host against what was compiled for it, and one compiled tree against another.

`capture` copies what a host says of itself; `check` compares a capture with the artifacts by meaning, `compare` two trees of
artifacts. Both read artifacts with the audit's readers, never the plan that the artifacts were made from.
"""
