//! The Sieve language (RFC 5228): rules that say where mail goes.
//!
//! A script goes through four hands, each of which can be had alone:
//!
//! - [`Script::parse`] makes a tree of the text, with positions and comments. The tree can be changed, and
//!   [`Script::to_text`] prints it; what was not changed comes out byte for byte as it stood.
//! - [`Compiled::compile`] (or [`Script::compile`]) checks it and makes it ready to run. [`Error`]s say line and column, what is
//!   wrong and what to write instead.
//! - [`Compiled::run`] runs it on a message. It asks a [`World`] what it must know (is there such a mailbox?) and changes
//!   nothing: the [`Outcome`] has the [`Action`]s as values.
//! - [`Explanation`] says why: which test on which line matched which value.
//!
//! ```
//! use sieve::{Compiled, Input, Limits, Nowhere, Options};
//!
//! let script = br#"require "fileinto";
//! if header :contains "subject" "[list]" { fileinto "Lists"; }"#;
//! let compiled = Compiled::compile(script, &Options::default()).unwrap();
//! let message = b"Subject: [list] hello\r\n\r\nHi.\r\n";
//! let outcome = compiled.run(&Input::new(message), &Nowhere, &Limits::default());
//! assert_eq!(
//!     outcome.explanation.to_string(),
//!     "line 2: header :contains \"subject\" \"[list]\" matched \"[list] hello\" → fileinto \"Lists\"\n"
//! );
//! ```
//!
//! Each extension is a file of `ext`, whose head says what it adds. There is no clock, no file and no network in this crate, and
//! whatever a script or a message can make grow is bounded by [`Limits`].

mod build;
mod error;
mod explain;
mod ext;
mod extension;
mod glance;
mod lexer;
mod limits;
mod mail;
mod matching;
mod outcome;
mod parser;
mod printer;
mod program;
mod run;
mod spec;
mod template;
pub mod tree;
mod world;

pub use build::Options;
pub use error::{Error, ErrorKind, Position, Result};
pub use explain::{Decision, Explanation};
pub use extension::{ALL as ALL_EXTENSIONS, Extensions};
pub use limits::Limits;
pub use outcome::{
    Action, DuplicateRecord, Fcc, Mailto, Notify, Outcome, Redirect, RedirectBy, Taken, Target, Vacation,
};
pub use printer::quote;
pub use program::Compiled;
pub use run::Input;
pub use tree::Script;
pub use world::{DeliverBy, DuplicateId, Envelope, Included, Location, Nowhere, ProgramKind, Score, World};
