"""How well a model predicts text: windows, perplexity, bits per byte, and when enough was read."""
