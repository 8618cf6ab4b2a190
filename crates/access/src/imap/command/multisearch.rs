//! ESEARCH: SEARCH in several mailboxes. RFC 7377.

use super::evaluate::{Evaluation, current};
use super::query::{Query, Setting};
use super::search::{Reply, highest_modseq};
use crate::imap::answer::Answer;
use crate::imap::connection::Connection;
use crate::imap::now;
use crate::imap::place::{Place, namespace};
use imap::command::{MultiSearch, SearchKey, SearchReturn, Source};
use imap::response::Correlator;
use imap::{MailboxName, NumberSet};
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use store::Rights;

impl Connection {
    pub(crate) async fn multisearch(&mut self, tag: &str, command: &MultiSearch) -> io::Result<Answer> {
        let search = &command.search;
        let selected_only = command.sources.iter().all(|source| *source == Source::Selected);
        let all = SearchReturn {
            all: true,
            ..SearchReturn::default()
        };
        let returns = search.returns.as_ref().unwrap_or(&all);
        let wants_selected = command.sources.contains(&Source::Selected) || command.sources.is_empty();
        if wants_selected && self.selected.is_none() {
            return Ok(Answer::bad("select a mailbox first"));
        }
        if returns.update.is_some() && self.selected.is_none() {
            return Ok(Answer::bad("UPDATE is for the selected mailbox; select one first"));
        }
        // RFC 7377 §2.2: a kept result is of one mailbox, the selected one.
        if returns.save && !selected_only {
            return Ok(Answer::bad("SAVE is for the selected mailbox alone"));
        }
        if let Err(answer) = self.search_prepare(tag, search.returns.as_ref(), &search.keys) {
            return Ok(answer);
        }
        let by_modseq = search.keys.iter().any(SearchKey::has_modseq);
        if by_modseq {
            self.condstore_enable();
        }
        let places = match self.sources(&command.sources) {
            Ok(places) => places,
            Err(answer) => return Ok(answer),
        };
        let mut trouble = None;
        for place in places {
            let Ok(open) = place.account.mailbox_open_as(place.mailbox.id, place.reader, false) else {
                // Deleted in this moment.
                continue;
            };
            let (newest, recent_from) = (open.snapshot(), open.recent_from);
            let saved = match &self.selected {
                Some(selected)
                    if selected.mailbox == place.mailbox.id && selected.account.id() == place.account.id() =>
                {
                    selected.saved.clone()
                }
                _ => NumberSet::new(),
            };
            let setting = Setting {
                account: &place.account,
                mailbox: place.mailbox.id,
                told: &newest,
                saved: &saved,
                newest: &newest,
                now: now(),
            };
            let query = match Query::all(&search.keys, &setting) {
                Ok(query) => query,
                Err(text) => return Ok(Answer::bad(text)),
            };
            let (account, snapshot) = (Arc::clone(&place.account), Arc::clone(&newest));
            let found = self
                .offload(move |stop| {
                    Evaluation::new(account, current(&snapshot, &snapshot), recent_from, stop).run(&query)
                })
                .await?;
            let mut outcome = match found {
                Ok(outcome) => outcome,
                Err(error) => return Ok(self.search_failed(&error)),
            };
            trouble = trouble.or(outcome.trouble.take());
            if selected_only {
                self.search_save(search.returns.as_ref(), &outcome.found);
            }
            // RFC 7377 §2.1: a mailbox in which nothing was found is not spoken of.
            if outcome.found.is_empty() {
                continue;
            }
            let numbers: Vec<u32> = outcome.found.iter().map(|(_, message)| message.uid.0).collect();
            let name = place.name.clone();
            let reply = Reply {
                tag,
                uid: true,
                returns,
                correlator: Some(Correlator {
                    mailbox: &name,
                    uid_validity: newest.uid_validity,
                }),
                sorted: false,
                modseq: highest_modseq(&outcome.found, by_modseq),
            };
            self.search_reply(&reply, &numbers, &outcome.relevancy);
            self.flush().await?;
        }
        if returns.update.is_some() {
            self.context_refuse(
                tag,
                "of one mailbox at a time: use SEARCH to have its result kept up to date",
            );
        }
        Ok(self.search_answer(super::evaluate::Outcome {
            trouble,
            ..Default::default()
        }))
    }

    /// The mailboxes that are meant, each once. RFC 7377 §2.2: those that do not exist or may not be read are passed over.
    fn sources(&self, sources: &[Source]) -> Result<Vec<Place>, Answer> {
        let account = self.account()?;
        let mut names: Vec<String> = Vec::new();
        let mut places: Vec<Place> = Vec::new();
        let mut all: Vec<String> = account.mailbox_list().into_iter().map(|mailbox| mailbox.name).collect();
        let subtree = |source: &Source| match source {
            Source::Subtree(names) | Source::SubtreeOne(names) => {
                names.iter().any(|name| namespace(name.as_str()).is_some())
            }
            _ => false,
        };
        if sources.iter().any(subtree) {
            let who = self.who()?;
            for home in self.homes_elsewhere(&who) {
                // §2.2: what is not named itself must be such that it may be known of.
                let shown = |mailbox: &store::Mailbox| {
                    let seen = home.account.rights_of(mailbox, &who).contains(Rights::LOOKUP);
                    seen.then(|| format!("{}{}", home.prefix, mailbox.name))
                };
                all.extend(home.account.mailbox_list().iter().filter_map(shown));
            }
        }
        let below = |name: &str, deep: bool| {
            let prefix = format!("{name}/");
            let within = move |name: &&String| {
                let rest = name.strip_prefix(&prefix);
                rest.is_some_and(|rest| deep || !rest.contains('/'))
            };
            all.iter().filter(within).cloned().collect::<Vec<_>>()
        };
        let selected = [Source::Selected];
        for source in if sources.is_empty() { &selected } else { sources } {
            match source {
                Source::Selected => {
                    let place = self.selected.as_ref().and_then(|selected| {
                        let account = Arc::clone(&selected.account);
                        let mailbox = account.mailbox(selected.mailbox)?;
                        Some(Place {
                            rights: selected.rights,
                            reader: selected.reader,
                            name: self.name_of(&account, &mailbox),
                            account,
                            mailbox,
                        })
                    });
                    places.extend(place);
                }
                Source::Inboxes => names.push("INBOX".to_owned()),
                Source::Personal => {
                    names.extend(all.iter().filter(|name| namespace(name).is_none()).cloned());
                }
                Source::Subscribed => names.extend(account.subscriptions().map_err(|error| self.trouble(&error))?),
                Source::Subtree(list) | Source::SubtreeOne(list) => {
                    let deep = matches!(source, Source::Subtree(_));
                    for name in list {
                        names.push(name.as_str().to_owned());
                        names.extend(below(name.as_str(), deep));
                    }
                }
                Source::Mailboxes(list) => names.extend(list.iter().map(|name| name.as_str().to_owned())),
            }
        }
        let named = names
            .iter()
            .filter_map(|name| self.place(&MailboxName::new(name), Rights::READ).ok());
        places.extend(named);
        let mut known = BTreeSet::new();
        places.retain(|place| known.insert((place.account.id(), place.mailbox.id)));
        Ok(places)
    }
}
