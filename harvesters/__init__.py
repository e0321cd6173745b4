"""Other systems' data to our rows."""
