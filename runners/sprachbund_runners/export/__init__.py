"""A setting merged into the weights of an ordinary checkpoint."""
