"""Single predictions a second: caudal's server beside the same pipeline in a usual web app."""
