"""Frames in, frames out. Stages do not import one another: they exchange tables."""
