"""How long browsers are waited for; nothing is imported from here."""

from playwright.sync_api import expect

# As long as Playwright waits for all else: five seconds are few on a busy machine.
expect.set_options(timeout=30_000)
