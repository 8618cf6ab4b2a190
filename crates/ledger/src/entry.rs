//! New rows: messages that come in, and recipients that take the place of others.

use crate::outcome::settle_in;
use crate::writer::{Expand, Writer};
use crate::{Acceptance, Fate, Lane, Lease, NewRecipient, Settlement, Work};
use blobs::BlobId;
use bytes::Bytes;
use db::Transaction;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a batch makes due, by lane, as far as there is room for it.
#[derive(Default)]
pub(crate) struct Due {
    pub(crate) now: i64,
    room: BTreeMap<Lane, usize>,
    pub(crate) leased: BTreeMap<Lane, Vec<Work>>,
    /// What stays in the ledger for now: for which destination, and when the first of it is due.
    pub(crate) left: BTreeMap<(Lane, Arc<str>), i64>,
}

impl Due {
    /// Nothing yet.
    pub(crate) fn at(now: i64) -> Due {
        Due { now, ..Due::default() }
    }
}

impl Writer {
    pub(crate) fn accept_in(&self, tx: &Transaction<'_>, arrived: &Arrived<'_>, due: &mut Due) -> db::Result<()> {
        let a = arrived.acceptance;
        tx.execute(
            "INSERT INTO acceptance (id, received_at, sender, blob, size, recipients, protocol, listener, client, helo, tls, login, envid,
                ret, body, smtputf8, session, message_id, notes, parent, parent_number, bulk, requiretls, quarantine)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
                ?22, ?23, ?24)",
            &[
                a.id.0.into(),
                a.received_at.into(),
                (&a.sender).into(),
                arrived.blob.as_bytes().into(),
                arrived.size.cast_signed().into(),
                i64::try_from(a.recipients.len()).unwrap_or(i64::MAX).into(),
                (&a.protocol).into(),
                (&a.listener).into(),
                (&a.client).into(),
                (&a.helo).into(),
                a.tls.as_ref().into(),
                a.login.map(|l| l.0).into(),
                a.envid.as_ref().into(),
                a.ret.as_ref().into(),
                (&a.body).into(),
                a.smtputf8.into(),
                (&a.session).into(),
                a.message_id.as_ref().into(),
                a.notes.as_ref().into(),
                a.parent.map(|(id, _)| id.0).into(),
                a.parent.map(|(_, number)| number).into(),
                a.bulk.into(),
                a.requiretls.number().into(),
                a.quarantine.as_ref().into(),
            ],
        )?;
        let shared = Arc::new(Acceptance {
            recipients: Vec::new(),
            ..a.clone()
        });
        for (number, recipient) in (0u32..).zip(&a.recipients) {
            let template = Template {
                acceptance: &shared,
                blob: arrived.blob,
                size: arrived.size,
                bytes: arrived.bytes,
                parent: None,
            };
            self.recipient_in(tx, &template, number, recipient, due)?;
        }
        Ok(())
    }

    fn recipient_in(
        &self,
        tx: &Transaction<'_>,
        template: &Template<'_>,
        number: u32,
        recipient: &NewRecipient,
        due: &mut Due,
    ) -> db::Result<()> {
        let (lane, now, acceptance) = (recipient.lane, due.now, template.acceptance);
        let due_at = acceptance.release_at.unwrap_or(now).max(now);
        let desk = self.desks.of(lane);
        let destination: Arc<str> = match (lane, desk) {
            (Lane::Local, _) => "".into(),
            (Lane::Remote, Some(desk)) => desk.destination(&recipient.address),
            (Lane::Remote, None) => crate::domain_of(&recipient.address).into(),
        };
        let held = acceptance.held.as_ref();
        let room = due
            .room
            .entry(lane)
            .or_insert_with(|| desk.map_or(0, |desk| desk.room()));
        let leased = held.is_none()
            && due_at <= now
            && *room > 0
            && desk.is_some_and(|desk| desk.wants(&destination, acceptance.bulk));
        let lease = if leased { self.next_lease() } else { Lease(0) };
        let lease_until = match lane {
            _ if !leased => 0,
            Lane::Local => now + self.lease_seconds,
            Lane::Remote => now + self.relay_lease_seconds,
        };
        tx.execute(
            "INSERT INTO recipient (acceptance, number, parent, address, original, notify, lane, state, due_at, lease_holder, lease_until,
                attempts, destination, priority, queued_at, reason, sender)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?11, ?8, ?9, ?10, 0, ?12, ?13, ?14, ?15, ?16)",
            &[
                template.acceptance.id.0.into(),
                number.into(),
                template.parent.into(),
                (&recipient.address).into(),
                recipient.original.as_ref().into(),
                recipient.notify.as_ref().into(),
                lane.number().into(),
                due_at.into(),
                lease.0.into(),
                lease_until.into(),
                (if held.is_some() { 2i64 } else { 0 }).into(),
                (lane == Lane::Remote).then_some(destination.as_ref()).into(),
                acceptance.bulk.into(),
                due_at.into(),
                held.into(),
                acceptance.sender_key().into(),
            ],
        )?;
        if !leased {
            if held.is_none() {
                let first = due.left.entry((lane, destination)).or_insert(due_at);
                *first = due_at.min(*first);
            }
            return Ok(());
        }
        *room -= 1;
        due.leased.entry(lane).or_default().push(Work {
            acceptance: Arc::clone(template.acceptance),
            blob: template.blob,
            size: template.size,
            bytes: template.bytes.cloned(),
            number,
            parent: template.parent,
            address: recipient.address.clone(),
            original: recipient.original.clone(),
            notify: recipient.notify.clone(),
            destination,
            queued_at: due_at,
            delay_told: false,
            attempts: 0,
            lease,
            lease_until,
        });
        Ok(())
    }

    pub(crate) fn expand_in(&self, tx: &Transaction<'_>, expand: &Expand, due: &mut Due) -> db::Result<()> {
        let work = &expand.work;
        let id = work.acceptance.id;
        let first = settle_in(
            tx,
            &Settlement {
                acceptance: id,
                number: work.number,
                fate: Fate::Expanded,
                at: expand.at,
                detail: expand.detail.clone(),
                account: None,
                place: None,
                attempt: None,
            },
        )?;
        if !first {
            // Ordered again by a worker whose lease ran out: the children are there.
            return Ok(());
        }
        let known = tx.query_all(
            "SELECT number, address FROM recipient WHERE acceptance = ?1",
            &[id.0.into()],
            |row| Ok((row.u32(0)?, row.text(1)?.to_owned())),
        )?;
        let next = known.iter().map(|(n, _)| n + 1).max().unwrap_or(0);
        let mut seen: std::collections::HashSet<String> = known.into_iter().map(|(_, address)| address).collect();
        let template = Template {
            acceptance: &work.acceptance,
            blob: work.blob,
            size: work.size,
            bytes: work.bytes.as_ref(),
            parent: Some(work.number),
        };
        for (number, child) in (next..).zip(&expand.children) {
            if seen.insert(child.address.clone()) {
                self.recipient_in(tx, &template, number, child, due)?;
            } else {
                // Recorded, so that the trace explains why there is one copy.
                tx.execute(
                    "INSERT INTO recipient (acceptance, number, parent, address, lane, state, due_at, lease_holder, lease_until, attempts,
                        fate, settled_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, 0, 0, 0, 'duplicate', ?6)",
                    &[
                        id.0.into(),
                        number.into(),
                        work.number.into(),
                        (&child.address).into(),
                        child.lane.number().into(),
                        due.now.into(),
                    ],
                )?;
            }
        }
        self.offspring_in(tx, &expand.offspring, due)
    }
}

/// A message as it comes into custody.
pub(crate) struct Arrived<'a> {
    pub(crate) acceptance: &'a Acceptance,
    pub(crate) blob: BlobId,
    pub(crate) size: u64,
    pub(crate) bytes: Option<&'a Bytes>,
}

struct Template<'t> {
    acceptance: &'t Arc<Acceptance>,
    blob: BlobId,
    size: u64,
    bytes: Option<&'t Bytes>,
    parent: Option<u32>,
}
