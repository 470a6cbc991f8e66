"""TLS: certificates, by name and renewed while the server runs; and what a scope tells of a connection."""
