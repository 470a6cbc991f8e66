"""Metrics: what is counted, and the endpoint that tells it, with the probes."""
