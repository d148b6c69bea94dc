"""Changes that are single requests and not rows: prepared, shown, confirmed, carried out.

Each module has functions that check their arguments without a request and return a `Work`.
"""
