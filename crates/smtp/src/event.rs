//! What a session tells and asks its caller.

use crate::{Address, Body, Hold, Notify, Return, ReversePath};

/// What [`Session::next`](crate::Session::next) found in the input. "Answer with" names the method that the session waits for.
#[derive(Debug)]
pub enum Event<'a> {
    /// `MAIL`: a transaction begins. Answer with [`answer_sender`](crate::Session::answer_sender). What is left of an earlier
    /// transaction is void.
    CheckSender(Sender),
    /// `RCPT`. Answer with [`answer_recipient`](crate::Session::answer_recipient).
    CheckRecipient(Recipient),
    /// `DATA`, or the first `BDAT`. Answer with [`answer_start`](crate::Session::answer_start).
    MessageStart,
    /// Bytes of the message, a slice of the input. No answer.
    MessageData(&'a [u8]),
    /// The message is whole. Answer with [`answer_message`](crate::Session::answer_message).
    MessageEnd,
    /// The transaction is void, with whatever came of its message: `RSET`, a new `EHLO`, or a limit passed. No answer; the session says to
    /// the client what is to be said.
    Aborted,
    /// `AUTH` of this mechanism. Answer with [`answer_exchange`](crate::Session::answer_exchange).
    AuthStart(sasl::Mechanism),
    /// Is this password right, and may `authcid` act as `authzid`? Answer with [`answer_login`](crate::Session::answer_login).
    CheckPassword {
        /// Whom to act as, where given.
        authzid: Option<String>,
        /// Who logs in.
        authcid: String,
        /// The password.
        password: sasl::Password,
    },
    /// The stored SCRAM credentials of this user are needed. Answer with
    /// [`answer_credentials`](crate::Session::answer_credentials).
    Credentials {
        /// Who logs in.
        authcid: String,
        /// Those of which hash.
        hash: sasl::ScramHash,
    },
    /// Is this access token good, and may whose it is act as `authzid`? Answer with [`answer_token`](crate::Session::answer_token).
    CheckToken {
        /// Whom to act as, where given.
        authzid: Option<String>,
        /// The token.
        token: sasl::Password,
    },
    /// Whom does the client's TLS certificate name, and may they act as `authzid`? Answer with
    /// [`answer_login`](crate::Session::answer_login).
    CheckCertificate {
        /// Whom to act as, where given.
        authzid: Option<String>,
    },
    /// The client has proven that it is `authcid`; may it log in and act as `authzid`? Answer with
    /// [`answer_login`](crate::Session::answer_login).
    CheckLogin {
        /// Whom to act as, where given.
        authzid: Option<String>,
        /// Who logs in.
        authcid: String,
    },
    /// The exchange failed for this reason; the session has said so. For delays, the log and counters; no answer.
    LoginFailed(sasl::Failure),
    /// `STARTTLS`: write the output, throw away every byte that was read, shake hands, then call
    /// [`tls_started`](crate::Session::tls_started).
    StartTls,
    /// Write the output and close.
    Close,
}

/// What `MAIL` said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// The reverse path.
    pub path: ReversePath,
    /// `SIZE=` (RFC 1870), in octets.
    pub size: Option<u64>,
    /// `BODY=` (RFC 6152, RFC 3030).
    pub body: Body,
    /// `SMTPUTF8` (RFC 6531).
    pub smtputf8: bool,
    /// `RET=` (RFC 3461 §4.3).
    pub ret: Option<Return>,
    /// `ENVID=` (RFC 3461 §4.4), still in xtext.
    pub envid: Option<String>,
    /// `AUTH=` (RFC 4954 §5), still in xtext.
    pub auth: Option<String>,
    /// `REQUIRETLS` (RFC 8689 §2): the message goes on over verified TLS or not at all.
    pub requiretls: bool,
    /// `HOLDFOR=` or `HOLDUNTIL=` (RFC 4865 §4). Whether the time can be kept is for the caller to say.
    pub hold: Option<Hold>,
}

/// What `RCPT` said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The forward path.
    pub address: Address,
    /// `NOTIFY=` (RFC 3461 §4.1).
    pub notify: Option<Notify>,
    /// `ORCPT=` (RFC 3461 §4.2), still in xtext.
    pub orcpt: Option<String>,
}

/// The TLS of a connection, as the Received line tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// `TLSv1.3`
    pub version: String,
    /// `TLS_AES_256_GCM_SHA384`
    pub cipher: String,
    /// Whether the connection has the channel binding of RFC 9266, so that `SCRAM-…-PLUS` can be offered.
    pub binding: bool,
    /// Whether the client has shown a certificate that was verified, so that `EXTERNAL` can be offered.
    pub certificate: bool,
}
