"""What patrons' pages and the console share: cards, forms, notices, guards."""
