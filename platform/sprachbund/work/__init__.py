"""What a job is: its kind, key and payload."""
