"""What every REST answer keeps to: problems, cursors, ETags, idempotency, limits."""
