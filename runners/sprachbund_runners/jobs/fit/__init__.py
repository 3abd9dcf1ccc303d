"""Jobs that find experts and directions and make edits of them."""
