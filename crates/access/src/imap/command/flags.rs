//! STORE and EXPUNGE. RFC 9051 §6.4.6 and §6.4.3; RFC 4315 §2.1 (`UID EXPUNGE`); RFC 7162 §3.1.3 (`UNCHANGEDSINCE`).

use crate::imap::answer::{Answer, OwnCode};
use crate::imap::connection::Connection;
use crate::imap::place::{flags_allowed, not_allowed};
use crate::imap::selected::{begin, flag_names, sequence};
use crate::imap::{FEW, promptly};
use imap::command::{Store, StoreAction};
use imap::response::{Code, Status};
use imap::{Flag, NumberSet, SequenceSet};
use store::{FlagChange, Flags, ModSeq, Rights, Uid};

impl Connection {
    pub(crate) fn store(&mut self, store: &Store) -> Answer {
        if store.unchanged_since.is_some() {
            self.condstore_enable();
        }
        let (rev2, condstore, uid_only) = (self.rev2, self.condstore, self.uid_only);
        let (account, selected) = match self.working() {
            Ok(working) => working,
            Err(answer) => return answer,
        };
        let mut positions = match selected.positions(&store.set, store.uid) {
            Ok(positions) => positions,
            Err(text) => return Answer::bad(text),
        };
        let told = std::sync::Arc::clone(&selected.told);
        let lowest = self.limit_messages(&told, &mut positions);
        let (_, selected) = match self.working() {
            Ok(working) => working,
            Err(answer) => return answer,
        };
        let uids = selected.uids(&positions);
        let (mailbox, reader) = (selected.mailbox, selected.reader);
        if !may_change(selected.rights, store) {
            return not_allowed();
        }
        // A flag that is taken away need not be known.
        let allowed = flags_allowed(selected.rights);
        let create = store.action != StoreAction::Remove && selected.rights.contains(Rights::WRITE);
        let since = store.unchanged_since.map(ModSeq);
        let before = selected.open.snapshot();
        let small = uids.len() <= FEW && account.is_idle();
        let flagged = promptly(small, || {
            let flags = account.flags_resolve(store.flags.iter().map(Flag::name), create)?;
            // RFC 4314 §4: what one may change is changed, the rest of what was named is left.
            let change = match store.action {
                StoreAction::Add => FlagChange::Add(flags & allowed),
                StoreAction::Remove => FlagChange::Remove(flags & allowed),
                StoreAction::Replace => FlagChange::ReplaceWithin { flags, allowed },
            };
            Ok((account.message_flag_as(reader, mailbox, &uids, change, since)?, change))
        });
        let (flagged, change) = match flagged {
            Ok(flagged) => flagged,
            Err(error) => return self.trouble(&error),
        };
        self.event_flagged(&account, mailbox, reader, &before, &flagged.changed, |flags| {
            change.apply(flags)
        });
        let (_, selected) = match self.working() {
            Ok(working) => working,
            Err(answer) => return answer,
        };
        let newest = selected.open.snapshot();
        let mut out = Vec::new();
        selected.tell_keywords(&mut out, &newest, rev2);
        let mut gone = false;
        let (mut at_newest, mut at_told) = (newest.seek(), selected.told.seek());
        // Both are ascending.
        let mut all_changed = flagged.changed.iter().peekable();
        for (position, uid) in positions.iter().zip(&uids) {
            while all_changed.next_if(|changed| *changed < uid).is_some() {}
            let changed = all_changed.peek() == Some(&uid);
            let Some((_, message)) = at_newest.uid(*uid) else {
                gone = true;
                continue;
            };
            // RFC 9051 §6.4.6: silence is for who knows the outcome. Where somebody else changed the message meanwhile, the client
            // computes other flags than it has now.
            let known = at_told.at(*position as usize).map(|known| known.flags);
            let silent = store.silent && known.map(|flags| change.apply(flags)) == Some(message.flags);
            // RFC 7162 §3.1.3: a change is answered with its mod-sequence, silent or not.
            if silent && !(condstore && changed) {
                continue;
            }
            let mut fetch = begin(&mut out, *position as usize, *uid, uid_only);
            if store.uid || rev2 {
                fetch.uid(&mut out, uid.0);
            }
            if condstore {
                fetch.modseq(&mut out, message.modseq.0);
            }
            if !silent {
                let recent = !rev2 && selected.is_recent(message);
                fetch.flags(&mut out, flag_names(message.flags, &newest.keywords, recent));
            }
            fetch.end(&mut out);
        }
        let modified: NumberSet = if store.uid {
            flagged.modified.iter().map(|uid| uid.0).collect()
        } else {
            let at = |uid: &Uid| at_told.uid(*uid).map(|(position, _)| sequence(position));
            flagged.modified.iter().filter_map(at).collect()
        };
        self.out.append(&mut out);
        let mut answer = if modified.is_empty() {
            if gone && !store.uid {
                Answer::no(Some(Code::ExpungeIssued), "some of the messages are gone")
            } else {
                Answer::ok("stored")
            }
        } else {
            Answer::ok("stored, but for those that had changed").with(OwnCode::Modified(modified))
        };
        answer.own = flagged.modseqs;
        self.limited(answer, lowest)
    }

