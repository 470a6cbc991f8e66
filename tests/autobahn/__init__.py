"""Autobahn's fuzzing client against asgiserve: ``make autobahn``."""
