"""What each patron wants, and how we stand with them."""
