"""What runs already, as a site: domains and a host's own files become settings, raw settings, identities and placements."""
