"""The same images through the same network in other engines, each in an environment and a process of its own."""
