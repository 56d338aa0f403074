"""Technical debt of a product, measured: what nothing uses, what nobody is told of, what can never fail, each with what to do about it."""
