"""Sends staged rows, keeps what was refused, and knows how far it got."""
