"""All dealings with the emulators' internals (ministack, moto). Nothing else in the kit may import them.

Each known divergence from AWS is mended in one place here and has a test in ``tests/contract/twin``.
"""
