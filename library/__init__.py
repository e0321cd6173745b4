"""What the library knows: tables, text, settings, clock."""
