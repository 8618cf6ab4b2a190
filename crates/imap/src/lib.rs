//! IMAP4rev1 and rev2 commands and responses: types, codec, session rules.
