"""What can be an address."""


def is_email(address: str) -> bool:
    """Tell whether mail could go there: one @, no space or control character."""
    local, _, domain = address.rpartition("@")
    plain = all(char.isprintable() and not char.isspace() for char in address)
    return bool(local and domain) and plain and not set(address) & set('<>",;:\\()')
