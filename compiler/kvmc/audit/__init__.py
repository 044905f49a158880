"""A second reader: takes the artifacts back and checks them."""
