"""Frames in, frames out. Stages do not know one another: they meet through tables."""
