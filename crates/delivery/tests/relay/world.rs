//! A network that is nothing but numbers, and a ledger in front of it. Time is tokio's, which stands still while anything is being done and
//! leaps to the next timer when nothing is.

use blobs::Blobs;
use db::Database;
use delivery::relay::transport::{
    Answer, Connection, Destination, Envelope, Message, Needs, Outcome, Peer, Scope, Sent, Terms, Transport, Trouble,
};
use delivery::relay::{Options, Relay};
use delivery::{NoticeOptions, Notifier};
use ledger::{Acceptance, AcceptanceId, Lane, Ledger, NewRecipient, Order, Selection};
use parking_lot::Mutex;
use smtp::Status;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// When the simulation begins, in seconds since 1970.
pub const BEGIN: i64 = 1_800_000_000;

/// How a destination behaves at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    Fine,
    /// No connection.
    Dead,
    /// Every recipient is put off.
    Later,
    /// The connection ends before the data.
    Breaks,
    /// The connection ends after the data, which was taken.
    Doubtful,
    /// Every recipient is refused for good.
    Refuses,
    /// It takes no mail at all.
    NullMx,
}

/// A destination: what weather until when, in seconds since the beginning; fine afterwards.
#[derive(Clone, Debug, Default)]
pub struct Site {
    pub weather: Vec<(i64, Weather)>,
    /// Connections it takes at once; 0: any number.
    pub seats: usize,
    /// Recipients that are refused for good, by what they begin with.
    pub unknown: Option<&'static str>,
}

/// What happened.
#[derive(Default)]
pub struct Log {
    /// Who got what, in order: message (by its sender and number), recipient, when.
    pub taken: Vec<(String, String, i64)>,
    /// When connections were tried, by destination.
    pub tried: HashMap<String, Vec<i64>>,
    /// Transactions, with their number of recipients.
    pub transactions: Vec<usize>,
    pub open: HashMap<String, usize>,
    /// The most connections that were open at once, by destination.
    pub most: HashMap<String, usize>,
    pub connections: usize,
    /// Destinations that somebody wanted tried at once.
    pub wanted: Vec<String>,
}

#[derive(Clone)]
pub struct Network {
    sites: Arc<HashMap<String, Site>>,
    pub log: Arc<Mutex<Log>>,
    pub terms: Terms,
    began: Instant,
    /// How long a transaction takes.
    pub pace: Duration,
    dsn: bool,
}

impl Network {
    pub fn new(sites: HashMap<String, Site>) -> Network {
        Network {
            sites: Arc::new(sites),
            log: Arc::default(),
            terms: Terms::default(),
            began: Instant::now(),
            pace: Duration::from_millis(50),
            dsn: false,
        }
    }

    fn since(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_secs()).unwrap()
    }

    fn weather(&self, name: &str) -> Weather {
        let since = self.since();
        let site = self.sites.get(name);
        let now = site.and_then(|s| s.weather.iter().find(|(until, _)| *until > since));
        now.map_or(Weather::Fine, |(_, weather)| *weather)
    }
}

pub struct Line {
    network: Network,
    name: String,
    peer: Peer,
}

impl Transport for Network {
    type Connection = Line;

    fn destination(&self, address: &str) -> Destination {
        Destination::new(ledger::domain_of(address))
    }

    fn terms(&self, _: &Destination) -> Terms {
        self.terms.clone()
    }

    fn retry(&self, destination: &Destination) {
        self.log.lock().wanted.push(destination.to_string());
    }

    async fn connect(&self, destination: &Destination, _: Needs) -> Result<Line, Trouble> {
        let name = destination.as_str().to_owned();
        self.log
            .lock()
            .tried
            .entry(name.clone())
            .or_default()
            .push(self.since());
        tokio::time::sleep(self.pace).await;
        let trouble = |status, text: &str| Trouble {
            scope: Scope::Destination,
            answer: Answer::own(status, text),
            peer: Peer::default(),
        };
        match self.weather(&name) {
            Weather::Dead => return Err(trouble(Status(4, 4, 1), "connection refused")),
            Weather::NullMx => return Err(trouble(Status(5, 1, 10), "it takes no mail (null MX)")),
            _ => {}
        }
        let mut log = self.log.lock();
        let seats = self.sites.get(&name).map_or(0, |s| s.seats);
        let open = log.open.entry(name.clone()).or_default();
        if seats > 0 && *open >= seats {
            return Err(trouble(Status(4, 7, 0), "too many connections"));
        }
        *open += 1;
        let open = *open;
        let most = log.most.entry(name.clone()).or_default();
        *most = open.max(*most);
        log.connections += 1;
        Ok(Line {
            network: self.clone(),
            peer: Peer {
                host: format!("mx.{name}"),
                address: Some([192, 0, 2, 1].into()),
                tls: None,
                policy: "opportunistic".to_owned(),
                dsn: self.dsn,
            },
            name,
        })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        *self.network.log.lock().open.get_mut(&self.name).unwrap() -= 1;
    }
}

impl Connection for Line {
    fn peer(&self) -> &Peer {
        &self.peer
    }

    fn suits(&self, _: Needs) -> bool {
        true
    }