    pub(crate) fn expunge(&mut self, set: Option<&SequenceSet>) -> Answer {
        let condstore = self.condstore;
        let (account, selected) = match self.working() {
            Ok(working) => working,
            Err(answer) => return answer,
        };
        if !selected.rights.contains(Rights::EXPUNGE) {
            return not_allowed();
        }
        let mailbox = selected.mailbox;
        let among = match set.map(|set| selected.positions(set, true)) {
            None => None,
            Some(Ok(positions)) => Some(positions),
            Some(Err(text)) => return Answer::bad(text),
        };
        // RFC 9738: of UID EXPUNGE, what it works on are the messages that it takes away.
        let (told, newest) = (std::sync::Arc::clone(&selected.told), selected.open.snapshot());
        let mut lowest = None;
        let among = among.map(|mut positions| {
            let deleted = |position: &u32| {
                let known = told.at(*position as usize)?;
                let message = newest.position(known.uid).and_then(|position| newest.at(position))?;
                message.flags.contains(Flags::DELETED).then_some(())
            };
            positions.retain(|position| deleted(position).is_some());
            lowest = self.limit_messages(&told, &mut positions);
            let uid = |position: &u32| told.at(*position as usize).map(|message| message.uid);
            positions.iter().filter_map(uid).collect::<Vec<Uid>>()
        });
        let small = among.as_ref().is_some_and(|among| among.len() <= FEW) && account.is_idle();
        match promptly(small, || account.message_expunge(mailbox, among.as_deref())) {
            Ok(expunged) if condstore && !expunged.uids.is_empty() => {
                let highest = self.highest_modseq(expunged.modseq);
                if lowest.is_some() {
                    // The tagged answer has room for one code.
                    let code = Code::HighestModSeq(highest);
                    self.encoder()
                        .untagged(Status::Ok, Some(&code), "changes are counted up to here");
                    return self.limited(Answer::ok("expunged"), lowest);
                }
                Answer::ok("expunged").with(OwnCode::Plain(Code::HighestModSeq(highest)))
            }
            Ok(_) => self.limited(Answer::ok("expunged"), lowest),
            Err(error) => self.trouble(&error),
        }
    }
}

/// Whether rights let somebody change at least one of the flags that a STORE names (RFC 4314 §4).
fn may_change(rights: Rights, store: &Store) -> bool {
    let allowed = flags_allowed(rights);
    let may = |flag: &Flag| match Flags::system(flag.name()) {
        Some(flag) => allowed.contains(flag),
        None => rights.contains(Rights::WRITE),
    };
    let nothing_named = store.flags.is_empty() && store.action != StoreAction::Replace;
    nothing_named || store.flags.iter().any(may) || store.action == StoreAction::Replace && allowed != Flags::NONE
}
