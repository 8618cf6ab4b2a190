//! A real server on a port of its own, over a data directory that goes away with it.
#![allow(clippy::unwrap_used)]
#![allow(dead_code)] // each test file uses some of it

use access::imap::{Context, Options};
use access::{ListenerConfig, Tls, TlsProvider};
use directory::{Directory, NewAccount};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub mod client;
pub mod grammar;

pub const PASSWORD: &str = "geheim";

pub struct Server {
    pub address: SocketAddr,
    pub store: Arc<Store>,
    pub directory: Directory,
    pub ledger: ledger::Ledger,
    pub context: Arc<Context>,
    pub certificate: Option<rustls::pki_types::CertificateDer<'static>>,
    pub data: tempfile::TempDir,
    runtime: Option<tokio::runtime::Runtime>,
    stop: watch::Sender<bool>,
    task: Option<tokio::task::JoinHandle<()>>,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Mode {
    Plain,
    StartTls,
    Immediate,
}

pub fn options() -> Options {
    let mut options = Options::new("mail.rohrpost.test");
    options.connection.login_failure_delay = Duration::from_millis(5);
    options
}

impl Server {
    pub fn start(mode: Mode, options: Options) -> Server {
        Server::start_filtering(mode, options, filter::Options::new("mail.rohrpost.test"))
    }

    pub fn start_filtering(mode: Mode, options: Options, scripts: filter::Options) -> Server {
        let data = tempfile::tempdir().unwrap();
        let path = data.path();
        let schemas = [directory::SCHEMA, ledger::SCHEMA];
        let database = db::Database::open(&path.join("server.db"), &schemas, db::Options::default()).unwrap();
        let database = Arc::new(database);
        let directory = Directory::open(Arc::clone(&database)).unwrap();
        directory.domain_add("rohrpost.test").unwrap();
        for address in ["ada@rohrpost.test", "bob@rohrpost.test"] {
            let new = NewAccount {
                address,
                password: Some(PASSWORD.as_bytes()),
                ..NewAccount::default()
            };
            directory.account_add(&new).unwrap();
        }
        let blobs = blobs::Blobs::open(&path.join("blobs"), blobs::Options::default()).unwrap();
        let store = Arc::new(Store::open(&path.join("accounts"), blobs, store::Options::default()).unwrap());
        let ledger = ledger::Ledger::open(database, store.blobs().clone(), &ledger::Options::default()).unwrap();
        let filter = Arc::new(filter::Filter::new(scripts).with_directory(directory.clone()));
        let events = filter::Events::new(filter, Arc::clone(&store), directory.clone(), ledger.clone());
        let context = Context::new(directory.clone(), Arc::clone(&store), options).with_events(Arc::new(events));
        let context = Arc::new(context);
        let (mut tls, mut certificate) = (Tls::Off, None);
        if mode != Mode::Plain {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
            let der = made.cert.der().clone();
            let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let config = rustls::ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![der.clone()], key)
                .unwrap();
            let config = Arc::new(config);
            let provider: TlsProvider = Arc::new(move || Arc::clone(&config));
            certificate = Some(der);
            tls = match mode {
                Mode::StartTls => Tls::Offer(provider),
                _ => Tls::Immediate(provider),
            };
        }
        let config = ListenerConfig {
            name: "imap".to_owned(),
            tls,
            plaintext: mode == Mode::Plain,
            proxies: None,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let socket = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = socket.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let task = runtime.spawn(access::imap::serve(socket, Arc::clone(&context), config, stopping));
        Server {
            address,
            store,
            directory,
            ledger,
            context,
            certificate,
            data,
            runtime: Some(runtime),
            stop,
            task: Some(task),
        }
    }

    /// Adds eve, zoe (an administrator) and the group mailbox team@, of which ada and bob are members.
    pub fn populate(&self) {
        let new = |address, admin| NewAccount {
            address,
            password: Some(PASSWORD.as_bytes()),
            admin,
            ..NewAccount::default()
        };
        self.directory.account_add(&new("eve@rohrpost.test", false)).unwrap();
        self.directory.account_add(&new("zoe@rohrpost.test", true)).unwrap();
        let team = self.directory.group_add(&new("team@rohrpost.test", false)).unwrap();
        let account = self.store.account(team).unwrap();
        account.seen_own_set(None, true).unwrap();
        for (member, rights) in [("ada@rohrpost.test", "lrswipkxte"), ("bob@rohrpost.test", "lrswip")] {
            let member = self.directory.account_show(member).unwrap().id;
            self.directory.group_member_add(team, member).unwrap();
            let rights = store::Rights::parse(rights).unwrap();
            let identifier = store::Identifier::Account(member);
            access::sharing::acl_everywhere(&self.directory, &account, identifier, rights).unwrap();
        }
    }

    /// Gives ada the scripts of a folder, none of them active.
    pub fn scripts(&self, folder: &std::path::Path) {
        let ada = self.directory.account_show("ada@rohrpost.test").unwrap().id;
        let account = self.store.account(ada).unwrap();
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            account
                .script_put(&name, &text, store::Unless::Never, &store::ScriptLimits::default())
                .unwrap();
        }
    }

    pub fn stop(&mut self) {
        let _ = self.stop.send(true);
        if let (Some(runtime), Some(task)) = (&self.runtime, self.task.take()) {
            runtime.block_on(task).unwrap();
        }
    }

    pub fn runtime(&self) -> &tokio::runtime::Runtime {
        self.runtime.as_ref().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
