//! Response codes. RFC 9051 §7.1, RFC 3501 §7.1, RFC 4315 (UIDPLUS), RFC 5530, RFC 4978 §3, RFC 7162 §3, RFC 7889 (`TOOBIG`), RFC 9208 (`OVERQUOTA`).

use crate::response::{Encoder, flag_list, quoted_or_literal};
use crate::{Flag, NumberSet, ObjectKind};

/// What a program can read out of a status response.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs)] // the names say all: they are the names on the wire
pub enum Code<'a> {
    Alert,
    AlreadyExists,
    AppendUid {
        validity: u32,
        uids: &'a NumberSet,
    },
    AuthenticationFailed,
    AuthorizationFailed,
    BadCharset,
    /// RFC 5465: these events are known.
    BadEvent,
    /// RFC 4469: the URL that cannot be fetched.
    BadUrl(&'a str),
    Cannot,
    Capability(&'a [&'a str]),
    ClientBug,
    Closed,
    CompressionActive,
    ContactAdmin,
    CopyUid {
        validity: u32,
        from: &'a NumberSet,
        to: &'a NumberSet,
    },
    Corruption,
    Expired,
    ExpungeIssued,
    HasChildren,
    HighestModSeq(u64),
    /// RFC 9585: the command of this tag is worked on, and how far it has come of how far, where that is known.
    InProgress(Option<(&'a str, Option<u32>, Option<u32>)>),
    InUse,
    Limit,
    /// RFC 5464: the largest value that was left out.
    MetadataLongEntries(u64),
    /// RFC 5464: values have at most so many octets.
    MetadataMaxSize(u64),
    MetadataNoPrivate,
    MetadataTooMany,
    /// RFC 4467: mechanisms of URLAUTH.
    UrlMech(&'a str),
    /// RFC 8474: the number that the MAILBOXID is made of.
    MailboxId(u64),
    /// RFC 9738: how many messages a command works on, and the lowest UID it came to.
    MessageLimit {
        most: u32,
        lowest: Option<u32>,
    },
    Modified(&'a NumberSet),
    NoModSeq,
    NonExistent,
    NoPerm,
    NotSaved,
    /// RFC 5267 §4.3.1: the search of this tag is not kept up to date.
    NoUpdate(&'a str),
    OverQuota,
    Parse,
    /// With `\*`: the client may make up keywords.
    PermanentFlags {
        flags: &'a [Flag],
        any: bool,
    },
    PrivacyRequired,
    ReadOnly,
    ReadWrite,
    ServerBug,
    TooBig,
    TryCreate,
    UidNext(u32),
    UidNotSticky,
    /// RFC 9586: with UIDONLY, sequence numbers cannot be used.
    UidRequired,
    UidValidity(u32),
    Unavailable,
    UnknownCte,
    /// RFC 3501: the sequence number of the first message without `\Seen`.
    Unseen(u32),
    UseAttr,
}

impl Code<'_> {
    pub(crate) fn write(&self, encoder: &mut Encoder<'_>) {
        let word = match self {
            Code::Alert => "ALERT",
            Code::AlreadyExists => "ALREADYEXISTS",
            Code::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Code::AuthorizationFailed => "AUTHORIZATIONFAILED",
            Code::BadCharset => "BADCHARSET (US-ASCII UTF-8)",
            Code::Cannot => "CANNOT",
            Code::ClientBug => "CLIENTBUG",
            Code::Closed => "CLOSED",
            Code::CompressionActive => "COMPRESSIONACTIVE",
            Code::ContactAdmin => "CONTACTADMIN",
            Code::Corruption => "CORRUPTION",
            Code::Expired => "EXPIRED",
            Code::ExpungeIssued => "EXPUNGEISSUED",
            Code::HasChildren => "HASCHILDREN",
            Code::InProgress(None) => "INPROGRESS",
            Code::InUse => "INUSE",
            Code::Limit => "LIMIT",
            Code::MetadataNoPrivate => "METADATA NOPRIVATE",
            Code::MetadataTooMany => "METADATA TOOMANY",
            Code::NoModSeq => "NOMODSEQ",
            Code::NonExistent => "NONEXISTENT",
            Code::NoPerm => "NOPERM",
            Code::NotSaved => "NOTSAVED",
            Code::OverQuota => "OVERQUOTA",
            Code::Parse => "PARSE",
            Code::PrivacyRequired => "PRIVACYREQUIRED",
            Code::ReadOnly => "READ-ONLY",
            Code::ReadWrite => "READ-WRITE",
            Code::ServerBug => "SERVERBUG",
            Code::TooBig => "TOOBIG",
            Code::TryCreate => "TRYCREATE",
            Code::UidNotSticky => "UIDNOTSTICKY",
            Code::UidRequired => "UIDREQUIRED",
            Code::Unavailable => "UNAVAILABLE",
            Code::UnknownCte => "UNKNOWN-CTE",
            Code::UseAttr => "USEATTR",
            Code::AppendUid { validity, uids } => return encoder.print(format_args!("APPENDUID {validity} {uids}")),
            Code::BadEvent => {
                encoder.push("BADEVENT (");
                encoder.push(&crate::command::NOTIFY_EVENTS.join(" "));
                return encoder.push(")");
            }
            Code::BadUrl(url) => {
                let clean = |c: char| c.is_ascii_graphic() && c != ']' && c != '[';
                let url: String = url.chars().filter(|c| clean(*c)).take(1000).collect();
                return encoder.print(format_args!("BADURL {url}"));
            }
            Code::CopyUid { validity, from, to } => {
                return encoder.print(format_args!("COPYUID {validity} {from} {to}"));
            }
            Code::HighestModSeq(modseq) => return encoder.print(format_args!("HIGHESTMODSEQ {modseq}")),
            Code::MetadataLongEntries(size) => return encoder.print(format_args!("METADATA LONGENTRIES {size}")),
            Code::MetadataMaxSize(size) => return encoder.print(format_args!("METADATA MAXSIZE {size}")),
            Code::MailboxId(id) => {
                return encoder.print(format_args!("MAILBOXID ({})", ObjectKind::Mailbox.write(*id)));
            }
            Code::InProgress(Some((tag, done, goal))) => {
                encoder.push("INPROGRESS (");
                quoted_or_literal(encoder.out, tag.as_bytes(), false);
                for number in [done, goal] {
                    match number {
                        Some(number) => encoder.print(format_args!(" {number}")),
                        None => encoder.push(" NIL"),
                    }
                }
                return encoder.push(")");
            }
            Code::NoUpdate(tag) => {
                encoder.push("NOUPDATE ");
                return quoted_or_literal(encoder.out, tag.as_bytes(), false);
            }
            Code::MessageLimit { most, lowest: None } => return encoder.print(format_args!("MESSAGELIMIT {most}")),
            Code::MessageLimit {
                most,
                lowest: Some(lowest),
            } => return encoder.print(format_args!("MESSAGELIMIT {most} {lowest}")),
            Code::Modified(set) => return encoder.print(format_args!("MODIFIED {set}")),
            Code::UrlMech(names) => return encoder.print(format_args!("URLMECH {names}")),
            Code::UidNext(uid) => return encoder.print(format_args!("UIDNEXT {uid}")),
            Code::UidValidity(validity) => return encoder.print(format_args!("UIDVALIDITY {validity}")),
            Code::Unseen(sequence) => return encoder.print(format_args!("UNSEEN {sequence}")),
            Code::Capability(names) => {
                encoder.push("CAPABILITY");
                for name in *names {
                    encoder.push(" ");
                    encoder.push(name);
                }
                return;
            }
            Code::PermanentFlags { flags, any } => {
                encoder.push("PERMANENTFLAGS ");
                flag_list(encoder.out, flags.iter().map(Flag::name).chain(any.then_some("\\*")));
                return;
            }
        };
        encoder.push(word);
    }
}
