//! NOTIFY. RFC 5465 §3.1. What is told then stands in [`crate::imap::notify`].

use crate::imap::answer::Answer;
use crate::imap::blocking;
use crate::imap::connection::Connection;
use crate::imap::notify::Watch;
use imap::command::Notify;
use imap::response::Code;
use std::io;

impl Connection {
    pub(crate) async fn notify(&mut self, notify: Notify) -> io::Result<Answer> {
        let Notify::Set { status, groups } = notify else {
            // §3.1: not interested in anything, not even in the selected mailbox.
            let account = match self.account() {
                Ok(account) => account,
                Err(answer) => return Ok(answer),
            };
            return Ok(match blocking(|| Watch::new(&account, Vec::new())) {
                Ok(watch) => {
                    self.watch = Some(Box::new(watch));
                    Answer::ok("silent from here on")
                }
                Err(error) => self.trouble(&error),
            });
        };
        if groups.iter().any(|group| group.events.unknown) {
            return Ok(Answer::no(Some(Code::BadEvent), "there are no other events here"));
        }
        let account = match self.account() {
            Ok(account) => account,
            Err(answer) => return Ok(answer),
        };
        // What came together so far is told now, whatever is wanted from here on.
        self.watch = None;
        self.contexts_prepare(true).await?;
        self.tell(true, &[]);
        self.contexts_settle().await?;
        match blocking(|| Watch::new(&account, groups)) {
            Ok(watch) => self.watch = Some(Box::new(watch)),
            Err(error) => return Ok(self.trouble(&error)),
        }
        if status {
            self.notify_status();
        }
        Ok(Answer::ok("you will hear"))
    }
}
