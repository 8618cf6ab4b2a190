//! A mail house with its doors open, on ports of the system's choosing and in a folder of its own.

use blobs::{Blobs, File, FileLayer};
use db::{AccountId, Database};
use delivery::door::{self, Context, ListenerConfig, Options, Tls};
use delivery::{ForwardOptions, Forwarding};
use directory::{Directory, HashParameters, NewAccount};
use ledger::{AcceptanceId, Filter, Ledger, Record};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use smtp::Role;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store::Store;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub const PASSWORD: &str = "correct horse";

pub struct House {
    pub directory: Directory,
    pub ledger: Ledger,
    pub blobs: Blobs,
    pub context: Arc<Context>,
    pub forwarding: Arc<Forwarding>,
    pub certificate: CertificateDer<'static>,
    pub disk_full: Arc<AtomicBool>,
    tls: Arc<rustls::ServerConfig>,
    stop: watch::Sender<bool>,
    doors: Vec<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl House {
    pub fn new() -> House {
        House::with(|_| {})
    }

    /// Accounts ada, bob (quota 10,000 octets), eve (disabled); the alias team@ of ada and bob; the domain our.test.
    pub fn with(change: impl FnOnce(&mut Options)) -> House {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let schemas = [ledger::SCHEMA, directory::SCHEMA];
        let database = Arc::new(Database::open(&path.join("server.db"), &schemas, db::Options::default()).unwrap());
        let disk_full = Arc::new(AtomicBool::new(false));
        let layer = Arc::new(Moody(Arc::clone(&disk_full)));
        let blobs = Blobs::open_on(layer, &path.join("blobs"), blobs::Options::default()).unwrap();
        let store = Arc::new(Store::open(&path.join("accounts"), blobs.clone(), store::Options::default()).unwrap());
        let cheap = HashParameters {
            memory_kib: 64,
            passes: 1,
            ..HashParameters::default()
        };
        let options = directory::Options {
            hash: cheap,
            ..directory::Options::default()
        };
        let directory = Directory::open_with(Arc::clone(&database), options).unwrap();
        directory.domain_add("our.test").unwrap();
        for (address, quota_bytes) in [
            ("ada@our.test", None),
            ("bob@our.test", Some(10_000)),
            ("eve@our.test", None),
        ] {
            let password = Some(PASSWORD.as_bytes());
            directory
                .account_add(&NewAccount {
                    address,
                    password,
                    quota_bytes,
                    ..NewAccount::default()
                })
                .unwrap();
        }
        directory
            .account_disable(directory.account_show("eve@our.test").unwrap().id)
            .unwrap();
        directory
            .alias_add("team@our.test", &["ada@our.test", "bob@our.test"])
            .unwrap();
        let ledger = Ledger::open(database, blobs.clone(), &ledger::Options::default()).unwrap();
        let mut options = Options::new("mail.our.test");
        options.bad_recipient_delay = Duration::ZERO;
        options.login_failure_delay = Duration::ZERO;
        change(&mut options);
        let forwarding = ForwardOptions::new("mail.our.test");
        let forwarding = Arc::new(Forwarding::new(directory.clone(), None, forwarding));
        let context = Context::new(directory.clone(), store, ledger.clone(), options);
        let context = Arc::new(context.forwarding(Arc::clone(&forwarding)));
        let (certificate, tls) = certificate();
        let (stop, _) = watch::channel(false);
        House {
            directory,
            ledger,
            blobs,
            context,
            forwarding,
            certificate,
            disk_full,
            tls,
            stop,
            doors: Vec::new(),
            _folder: folder,
        }
    }

    pub async fn open(&mut self, role: Role) -> SocketAddr {
        self.open_with(role, |_| {}).await
    }

    pub async fn open_with(&mut self, role: Role, change: impl FnOnce(&mut ListenerConfig)) -> SocketAddr {
        let mut config = ListenerConfig {
            name: format!("{role:?}").to_lowercase(),
            role,
            tls: Tls::Offer(self.tls_provider()),
            plaintext: false,
            proxies: None,
        };
        change(&mut config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = door::serve(listener, Arc::clone(&self.context), config, self.stop.subscribe());
        self.doors.push(tokio::spawn(serving));
        address
    }

    pub fn tls_provider(&self) -> door::TlsProvider {
        let tls = Arc::clone(&self.tls);
        Arc::new(move || Arc::clone(&tls))
    }

    pub fn account(&self, address: &str) -> AccountId {
        self.directory.account_show(address).unwrap().id
    }

    /// What the ledger knows of the message that a `250` named.
    pub fn record(&self, reply: &str) -> Record {
        let id = reply.trim().rsplit(' ').next().unwrap();
        let id: AcceptanceId = id.parse().unwrap_or_else(|_| panic!("no id in {reply:?}"));
        self.ledger.show(id).unwrap().expect("the message is in the ledger")
    }

    pub fn records(&self) -> Vec<Record> {
        self.ledger.trace(&Filter::default(), 1000).unwrap()
    }

    /// The message's bytes: our Received header, and what came.
    pub fn bytes(&self, record: &Record) -> (String, Vec<u8>) {
        let bytes = self.blobs.read(record.blob).unwrap();
        assert!(bytes.starts_with(b"Received: from "));
        let mut end = 0;
        loop {
            end += bytes[end..].iter().position(|&b| b == b'\n').unwrap() + 1;
            if bytes.get(end) != Some(&b'\t') {
                break;
            }
        }
        (String::from_utf8(bytes[..end].to_vec()).unwrap(), bytes[end..].to_vec())
    }

    pub fn metrics(&self) -> String {
        let mut registry = prometheus_client::registry::Registry::with_prefix("rohrpost");
        self.context.metrics().register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    /// Gives the signal to stop.
    pub fn stop(&self) {
        self.stop.send(true).unwrap();
    }

    /// Waits until all doors are closed.
    pub async fn closed(&mut self) {
        for door in self.doors.drain(..) {
            tokio::time::timeout(Duration::from_secs(20), door)
                .await
                .expect("the door closes")
                .unwrap();
        }
    }
}

fn certificate() -> (CertificateDer<'static>, Arc<rustls::ServerConfig>) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["mail.our.test".into()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let certificate = cert.der().clone();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    (certificate, Arc::new(config))
}

/// A disk that can be full.
#[derive(Debug)]
struct Moody(Arc<AtomicBool>);

#[derive(Debug)]
struct MoodyFile(Arc<dyn File>, Arc<AtomicBool>);

impl Moody {
    fn wrap(&self, file: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(MoodyFile(file, Arc::clone(&self.0)))
    }
}

impl FileLayer for Moody {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        blobs::Disk.create_dir(path)
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(self.wrap(blobs::Disk.create(path)?))
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(self.wrap(blobs::Disk.open(path)?))
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        blobs::Disk.list(dir)
    }
    fn size(&self, path: &Path) -> io::Result<u64> {
        blobs::Disk.size(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        blobs::Disk.rename(from, to)
    }
    fn unlink(&self, path: &Path) -> io::Result<()> {
        blobs::Disk.unlink(path)
    }
    fn fsync_dir(&self, dir: &Path) -> io::Result<()> {
        blobs::Disk.fsync_dir(dir)
    }
}

impl File for MoodyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.1.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.write_at(bytes, offset)
    }
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
    fn set_size(&self, size: u64) -> io::Result<()> {
        self.0.set_size(size)
    }
    fn fdatasync(&self) -> io::Result<()> {
        self.0.fdatasync()
    }
}
