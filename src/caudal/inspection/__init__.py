"""What can be known of the machine, the cluster and the Spark that this process stands on.

Everything here but ``build_script.py`` needs only the standard library and Python 3.8, since ``caudal inspect --script`` puts these files into one
that runs where nothing can be installed.
"""
