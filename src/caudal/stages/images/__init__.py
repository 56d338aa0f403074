"""Images: their headers, their pixels, the networks that embed them, and the memory that embedding takes."""
