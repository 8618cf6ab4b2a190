//! Message bytes by BLAKE3 hash in append-only segments with group commit.
