"""What Mixpanel offers to read: the endpoints of its API, and the tables loaded from them."""
