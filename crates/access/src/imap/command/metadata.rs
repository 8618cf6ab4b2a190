//! GETMETADATA and SETMETADATA. RFC 5464; `/private/specialuse`: RFC 6154 §5.4.
//!
//! `/shared` entries of a mailbox are seen by all who can read it and set by who may write; `/private` ones are each reader's own. Of the
//! server, `/shared` entries are the administrators' to set, `/private` ones belong to the account.

use crate::imap::answer::{Answer, OwnCode};
use crate::imap::blocking;
use crate::imap::connection::Connection;
use crate::imap::place::{Place, not_allowed, nothing};
use imap::MailboxName;
use imap::command::{GetMetadata, MetadataQuery, SetMetadata};
use imap::response::Code;
use std::collections::BTreeMap;
use store::{Audience, MAX_METADATA_BYTES, Rights, SEEN_ENTRY as SEEN, SPECIAL_USE_ENTRY as SPECIAL_USE, SpecialUse};

/// Entries with their values.
pub(crate) type Entries = Vec<(String, Option<Vec<u8>>)>;

impl Connection {
    pub(crate) fn get_metadata(&mut self, get: &GetMetadata) -> Answer {
        let found = if get.mailbox.as_str().is_empty() {
            self.server_metadata(&get.query)
        } else {
            self.annotated(&get.mailbox)
                .and_then(|place| self.mailbox_metadata(&place, &get.query))
        };
        let mut entries = match found {
            Ok(entries) => entries,
            Err(answer) => return answer,
        };
        let longest = leave_out_long(&mut entries, get.query.max_size);
        if !entries.is_empty() {
            self.encoder().metadata(&get.mailbox, &entries);
        }
        match longest {
            Some(size) => Answer::ok("some values are longer").with(OwnCode::Plain(Code::MetadataLongEntries(size))),
            None => Answer::ok("that is all"),
        }
    }

    /// The entries of a mailbox that are asked for; one that is named and not there has no value.
    pub(crate) fn mailbox_metadata(&self, place: &Place, query: &MetadataQuery) -> Result<Entries, Answer> {
        let own = self.account()?.id();
        let account = &place.account;
        let mut found: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for audience in [Audience::Shared, Audience::Private(own)] {
            let entries = blocking(|| account.metadata(Some(place.mailbox.id), audience, |entry| query.matches(entry)));
            found.extend(entries.map_err(|error| self.trouble(&error))?);
        }
        for (entry, value) in place.mailbox.computed_metadata() {
            // What it is for is its owner's alone to see.
            if query.matches(entry) && (entry != SPECIAL_USE || account.id() == own) {
                found.insert(entry.to_owned(), value.as_bytes().to_vec());
            }
        }
        Ok(with_absent(found, query))
    }

    fn server_metadata(&self, query: &MetadataQuery) -> Result<Entries, Answer> {
        let account = self.account()?;
        let directory = &self.listener.context.directory;
        let shared = directory.server_metadata();
        let audience = Audience::Private(account.id());
        let private = blocking(|| account.metadata(None, audience, |entry| query.matches(entry)));
        let private = private.map_err(|error| self.trouble(&error))?;
        let shared = shared.into_iter().filter(|(entry, _)| query.matches(entry));
        Ok(with_absent(shared.chain(private).collect(), query))
    }

    pub(crate) fn set_metadata(&mut self, set: &SetMetadata) -> Answer {
        if set
            .entries
            .iter()
            .any(|(entry, _)| audience_is_private(entry).is_none())
        {
            return Answer::bad("entries begin with /shared/ or /private/");
        }
        let too_long =
            |(_, value): &(String, Option<Vec<u8>>)| value.as_ref().is_some_and(|v| v.len() > MAX_METADATA_BYTES);
        if set.entries.iter().any(too_long) {
            return self.metadata_trouble(&store::Error::MetadataSize);
        }
        if set.mailbox.as_str().is_empty() {
            self.server_metadata_set(&set.entries)
        } else {
            self.mailbox_metadata_set(set)
        }
    }

    fn mailbox_metadata_set(&mut self, set: &SetMetadata) -> Answer {
        let (own, place) = match self
            .account()
            .and_then(|own| Ok((own.id(), self.annotated(&set.mailbox)?)))
        {
            Ok(found) => found,
            Err(answer) => return answer,
        };
        let Place {
            account,
            mailbox,
            rights,
            ..
        } = place;
        let mut kept = Vec::new();
        let (mut special_use, mut seen) = (None, None);
        for (entry, value) in &set.entries {
            let private = audience_is_private(entry).unwrap_or(false);
            let text = value.as_deref().map(|value| std::str::from_utf8(value).unwrap_or("?"));
            match (entry.as_str(), text) {
                (SPECIAL_USE, _) if account.id() != own => return not_allowed(),
                (SPECIAL_USE, None | Some("")) => special_use = Some(None),
                (SPECIAL_USE, Some(text)) => match SpecialUse::parse(text) {
                    Some(parsed) => special_use = Some(Some(parsed)),
                    None => {
                        return Answer::no(
                            Some(Code::UseAttr),
                            "no mailbox here has that use, or it has one use at most",
                        );
                    }
                },
                (SEEN, _) if !rights.contains(Rights::ADMINISTER) => return not_allowed(),
                (SEEN, None | Some("shared")) => seen = Some(false),
                (SEEN, Some("own")) => seen = Some(true),
                (SEEN, Some(_)) => return Answer::no(Some(Code::Cannot), "it is \"own\" or \"shared\""),
                _ if !private && !rights.contains(Rights::WRITE) => return not_allowed(),
                (entry, _) => {
                    let audience = if private {
                        Audience::Private(own)
                    } else {
                        Audience::Shared
                    };
                    kept.push((audience, entry, value.as_deref()));
                }
            }
        }
        let done = blocking(|| {
            if !kept.is_empty() {
                account.metadata_set(Some(mailbox.id), &kept)?;
            }
            if let Some(own) = seen {
                account.seen_own_set(Some(mailbox.id), own)?;
            }
            match special_use {
                Some(special_use) => account.mailbox_special_use_set(mailbox.id, special_use),
                None => Ok(None),
            }
        });
        match done {
            Ok(lost) => {
                if seen.is_some() {
                    account.metadata_touch(mailbox.id, Audience::Shared, SEEN);
                }
                if special_use.is_some() {
                    account.metadata_touch(mailbox.id, Audience::Private(own), SPECIAL_USE);
                }
                // RFC 6154 §5.4: the mailbox that had the use until now has it no longer.
                if let Some(lost) = lost {
                    self.encoder()
                        .metadata(&MailboxName::new(&lost), &[(SPECIAL_USE.to_owned(), None)]);
                }
                Answer::ok("done")
            }
            Err(error) => self.metadata_trouble(&error),
        }
    }

