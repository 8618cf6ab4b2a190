//! QRESYNC: what happened while the client was away. RFC 7162 §3.2.5 and §3.2.6.

use crate::imap::blocking;
use crate::imap::connection::{Connection, OUT_BUFFER};
use crate::imap::selected::{Selected, begin, flag_names};
use imap::NumberSet;
use imap::command::Qresync;
use imap::response::Encoder;
use std::io;
use store::{ModSeq, Result, Uid};

/// Runs of expunged UIDs that are read for one answer. Where there are more, all UIDs that are not there are told, which is as right.
const MOST_RUNS: usize = 100_000;

impl Selected {
    /// UIDs of `among` that were expunged after `since`. Messages that the client still counts are left out: of these it is told
    /// otherwise.
    pub(crate) fn expunged_since(&self, since: u64, among: &NumberSet) -> Result<NumberSet> {
        let runs = self.account.message_expunged(self.mailbox, ModSeq(since), MOST_RUNS)?;
        let gone = match runs {
            Some(runs) => NumberSet::from_ranges(runs.into_iter().map(|(first, last)| (first.0, last.0))),
            None => NumberSet::from_ranges([(1, self.told.uid_next.0.saturating_sub(1))]),
        };
        let there: NumberSet = self.told.iter().map(|message| message.uid.0).collect();
        Ok(gone.intersection(among).difference(&there))
    }
}

impl Connection {
    /// Tells who has just selected a mailbox what changed since it was here. Says nothing if that was another mailbox of the name.
    pub(crate) async fn resync(&mut self, qresync: &Qresync) -> io::Result<Result<()>> {
        let (rev2, uid_only) = (self.rev2, self.uid_only);
        let Some(selected) = self.selected.as_deref() else {
            return Ok(Ok(()));
        };
        let told = std::sync::Arc::clone(&selected.told);
        if qresync.uid_validity != told.uid_validity {
            return Ok(Ok(()));
        }
        let most = told.uid_next.0.saturating_sub(1);
        let all = NumberSet::from_ranges([(1, most)]);
        let known = match &qresync.known {
            Some(known) => known.resolve(most).unwrap_or_default(),
            None => all,
        };
        let gone = match blocking(|| selected.expunged_since(qresync.modseq, &known)) {
            Ok(gone) => gone,
            Err(error) => return Ok(Err(error)),
        };
        let recent_from = selected.open.recent_from;
        Encoder::new(&mut self.out, rev2).vanished(true, &gone);
        for range in known.ranges() {
            let from = told.lower_bound(Uid(*range.start()));
            for (position, message) in (from..).zip(told.iter_from(from)) {
                if message.uid.0 > *range.end() {
                    break;
                }
                if message.modseq <= ModSeq(qresync.modseq) {
                    continue;
                }
                let out = &mut self.out;
                let mut fetch = begin(out, position, message.uid, uid_only);
                fetch.uid(out, message.uid.0);
                let recent = !rev2 && message.uid >= recent_from;
                fetch.flags(out, flag_names(message.flags, &told.keywords, recent));
                fetch.modseq(out, message.modseq.0);
                fetch.end(out);
                if self.out.len() >= OUT_BUFFER {
                    self.flush().await?;
                }
            }
        }
        Ok(Ok(()))
    }
}
