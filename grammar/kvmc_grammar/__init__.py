"""The grammar of kvmt as package data."""