    fn server_metadata_set(&mut self, entries: &Entries) -> Answer {
        let account = match self.account() {
            Ok(account) => account,
            Err(answer) => return answer,
        };
        let audience = Audience::Private(account.id());
        let is_private = |entry: &str| audience_is_private(entry) == Some(true);
        let pair = |(entry, value): &'_ (String, Option<Vec<u8>>)| (entry.clone(), value.clone());
        let (private, shared): (Vec<_>, Vec<_>) = entries.iter().map(pair).partition(|(entry, _)| is_private(entry));
        if !shared.is_empty() && !self.is_admin() {
            return Answer::no(
                Some(Code::NoPerm),
                "only administrators say things about the server for everybody",
            );
        }
        if !shared.is_empty() && !private.is_empty() {
            return Answer::no(
                Some(Code::Cannot),
                "set shared and private entries of the server one after the other",
            );
        }
        if !shared.is_empty() {
            let directory = &self.listener.context.directory;
            let shared: Vec<(&str, Option<&[u8]>)> = shared.iter().map(|(e, v)| (e.as_str(), v.as_deref())).collect();
            return match blocking(|| directory.server_metadata_set(&shared)) {
                Ok(()) => {
                    self.listener.context.server_metadata.send_modify(|changed| {
                        let count = changed.values().max().copied().unwrap_or(0);
                        changed.extend(shared.iter().map(|(entry, _)| ((*entry).to_owned(), count + 1)));
                    });
                    Answer::ok("done")
                }
                Err(directory::Error::TooMany { .. }) => self.metadata_trouble(&store::Error::MetadataCount),
                Err(error) => self.trouble_of_directory(&error),
            };
        }
        let private: Vec<_> = private
            .iter()
            .map(|(e, v)| (audience, e.as_str(), v.as_deref()))
            .collect();
        match blocking(|| account.metadata_set(None, &private)) {
            Ok(()) => Answer::ok("done"),
            Err(error) => self.metadata_trouble(&error),
        }
    }

    /// A mailbox that somebody may say something about. RFC 5464 §3.3: who can list it, and do anything with its messages.
    fn annotated(&self, mailbox: &MailboxName) -> Result<Place, Answer> {
        let some = Rights::READ | Rights::SEEN | Rights::WRITE | Rights::INSERT | Rights::POST;
        let place = self
            .place_known(mailbox)?
            .filter(|place| place.rights.contains(Rights::LOOKUP));
        let place = place.ok_or_else(nothing)?;
        if place.rights.intersects(some) {
            Ok(place)
        } else {
            Err(not_allowed())
        }
    }

    fn metadata_trouble(&self, error: &store::Error) -> Answer {
        let code = match error {
            store::Error::MetadataSize => Code::MetadataMaxSize(MAX_METADATA_BYTES as u64),
            store::Error::MetadataCount => Code::MetadataTooMany,
            error => return self.trouble(error),
        };
        Answer::no(Some(code), error.to_string())
    }

    fn trouble_of_directory(&self, error: &directory::Error) -> Answer {
        tracing::error!(session = self.name, %error, "a command failed");
        Answer::no(
            Some(Code::ServerBug),
            "the server failed at this; the administrator will find the reason in the log",
        )
    }
}

/// Takes out values of more octets than were asked for; the size of the largest of them.
pub(crate) fn leave_out_long(entries: &mut Entries, max_size: Option<u64>) -> Option<u64> {
    let size = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, |value| value.len() as u64);
    let max_size = max_size?;
    let longest = entries
        .iter()
        .map(|(_, value)| size(value))
        .filter(|size| *size > max_size)
        .max();
    entries.retain(|(_, value)| size(value) <= max_size);
    longest
}

/// Those that were found, and those that were named without anything being there.
fn with_absent(mut found: BTreeMap<String, Vec<u8>>, query: &MetadataQuery) -> Entries {
    let mut entries: Entries = Vec::with_capacity(found.len());
    for name in &query.entries {
        if !entries.iter().any(|(entry, _)| entry == name) {
            let value = found.remove(name);
            // What lies below is the answer, where that was asked for.
            if value.is_some() || query.depth == imap::command::Depth::Zero {
                entries.push((name.clone(), value));
            }
        }
    }
    entries.extend(found.into_iter().map(|(entry, value)| (entry, Some(value))));
    entries
}

/// `None`: neither `/shared` nor `/private`.
fn audience_is_private(entry: &str) -> Option<bool> {
    if entry.starts_with("/private/") {
        Some(true)
    } else if entry.starts_with("/shared/") {
        Some(false)
    } else {
        None
    }
}
