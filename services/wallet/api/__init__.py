"""The addresses of the wallet, one file for each role."""
