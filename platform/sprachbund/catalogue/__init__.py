"""What an experiment may name, without torch: scorers, edits, directions, plugins."""
