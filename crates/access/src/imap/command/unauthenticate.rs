//! UNAUTHENTICATE. RFC 8437: somebody else may log in on the same connection, as if it had just begun. TLS and compression stay.

use crate::imap::answer::Answer;
use crate::imap::connection::Connection;
use imap::State;

impl Connection {
    pub(crate) fn unauthenticate(&mut self) -> Answer {
        tracing::info!(session = self.name, client = %self.peer, "logged out by UNAUTHENTICATE");
        self.state = State::NotAuthenticated;
        self.selected = None;
        self.owner = None;
        self.watch = None;
        self.announced = None;
        // What was enabled was enabled by who is gone (§3).
        self.rev2 = false;
        self.condstore = false;
        self.qresync = false;
        self.uid_only = false;
        self.utf8_accept = false;
        self.login_again();
        Answer::ok("nobody is logged in now")
    }
}
