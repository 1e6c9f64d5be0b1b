"""Authorization: tokens bounded by client, scope and time, one issuer for each party that the instance hosts."""
