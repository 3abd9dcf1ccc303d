"""Settings of the property tests here."""

from hypothesis import settings

# How long an example takes says more of the machine's other work than of the code.
settings.register_profile("corpora", deadline=None)
settings.load_profile("corpora")
