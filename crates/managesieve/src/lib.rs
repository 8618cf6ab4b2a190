//! ManageSieve (RFC 5804): how people's programs put Sieve scripts on the server, without a socket or a clock.
//!
//! A session is lines of strings and numbers. The client sends a command (`PUTSCRIPT "vacation" {42+}` and 42 octets), the server
//! answers with data and one line `OK`, `NO` or `BYE`, with a code in brackets that programs understand and a text for people.
//! Literals of a client never wait to be invited (`{42+}`), those of a server need no plus (`{42}`).
//!
//! The [`Framer`] cuts a stream into commands, [`Command::parse`] understands one, the [`Encoder`] writes what is answered.
//! What the commands mean for stored scripts is the server's business: it stands in `access`.

mod command;
mod error;
mod framer;
mod limits;
mod name;
mod response;

pub use command::{Command, sasl_response};
pub use error::Error;
pub use framer::{Event, Framer, Step};
pub use limits::Limits;
pub use name::{MAX_NAME_OCTETS, check_name};
pub use response::{Code, Encoder, Status};
