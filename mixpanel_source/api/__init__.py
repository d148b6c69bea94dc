"""Mixpanel's HTTP API: requests, pacing, quota, retries and what errors mean."""
