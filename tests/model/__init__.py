"""Tree to site."""
