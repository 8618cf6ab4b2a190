//! What a script may ask about the account it runs for.

use crate::programs::Surroundings;
use crate::{Delivery, Filter, Memory, Person};
use sieve::{DuplicateId, Included, Location, ProgramKind, World};
use std::cell::Cell;
use std::sync::Arc;
use store::{Account, Audience, MailboxId, SpecialUse};

pub(crate) struct Here<'h> {
    pub(crate) filter: &'h Filter,
    pub(crate) account: &'h Account,
    pub(crate) delivery: &'h Delivery<'h>,
    pub(crate) memory: &'h Memory,
    pub(crate) person: &'h Person,
    /// A program would have been asked, and was not.
    pub(crate) guessed: Cell<bool>,
}

impl World for Here<'_> {
    fn environment(&self, item: &str) -> Option<String> {
        if let Some((_, value)) = self.delivery.environment.iter().find(|(name, _)| name == item) {
            return Some(value.clone());
        }
        let hostname = &self.filter.options().hostname;
        Some(match item {
            "domain" => hostname.split_once('.').map_or("", |(_, domain)| domain).to_owned(),
            "host" => hostname.clone(),
            "location" => "MDA".to_owned(),
            "name" => "Rohrpost".to_owned(),
            "phase" => "during".to_owned(),
            // RFC 6785 §4.2, §4.5: empty where mail is delivered.
            "imap.user" | "imap.email" | "imap.changedflags" => String::new(),
            "version" => env!("CARGO_PKG_VERSION").to_owned(),
            _ => return None,
        })
    }

    fn zone_minutes(&self, at: i64) -> i16 {
        let offset = jiff::Timestamp::from_second(at)
            .map(|t| jiff::tz::TimeZone::system().to_offset(t).seconds() / 60)
            .unwrap_or(0);
        i16::try_from(offset).unwrap_or(0)
    }

    fn mailbox_exists(&self, name: &str) -> bool {
        self.account.mailbox_find(name).is_some()
    }

    fn special_use_exists(&self, mailbox: Option<&str>, use_flag: &str) -> bool {
        let Some(wanted) = SpecialUse::parse(use_flag) else {
            return false;
        };
        match mailbox {
            Some(name) => self
                .account
                .mailbox_find(name)
                .is_some_and(|m| m.special_use == Some(wanted)),
            None => self
                .account
                .mailbox_list()
                .iter()
                .any(|m| m.special_use == Some(wanted)),
        }
    }

    fn mailbox_id_exists(&self, id: &str) -> bool {
        crate::place::by_id(self.account, id).is_some()
    }

    fn mailbox_metadata(&self, mailbox: &str, annotation: &str) -> Option<String> {
        let mailbox = self.account.mailbox_find(mailbox)?;
        let mut computed = mailbox.computed_metadata();
        if let Some((_, value)) = computed.find(|(entry, _)| entry.eq_ignore_ascii_case(annotation)) {
            return Some(value.to_owned());
        }
        drop(computed);
        self.metadata(Some(mailbox.id), audience(self.account, annotation)?, annotation)
    }

    fn server_metadata(&self, annotation: &str) -> Option<String> {
        match audience(self.account, annotation)? {
            Audience::Shared => self
                .filter
                .server_metadata(annotation)
                .map(|value| String::from_utf8_lossy(&value).into_owned()),
            private => self.metadata(None, private, annotation),
        }
    }

    fn has_envelope(&self) -> bool {
        !self.delivery.is_event()
    }

    fn keeps_in_inbox(&self) -> bool {
        !self.delivery.is_event()
    }

    fn duplicate_seen(&self, id: &DuplicateId) -> bool {
        if self.memory.seen.iter().any(|s| s.handle == id.handle && s.id == id.id) {
            return true;
        }
        match self.account.seen_until(&id.handle, &id.id) {
            Ok(until) => until.is_some_and(|until| until > self.delivery.now),
            Err(error) => {
                tracing::warn!(account = self.account.id().0, %error, "what was seen cannot be read");
                false
            }
        }
    }

    fn include(&self, location: Location, name: &str) -> Included {
        let ready = match location {
            Location::Personal => match self.account.script_read(name) {
                Ok(Some(script)) => self.filter.user(self.account.id(), &script),
                Ok(None) => return Included::Missing,
                Err(error) => return Included::Broken(error.to_string()),
            },
            Location::Global => match self.filter.global(name) {
                Some(file) => self.filter.file(&file),
                None => return Included::Missing,
            },
        };
        match ready {
            Ok(compiled) => Included::Script(Arc::clone(&compiled)),
            Err(errors) => Included::Broken(errors.first().map(ToString::to_string).unwrap_or_default()),
        }
    }

    fn list_exists(&self, list: &str) -> bool {
        !matches!(self.filter.list(list), Ok(None))
    }

    fn list_contains(&self, list: &str, value: &str) -> Option<bool> {
        self.filter.list(list).ok().flatten().map(|list| list.contains(value))
    }

    fn program_listed(&self, kind: ProgramKind, name: &str) -> bool {
        self.filter.programs.file(kind, name).is_some()
    }

    fn program_run(
        &self,
        kind: ProgramKind,
        name: &str,
        arguments: &[String],
        input: &[u8],
    ) -> Result<Option<Vec<u8>>, String> {
        if self.delivery.rehearsal {
            self.guessed.set(true);
            return Err("programs do not run where a script is only tried".to_owned());
        }
        let around = Surroundings::of(self.delivery, self.person, &self.filter.options().hostname);
        self.filter.programs.run(kind, name, arguments, input, &around)
    }

    fn flags(&self) -> Vec<String> {
        self.delivery.flags.clone()
    }
}

impl Here<'_> {
    fn metadata(&self, mailbox: Option<MailboxId>, audience: Audience, annotation: &str) -> Option<String> {
        let found = self
            .account
            .metadata(mailbox, audience, |entry| entry.eq_ignore_ascii_case(annotation));
        match found {
            Ok(entries) => entries
                .into_iter()
                .next()
                .map(|(_, value)| String::from_utf8_lossy(&value).into_owned()),
            Err(error) => {
                tracing::warn!(account = self.account.id().0, %error, "metadata cannot be read");
                None
            }
        }
    }
}

/// Whose an annotation is (RFC 5464 §4.1): everybody's, or the script's owner's.
fn audience(account: &Account, annotation: &str) -> Option<Audience> {
    let starts = |start: &str| {
        annotation
            .get(..start.len())
            .is_some_and(|s| s.eq_ignore_ascii_case(start))
    };
    if starts("/shared/") {
        Some(Audience::Shared)
    } else {
        starts("/private/").then(|| Audience::Private(account.id()))
    }
}
