"""A server for the Model Context Protocol: agents ask questions about the loaded data.

`server` declares the tools and their static descriptions; the other modules answer them. Whatever
comes from Mixpanel, names of events and values of properties, is returned as data in structured
results. It is never part of a description, of the server's instructions or of an error.

Source: https://modelcontextprotocol.io/specification.
"""
