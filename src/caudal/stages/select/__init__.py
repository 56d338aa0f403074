"""Selection rules: which candidate is chosen by its scores on the folds; a rule is one file."""
