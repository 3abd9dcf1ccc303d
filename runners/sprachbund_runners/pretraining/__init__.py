"""How the demo model was made: a small BLOOM, trained from scratch on phrasebook documents."""
