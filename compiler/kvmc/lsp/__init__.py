"""The language server: the only part that knows pygls and lsprotocol, and of it only `server` and `convert`."""
