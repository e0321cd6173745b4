"""Files of a library system, taken in as often as one likes."""
