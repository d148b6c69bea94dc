"""Report endpoints, and the engine that counts events for them."""
