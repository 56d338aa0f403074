"""What the apps share: who may enter, connections, refusals, the server."""
