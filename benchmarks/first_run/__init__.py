"""The sample product from new to predicted, in caudal and as projects of other tools."""
