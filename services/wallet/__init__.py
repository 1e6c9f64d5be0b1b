"""The wallet of each party: its DID, the credentials that it issues and revokes, and those that it holds and presents."""
