"""Logging: who writes where, and the access log."""
