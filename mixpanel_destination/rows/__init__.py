"""Pure: rows as they are sent, checked against the limits of Mixpanel."""
