"""What the apps share: access, connections, refusals, the server."""
