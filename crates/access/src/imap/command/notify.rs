//! NOTIFY. RFC 5465 §3.1. What is told then stands in [`crate::imap::notify`].

use crate::imap::answer::Answer;
use crate::imap::blocking;
use crate::imap::connection::Connection;
use crate::imap::notify::Watch;
use imap::command::Notify;
use imap::response::Code;

impl Connection {
    pub(crate) fn notify(&mut self, notify: Notify) -> Answer {
        let Notify::Set { status, groups } = notify else {
            // §3.1: not interested in anything, not even in the selected mailbox.
            let account = match self.account() {
                Ok(account) => account,
                Err(answer) => return answer,
            };
            return match blocking(|| Watch::new(&account, Vec::new())) {
                Ok(watch) => {
                    self.watch = Some(Box::new(watch));
                    Answer::ok("silent from here on")
                }
                Err(error) => self.trouble(&error),
            };
        };
        if groups.iter().any(|group| group.events.unknown) {
            return Answer::no(Some(Code::BadEvent), "there are no other events here");
        }
        let account = match self.account() {
            Ok(account) => account,
            Err(answer) => return answer,
        };
        // What came together so far is told now, whatever is wanted from here on.
        self.watch = None;
        self.tell(true, &[]);
        match blocking(|| Watch::new(&account, groups)) {
            Ok(watch) => self.watch = Some(Box::new(watch)),
            Err(error) => return self.trouble(&error),
        }
        if status {
            self.notify_status();
        }
        Answer::ok("you will hear")
    }
}
