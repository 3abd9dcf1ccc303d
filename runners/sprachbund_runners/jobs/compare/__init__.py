"""Jobs that compare settings and choose among them."""
