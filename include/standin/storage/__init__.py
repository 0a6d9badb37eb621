"""Stand-in for Azure Storage: an Azurite for each account, behind one proxy that adds TLS and the accounts' rules."""
