"""Who calls: patrons and librarians by cookie, other systems by key."""
