//! SELECT, EXAMINE, CLOSE, UNSELECT. RFC 9051 §6.3.2, §6.3.3, §6.4.1, §6.4.2.

use crate::imap::answer::{Answer, OwnCode};
use crate::imap::connection::Connection;
use crate::imap::object;
use crate::imap::place::{Place, flags_allowed, namespace};
use crate::imap::selected::{Selected, all_flags, flags_line, sequence};
use crate::imap::{blocking, promptly};
use imap::State;
use imap::command::Select;
use imap::response::{Attribute, Code, ListResponse, Status};
use store::{Flags, Rights};

impl Connection {
    pub(crate) async fn select(&mut self, select: &Select) -> std::io::Result<Answer> {
        if select.qresync.is_some() && !self.qresync {
            return Ok(Answer::bad("enable QRESYNC first"));
        }
        let answer = self.select_open(select);
        if answer.status == Status::Ok
            && let Some(qresync) = &select.qresync
            && let Err(error) = self.resync(qresync).await?
        {
            self.unselect();
            return Ok(self.trouble(&error));
        }
        Ok(answer)
    }

    fn select_open(&mut self, select: &Select) -> Answer {
        // Also when it fails, nothing is selected any more.
        if self.selected.take().is_some() {
            self.state = State::Authenticated;
            self.encoder()
                .untagged(Status::Ok, Some(&Code::Closed), "the mailbox before is closed");
        }
        if select.condstore {
            self.condstore = true;
        }
        let Place {
            account,
            mailbox,
            rights,
            reader,
            name,
        } = match self.place(&select.mailbox, Rights::READ) {
            Ok(place) => place,
            Err(answer) => return answer,
        };
        // RFC 4314 §5.2: who may change nothing has it read-only.
        let changes = Rights::INSERT | Rights::EXPUNGE | Rights::SEEN | Rights::WRITE | Rights::DELETED;
        let read_only = select.read_only || !rights.intersects(changes);
        let small = reader.is_none() && account.is_at_hand(mailbox.id);
        let open = match promptly(small, || account.mailbox_open_as(mailbox.id, reader, !read_only)) {
            Ok(open) => open,
            Err(error) => return self.trouble(&error),
        };
        let selected = Selected::new(account, mailbox.id, reader, open, read_only, rights);
        let told = &selected.told;
        let flags = all_flags(&told.keywords);
        flags_line(&mut self.out, &told.keywords, self.rev2);
        let (rev2, uid_only) = (self.rev2, self.uid_only);
        let mut encoder = self.encoder();
        encoder.exists(sequence(told.len()) - 1);
        if !rev2 {
            encoder.recent(selected.recent());
            if let Some(position) = told.first_without(Flags::SEEN).filter(|_| !uid_only) {
                let code = Code::Unseen(sequence(position));
                encoder.untagged(Status::Ok, Some(&code), "the first that was not seen");
            }
        }
        let allowed = flags_allowed(rights);
        let lasting: Vec<imap::Flag> = flags
            .iter()
            .filter(|flag| !read_only && allowed.contains(Flags::system(flag.name()).unwrap_or(Flags::ANSWERED)))
            .cloned()
            .collect();
        let permanent = Code::PermanentFlags {
            flags: &lasting,
            any: !read_only && rights.contains(Rights::WRITE) && selected.account.keywords().has_room(),
        };
        encoder.untagged(Status::Ok, Some(&permanent), "these are kept");
        encoder.untagged(
            Status::Ok,
            Some(&Code::UidValidity(told.uid_validity)),
            "UIDs are valid",
        );
        encoder.untagged(Status::Ok, Some(&Code::UidNext(told.uid_next.0)), "the next UID");
        let code = Code::MailboxId(object::mailbox(selected.account.id(), mailbox.id));
        encoder.untagged(Status::Ok, Some(&code), "the name that stays");
        // RFC 4467 §6: of mailboxes to whose messages URLs can be signed.
        if namespace(name.as_str()).is_none() {
            encoder.untagged(
                Status::Ok,
                Some(&Code::UrlMech(super::urlauth::MECHANISM)),
                "URLs can be signed",
            );
        }
        encoder.untagged(
            Status::Ok,
            Some(&Code::HighestModSeq(told.highest_modseq.0)),
            "changes are counted",
        );
        if rev2 {
            let own = namespace(name.as_str()).is_none();
            let special_use = mailbox
                .special_use
                .filter(|_| own)
                .and_then(|u| imap::SpecialUse::parse(u.attribute()));
            let attributes: Vec<Attribute> = special_use.map(Attribute::Use).into_iter().collect();
            encoder.list(&ListResponse {
                attributes: &attributes,
                separator: Some('/'),
                mailbox: &name,
                child_subscribed: false,
                old_name: (name != select.mailbox).then_some(&select.mailbox),
            });
        }
        self.state = State::Selected { read_only };
        self.selected = Some(Box::new(selected));
        let code = if read_only { Code::ReadOnly } else { Code::ReadWrite };
        Answer::ok("selected").with(OwnCode::Plain(code))
    }

    pub(crate) fn close(&mut self) -> Answer {
        let (account, selected) = match self.working() {
            Ok(working) => working,
            Err(answer) => return answer,
        };
        // RFC 4314 §4: who may not expunge closes all the same.
        let read_only = selected.read_only || !selected.rights.contains(Rights::EXPUNGE);
        let mailbox = selected.mailbox;
        let expunged = if read_only {
            Ok(store::Expunged::default())
        } else {
            blocking(|| account.message_expunge(mailbox, None))
        };
        match expunged {
            // RFC 7162 §3.2.8: up to where the client knows all, now that these are gone.
            Ok(expunged) if self.qresync && !expunged.uids.is_empty() => {
                let highest = self.highest_modseq(expunged.modseq);
                self.unselect().with(OwnCode::Plain(Code::HighestModSeq(highest)))
            }
            // A mailbox that somebody has deleted meanwhile needs no expunging.
            Ok(_) | Err(store::Error::NoMailbox) => self.unselect(),
            Err(error) => self.trouble(&error),
        }
    }

    /// The mod-sequence up to which a client knows everything once it is told what is new; at most `own`, that of a change of its own.
    pub(crate) fn highest_modseq(&self, own: store::ModSeq) -> u64 {
        let newest = self.selected.as_ref().map(|selected| selected.open.snapshot());
        newest.map_or(own, |newest| newest.highest_modseq.min(own)).0
    }

    pub(crate) fn unselect(&mut self) -> Answer {
        self.selected = None;
        self.state = State::Authenticated;
        Answer::ok("closed")
    }
}
