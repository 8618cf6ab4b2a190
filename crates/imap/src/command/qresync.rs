//! QRESYNC: what a client that comes back knows of a mailbox. RFC 7162 §3.2.5.

use crate::cursor::Cursor;
use crate::{Bound, Error, Result, SequenceSet};

/// The parameter of SELECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qresync {
    /// The UIDVALIDITY it knows. If the mailbox has another by now, nothing it knows is worth anything.
    pub uid_validity: u32,
    /// The mod-sequence up to which it knows all changes.
    pub modseq: u64,
    /// The UIDs it knows; `None`: all.
    pub known: Option<SequenceSet>,
    /// Some sequence numbers and the UIDs they had: where they still agree, nothing below was expunged. A server that remembers every
    /// expunge has no use for them.
    pub matched: Option<(SequenceSet, SequenceSet)>,
}

impl<'a> Cursor<'a> {
    // "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"
    // seq-match-data = "(" known-sequence-set SP known-uid-set ")"
    pub(crate) fn qresync(&mut self) -> Result<Qresync> {
        self.open()?;
        let uid_validity = self.number_nonzero()?;
        self.space()?;
        let modseq = self.number64()?;
        if modseq == 0 {
            return Err(Error::Number);
        }
        let (mut known, mut matched) = (None, None);
        let mut more = self.more();
        if more && self.at_sequence_set() {
            known = Some(self.known_set()?);
            more = self.more();
        }
        if more {
            self.open()?;
            let numbers = self.known_set()?;
            self.space()?;
            matched = Some((numbers, self.known_set()?));
            self.expect(b')', "a closing bracket")?;
        }
        self.expect(b')', "a closing bracket")?;
        Ok(Qresync {
            uid_validity,
            modseq,
            known,
            matched,
        })
    }

    /// A sequence set of numbers alone: what is known does not depend on what is there.
    fn known_set(&mut self) -> Result<SequenceSet> {
        let set = self.sequence_set()?;
        let open = match &set {
            SequenceSet::Saved => true,
            SequenceSet::Ranges(ranges) => ranges.iter().any(|(a, b)| [a, b].contains(&&Bound::Largest)),
        };
        if open {
            return Err(Error::Expected("a sequence set without * and $"));
        }
        Ok(set)
    }
}
