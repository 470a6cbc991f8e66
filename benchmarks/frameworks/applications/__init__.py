"""The same application in each framework, written as its documentation shows it.

``application(middlewares)`` makes it with that many middlewares that do nothing; ``app`` is without any.
"""
