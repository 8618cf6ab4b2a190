//! Answers with a line for each message, written as room is made.

/// What is listed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Listing {
    /// LIST, from this message on (from 0).
    Sizes(usize),
    /// UIDL, from this message on (from 0).
    Ids(usize),
}
