"""What differs from one destination to another, one module for each kind."""
