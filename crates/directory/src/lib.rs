//! Domains, accounts, addresses, aliases and credentials.
