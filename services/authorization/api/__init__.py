"""The addresses of the authorization server, one file for each transaction."""
