"""Compilers of fitted estimators, a file for each family; found by their names (``caudal.kinds``). They need scikit-learn."""
