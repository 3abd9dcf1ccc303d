"""Jobs in which a model writes or predicts text."""
