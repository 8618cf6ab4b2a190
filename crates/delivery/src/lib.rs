//! The doors mail comes in by, and what carries it into mailboxes.