    async fn send(&mut self, envelope: &Envelope, _: &Message) -> Sent {
        tokio::time::sleep(self.network.pace).await;
        let said = |code, status, text: &str| Answer {
            code: Some(code),
            status,
            text: text.to_owned(),
        };
        let weather = self.network.weather(&self.name);
        let unknown = self.network.sites.get(&self.name).and_then(|s| s.unknown);
        let since = self.network.since();
        let mut log = self.network.log.lock();
        log.transactions.push(envelope.recipients.len());
        let outcomes = envelope.recipients.iter().map(|to| match weather {
            Weather::Fine if unknown.is_some_and(|u| to.address.starts_with(u)) => {
                Outcome::Refused(said(550, Status(5, 1, 1), "no such user"))
            }
            Weather::Fine | Weather::Doubtful => {
                log.taken.push((envelope.sender.clone(), to.address.clone(), since));
                if weather == Weather::Doubtful {
                    Outcome::Doubtful(Answer::own(
                        Status(4, 4, 2),
                        "connection lost after the message was given",
                    ))
                } else {
                    Outcome::Taken(said(250, Status(2, 0, 0), "taken"))
                }
            }
            Weather::Later => Outcome::Refused(said(451, Status(4, 3, 0), "later")),
            Weather::Refuses => Outcome::Refused(said(550, Status(5, 7, 1), "we do not want it")),
            Weather::Breaks | Weather::Dead | Weather::NullMx => {
                Outcome::Broken(Answer::own(Status(4, 4, 2), "connection lost"))
            }
        });
        Sent {
            outcomes: outcomes.collect(),
            reusable: matches!(weather, Weather::Fine | Weather::Later | Weather::Refuses),
        }
    }

    async fn quit(self) {}
}

/// A ledger with relaying.
pub struct House {
    pub folder: tempfile::TempDir,
    pub ledger: Ledger,
    pub blobs: Blobs,
    pub network: Network,
    pub relay: Relay<Network>,
    /// Messages there were: their ids, which waits are spread by, are of simulated time, so that a run is the same on every machine.
    messages: AtomicI64,
}

impl House {
    /// In the memory where there is such a place: a week has many waits for the disk.
    pub fn open(network: Network, options: Options) -> House {
        let shm = std::path::Path::new("/dev/shm");
        let folder = tempfile::tempdir_in(shm).or_else(|_| tempfile::tempdir()).unwrap();
        House::open_in(folder, network, options)
    }

    pub fn open_in(folder: tempfile::TempDir, network: Network, options: Options) -> House {
        let path = folder.path().join("server.db");
        let database = Database::open(&path, &[ledger::SCHEMA], db::Options::default()).unwrap();
        let blobs = Blobs::open(&folder.path().join("blobs"), blobs::Options::default()).unwrap();
        let (handle, began) = (Handle::current(), network.began);
        let clock = ledger::Options {
            clock: Arc::new(move || {
                let _simulated = handle.enter();
                BEGIN + i64::try_from(began.elapsed().as_secs()).unwrap()
            }),
            ..ledger::Options::default()
        };
        let ledger = Ledger::open(Arc::new(database), blobs.clone(), &clock).unwrap();
        let lanes = |address: &str| lane(address);
        let notices = NoticeOptions {
            hostname: "mail.our.test".to_owned(),
            languages: Vec::new(),
            postmaster: "postmaster@our.test".to_owned(),
        };
        let notifier = Notifier::new(ledger.clone(), Arc::new(lanes), notices);
        let relay = Relay::start(
            ledger.clone(),
            blobs.clone(),
            Arc::new(network.clone()),
            Arc::new(notifier),
            options,
        );
        House {
            folder,
            ledger,
            blobs,
            network,
            relay,
            messages: AtomicI64::new(0),
        }
    }

    pub async fn accept(&self, sender: &str, to: &[&str]) -> AcceptanceId {
        self.accept_as(sender, to, |_| {}).await
    }

    /// Time does not pass meanwhile.
    pub async fn accept_as(&self, sender: &str, to: &[&str], change: impl FnOnce(&mut Acceptance)) -> AcceptanceId {
        let serial = self.messages.fetch_add(1, Ordering::Relaxed);
        let id = AcceptanceId(AcceptanceId::at(self.ledger.now()).0 + (serial << 10));
        let mut acceptance = Acceptance {
            sender: sender.to_owned(),
            recipients: to
                .iter()
                .map(|to| NewRecipient {
                    address: (*to).to_owned(),
                    original: None,
                    notify: None,
                    lane: lane(to),
                })
                .collect(),
            ..Acceptance::ours(id, self.ledger.now(), "test")
        };
        change(&mut acceptance);
        let bytes = format!("From: {sender}\r\nSubject: {id}\r\n\r\nHello\r\n");
        let (ledger, blobs, handle) = (self.ledger.clone(), self.blobs.clone(), Handle::current());
        tokio::task::spawn_blocking(move || {
            let commit = blobs.put(bytes.as_bytes()).unwrap();
            handle
                .block_on(ledger.accept(acceptance, commit, Some(bytes.into())))
                .unwrap();
        })
        .await
        .unwrap();
        id
    }

    /// Time does not pass meanwhile.
    pub async fn order(&self, order: Order, selection: Selection) -> u64 {
        let (ledger, handle) = (self.ledger.clone(), Handle::current());
        let ordered = tokio::task::spawn_blocking(move || handle.block_on(ledger.order(order, &selection)));
        ordered.await.unwrap().unwrap()
    }

    pub fn open_remote(&self) -> u64 {
        self.ledger.totals().unwrap().remote
    }

    /// Until nothing is on its way to other servers any more; how long it took, in seconds.
    pub async fn drained(&self, bound: Duration) -> i64 {
        let began = Instant::now();
        while self.open_remote() > 0 {
            assert!(began.elapsed() < bound, "{} are still open", self.open_remote());
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        i64::try_from(began.elapsed().as_secs()).unwrap()
    }

    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        self.ledger.audit(|f| faults.push(format!("{f:?}")), |_| {}).unwrap();
        faults
    }
}

fn lane(address: &str) -> Lane {
    if address.ends_with("@our.test") {
        Lane::Local
    } else {
        Lane::Remote
    }
}

/// Numbers that look like dice and are the same every time.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.0 >> 33) % u64::try_from(bound).unwrap()).unwrap()
    }
}
