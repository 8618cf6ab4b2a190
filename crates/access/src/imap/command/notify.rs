//! NOTIFY. RFC 5465 §3.1. What is told then stands in [`crate::imap::notify`].

use crate::imap::answer::Answer;
use crate::imap::blocking;
use crate::imap::connection::Connection;
use imap::command::Notify;
use imap::response::Code;
use std::io;

impl Connection {
    pub(crate) async fn notify(&mut self, notify: Notify) -> io::Result<Answer> {
        let Notify::Set { status, groups } = notify else {
            // §3.1: not interested in anything, not even in the selected mailbox.
            return Ok(match blocking(|| self.watch_new(Vec::new())) {
                Ok(watch) => {
                    self.watch = Some(Box::new(watch));
                    Answer::ok("silent from here on")
                }
                Err(answer) => answer,
            });
        };
        if groups.iter().any(|group| group.events.unknown) {
            return Ok(Answer::no(Some(Code::BadEvent), "there are no other events here"));
        }
        // What came together so far is told now, whatever is wanted from here on.
        self.watch = None;
        self.contexts_prepare(true).await?;
        self.tell(true, &[]);
        self.contexts_settle().await?;
        match blocking(|| self.watch_new(groups)) {
            Ok(watch) => self.watch = Some(Box::new(watch)),
            Err(answer) => return Ok(answer),
        }
        if status {
            self.notify_status();
        }
        Ok(Answer::ok("you will hear"))
    }
}
