"""A config repository to start from."""
