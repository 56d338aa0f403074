"""Parts that all web apps share: access, connections, refusals, the server."""
