//! How commands are answered: what is new, then the tagged line. RFC 9051 §7.1.

use crate::imap::connection::{Connection, Next};
use crate::imap::selected::Telling;
use crate::imap::trouble;
use imap::response::{Code, Status};
use imap::{Error, NumberSet, Refused};
use std::io;
use store::ModSeq;

/// How a command is answered.
pub(crate) struct Answer {
    pub(crate) status: Status,
    pub(crate) code: Option<OwnCode>,
    pub(crate) text: String,
    /// A change of flags that the client was told of already.
    pub(crate) own: Vec<ModSeq>,
}

/// A response code with what belongs to it.
pub(crate) enum OwnCode {
    Plain(Code<'static>),
    Capability(Vec<String>),
    CopyUid {
        validity: u32,
        from: NumberSet,
        to: NumberSet,
    },
    Modified(NumberSet),
    AppendUid {
        validity: u32,
        uids: NumberSet,
    },
    BadUrl(String),
}

impl Answer {
    pub(crate) fn ok(text: impl Into<String>) -> Answer {
        Answer {
            status: Status::Ok,
            code: None,
            text: text.into(),
            own: Vec::new(),
        }
    }

    pub(crate) fn no(code: Option<Code<'static>>, text: impl Into<String>) -> Answer {
        Answer {
            status: Status::No,
            code: code.map(OwnCode::Plain),
            ..Answer::ok(text)
        }
    }

    pub(crate) fn bad(text: impl Into<String>) -> Answer {
        Answer {
            status: Status::Bad,
            ..Answer::ok(text)
        }
    }

    pub(crate) fn with(self, code: OwnCode) -> Answer {
        Answer {
            code: Some(code),
            ..self
        }
    }
}

impl Connection {
    /// Tells what is new and how the command went.
    pub(crate) fn answer(&mut self, tag: &str, command: &'static str, answer: &Answer, expunge: bool) -> Next {
        let alive = answer.status == Status::Bad || self.tell(expunge, &answer.own);
        self.answer_tagged(tag, command, answer, alive)
    }

    /// The same, where what is new may concern searches that are kept up to date.
    pub(crate) async fn answer_in_full(
        &mut self,
        tag: &str,
        command: &'static str,
        answer: &Answer,
        expunge: bool,
    ) -> io::Result<Next> {
        let mut alive = true;
        if answer.status != Status::Bad {
            self.contexts_prepare(expunge).await?;
            alive = self.tell(expunge, &answer.own);
            self.contexts_settle().await?;
            if command == "SETMETADATA" {
                // What a client does itself is no news to it.
                self.announce_from_here();
            }
            self.announce();
        }
        Ok(self.answer_tagged(tag, command, answer, alive))
    }

    fn answer_tagged(&mut self, tag: &str, command: &'static str, answer: &Answer, alive: bool) -> Next {
        self.listener.metrics.command(command, answer.status.name());
        let names: Vec<&str>;
        let code = match &answer.code {
            None => None,
            Some(OwnCode::Plain(code)) => Some(code.clone()),
            Some(OwnCode::Capability(all)) => {
                names = all.iter().map(String::as_str).collect();
                Some(Code::Capability(&names))
            }
            Some(OwnCode::CopyUid { validity, from, to }) => Some(Code::CopyUid {
                validity: *validity,
                from,
                to,
            }),
            Some(OwnCode::Modified(set)) => Some(Code::Modified(set)),
            Some(OwnCode::AppendUid { validity, uids }) => Some(Code::AppendUid {
                validity: *validity,
                uids,
            }),
            Some(OwnCode::BadUrl(url)) => Some(Code::BadUrl(url)),
        };
        self.encoder().tagged(tag, answer.status, code.as_ref(), &answer.text);
        if !alive {
            return Next::Close;
        }
        if self.failures >= self.options().login_failures {
            self.encoder().bye(None, "too many failed logins");
            return Next::Close;
        }
        if answer.status == Status::Bad {
            self.count_error()
        } else {
            Next::Command
        }
    }

    pub(crate) fn refuse(&mut self, refused: &Refused) -> Next {
        let text = refused.error.to_string();
        self.listener.metrics.command("", "BAD");
        match (&refused.error, &refused.tag) {
            (Error::Charset, Some(tag)) => {
                if refused.saves {
                    self.saved_forget();
                }
                self.encoder().tagged(tag, Status::No, Some(&Code::BadCharset), &text);
                Next::Command
            }
            (Error::LiteralTooBig, Some(tag)) => {
                self.encoder().tagged(tag, Status::Bad, Some(&Code::TooBig), &text);
                self.count_error()
            }
            (_, tag) => {
                let tag = tag.clone();
                self.encoder().bad(tag.as_deref(), &text);
                self.count_error()
            }
        }
    }

    /// `$` is empty from here on: a search whose result was to be kept has failed (RFC 5182 §2.1).
    pub(crate) fn saved_forget(&mut self) {
        if let Some(selected) = &mut self.selected {
            selected.saved = NumberSet::new();
        }
    }

    fn count_error(&mut self) -> Next {
        self.errors += 1;
        if self.errors < self.options().errors {
            return Next::Command;
        }
        self.encoder().bye(None, "too many commands that cannot be understood");
        Next::Close
    }

    /// Tells what is new in the selected mailbox. False: the session has to end.
    pub(crate) fn tell(&mut self, expunge: bool, own: &[ModSeq]) -> bool {
        let readable = self.selected_is_readable();
        // RFC 5465 §3.1: whoever has said what to hear of hears of nothing else.
        let events = self.watch.as_ref().map(|watch| watch.selected());
        let Some(selected) = &mut self.selected else {
            return true;
        };
        if events.is_some_and(|events| !events.messages) && !selected.open.snapshot().deleted {
            return true;
        }
        let how = Telling {
            expunge,
            own,
            condstore: self.condstore,
            vanished: self.qresync || self.uid_only,
            uid_only: self.uid_only,
            flags: events.is_none_or(|events| events.flags),
            rev2: self.rev2,
        };
        if readable && selected.tell(&mut self.out, how) {
            return true;
        }
        // Whether it was deleted or shut is not for everybody to know.
        self.encoder().bye(None, "the selected mailbox is gone");
        false
    }

    /// Whether the selected mailbox may still be read, and what else may be done with it, as its owner has it now.
    pub(crate) fn selected_is_readable(&mut self) -> bool {
        let (Some(selected), Some(owner)) = (&mut self.selected, &self.owner) else {
            return true;
        };
        selected.account.id() == owner.id
            || selected.rights_renew(&crate::sharing::who(&self.listener.context.directory, owner.id))
    }

    /// The answer to an error of the store.
    pub(crate) fn trouble(&self, error: &store::Error) -> Answer {
        if trouble::is_ours(error) {
            let account = self.owner.as_ref().map_or(0, |owner| owner.id.0);
            tracing::error!(session = self.name, account, %error, "a command failed");
        }
        let (code, text) = trouble::explain(error);
        Answer::no(code, text)
    }
}
