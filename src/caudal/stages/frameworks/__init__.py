"""What candidates of other libraries than scikit-learn need in order to keep its protocol."""
