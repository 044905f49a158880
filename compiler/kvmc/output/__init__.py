"""The last stage: artifacts to disk, all or nothing."""
