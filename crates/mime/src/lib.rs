//! Messages as IMAP and delivery see them: structure, envelope, sections, text for search.
