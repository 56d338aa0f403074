"""Places of online views: one a file, found by registration."""
