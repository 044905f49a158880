"""A placement for a person: what is where on each host, as a value, as text and as one page of HTML."""
