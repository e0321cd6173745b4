"""Languages, numbers and calendars: what a patron chooses about how things are told."""
