//! POP3 for servers, without a socket: a [`Session`] takes octets and gives replies and [`Event`]s; [`Stuffing`] carries a message into an
//! answer.
//!
//! POP3 (RFC 1939) hands a mailbox, the *maildrop*, to one client at a time. A session goes through three states:
//!
//! 1. AUTHORIZATION: who is it? `USER` and `PASS`, or `AUTH` with SASL (RFC 5034), under TLS by `STLS` (RFC 2595). Whoever passes gets
//!    the maildrop with the exclusive lock on it, or `[IN-USE]`.
//! 2. TRANSACTION: messages are numbered from 1 as they were at the beginning, whatever comes in meanwhile. `DELE` only marks.
//! 3. UPDATE: entered by `QUIT` alone, it takes away what is marked, all of it or nothing. A connection that breaks takes nothing away.
//!
//! | | |
//! |---|---|
//! | RFC 1939 | all but `APOP`, which needs passwords the server can read |
//! | RFC 2449 | `CAPA`, response codes, commands that follow each other without waiting |
//! | RFC 2595 | `STLS`; what came before TLS is forgotten |
//! | RFC 3206 | `[AUTH]`, `[SYS/TEMP]`, `[SYS/PERM]` |
//! | RFC 5034 | `AUTH`; which mechanisms is the caller's business |
//! | RFC 6856 | `UTF8`, `LANG`; messages are octets here and go out as they are in either mode |
//!
//! ```
//! use pop3::{Entry, Event, Limits, Session};
//! let entry = Entry { passwords: true, ..Entry::default() };
//! let mut session = Session::new("mail.phys.example", entry, Limits::default());
//! assert_eq!(session.output().as_slice(), b"+OK mail.phys.example is ready for POP3\r\n");
//! session.output().clear();
//! let mut input: &[u8] = b"USER ada@phys.example\r\nPASS secret\r\n";
//! match session.next(&mut input) {
//!     Some(Event::Password { user, password }) => {
//!         assert_eq!((user.as_str(), password.as_bytes()), ("ada@phys.example", &b"secret"[..]));
//!     }
//!     other => panic!("{other:?}"),
//! }
//! ```

mod command;
mod language;
mod limits;
mod lines;
mod listing;
mod session;
mod stuffing;

pub use command::Command;
pub use limits::Limits;
pub use session::{Coming, Entry, Event, Login, Maildrop, Session, Trouble};
pub use stuffing::Stuffing;
