//! What is announced: exactly what works in the state the session is in. RFC 9051 §6.1.1 and its registry.

use sasl::{Mechanism, Offer};

/// Before and after login.
const ALWAYS: [&str; 5] = ["IMAP4rev1", "IMAP4rev2", "LITERAL+", "ID", "ENABLE"];

/// What needs a login. What rev2 has built in is named for clients of rev1.
const AUTHENTICATED: &[&str] = &[
    "IDLE",
    "NAMESPACE",
    "CHILDREN",
    "UNSELECT",
    "UIDPLUS",
    "MOVE",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "STATUS=SIZE",
    "SPECIAL-USE",
    "CREATE-SPECIAL-USE",
    "ESEARCH",
    "SEARCHRES",
    "SEARCH=FUZZY",
    "MULTISEARCH",
    "PARTIAL",
    "SORT",
    "SORT=DISPLAY",
    "ESORT",
    "CONTEXT=SEARCH",
    "CONTEXT=SORT",
    "THREAD=ORDEREDSUBJECT",
    "THREAD=REFERENCES",
    "THREAD=REFS",
    "I18NLEVEL=1",
    "WITHIN",
    "CONDSTORE",
    "QRESYNC",
    "INPROGRESS",
    "NOTIFY",
    "MULTIAPPEND",
    "CATENATE",
    "REPLACE",
    "UTF8=ACCEPT",
    "OBJECTID",
    "SAVEDATE",
    "PREVIEW",
    "UIDONLY",
    "COMPRESS=DEFLATE",
    "UNAUTHENTICATE",
    "BINARY",
    "URLAUTH",
    "URL-PARTIAL",
    "ACL",
    "RIGHTS=kxte",
    "LIST-MYRIGHTS",
    "METADATA",
    "LIST-METADATA",
    "QUOTA",
    "QUOTASET",
    "QUOTA=RES-STORAGE",
    "QUOTA=RES-MESSAGE",
    "QUOTA=RES-MAILBOX",
    "APPENDLIMIT=",
];

/// What a connection has to offer before login.
pub(crate) struct Entry {
    /// STARTTLS can be done.
    pub(crate) starttls: bool,
    /// What mechanisms it has what they need for.
    pub(crate) offer: Offer,
}

/// The capabilities after login.
pub(crate) fn authenticated(message_size: u64, messages: Option<u32>, sieve_url: Option<&str>) -> Vec<String> {
    let names = ALWAYS.iter().chain(AUTHENTICATED);
    names
        .map(|name| match *name {
            // RFC 7889: the largest message for all mailboxes.
            "APPENDLIMIT=" => format!("APPENDLIMIT={message_size}"),
            name => name.to_owned(),
        })
        .chain(messages.map(|most| format!("MESSAGELIMIT={most}")))
        .chain(sieve_url.map(|url| format!("IMAPSIEVE={url}")))
        .collect()
}

/// The capabilities before login.
pub(crate) fn entry(entry: &Entry) -> Vec<String> {
    let mut names: Vec<String> = ALWAYS.iter().map(|name| (*name).to_owned()).collect();
    names.push("SASL-IR".to_owned());
    if entry.starttls {
        names.push("STARTTLS".to_owned());
    }
    if !entry.offer.secrets {
        names.push("LOGINDISABLED".to_owned());
    }
    names.extend(Mechanism::offered(&entry.offer).map(|mechanism| format!("AUTH={}", mechanism.name())));
    names
}
