"""Jobs that embed text."""
