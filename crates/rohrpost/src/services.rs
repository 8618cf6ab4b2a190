//! Settings into services: each listener gets what it speaks.

use crate::acme::{self, Proofs};
use crate::config::{Config, Limits, Listener, OverQuota, Protocol, TlsMode};
use crate::engine::Engine;
use crate::queue_figures::QueueFigures;
use crate::relaying::{self, Relaying};
use crate::tls::{Lifetimes, Tls};
use crate::{housekeeping, indexer, inspection, pages};
use delivery::door;
use delivery::inspect::{self, Inspector};
use delivery::{Dispatch, Options as DeliveryOptions};
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The services of a running server.
pub struct Services {
    tls: Option<Arc<Tls>>,
    doors: Arc<door::Context>,
    imap: Arc<access::imap::Context>,
    pop3: Arc<access::pop3::Context>,
    managesieve: Arc<access::managesieve::Context>,
    web: Arc<web::Context>,
    dispatch: Arc<Mutex<Option<Dispatch>>>,
    stop: watch::Sender<bool>,
    listeners: Vec<JoinHandle<()>>,
    housekeeping: JoinHandle<()>,
    keeper: Option<JoinHandle<()>>,
    indexer: JoinHandle<()>,
    inspector: Option<Arc<Inspector>>,
    inspection: Option<JoinHandle<()>>,
    relaying: Relaying,
}

impl Services {
    /// Starts what needs no listener: delivery of whatever is due.
    /// `bound` are the listeners with the addresses they really have.
    pub fn start(
        config: &Config,
        bound: &[Listener],
        engine: &Arc<Engine>,
        tls: Option<Arc<Tls>>,
        proofs: &Arc<Proofs>,
    ) -> std::io::Result<Services> {
        let (ledger, store, directory) = (
            engine.ledger.clone(),
            Arc::clone(&engine.store),
            engine.directory.clone(),
        );
        let outward = engine.outward_by(config);
        let options = DeliveryOptions {
            workers: whole(config.delivery.workers),
            subaddress_mailbox: config.delivery.subaddress_mailbox,
            forwarding: Some(Arc::clone(&outward.forwarding)),
            notifier: Some(Arc::clone(&outward.notifier)),
            patience: config.patience(),
        };
        let filter = engine.filter_by(config);
        if let Err(fault) = filter.administrators() {
            return Err(std::io::Error::other(format!("[sieve]: {fault}")));
        }
        let dispatch = Dispatch::start(
            ledger.clone(),
            Arc::clone(&store),
            directory.clone(),
            Arc::clone(&filter),
            &options,
        )?;
        let dispatch = Arc::new(Mutex::new(Some(dispatch)));
        let events = filter::Events::new(
            Arc::clone(&filter),
            Arc::clone(&store),
            directory.clone(),
            ledger.clone(),
        )
        .departing(Arc::clone(&outward.forwarding) as _);
        let imap = access::imap::Context::new(directory.clone(), Arc::clone(&store), imap_options(config))
            .with_events(Arc::new(events));
        let pop3 = access::pop3::Context::new(directory.clone(), Arc::clone(&store), pop3_options(config));
        let managesieve = access::managesieve::Context::new(
            directory.clone(),
            Arc::clone(&store),
            Arc::clone(&filter),
            managesieve_options(config),
        );
        let doors = door::Context::new(directory, store, ledger, door_options(config))
            .filtered(filter)
            .signed(Arc::clone(&outward.signer))
            .forwarding(Arc::clone(&outward.forwarding));
        // One for all, so that what is remembered serves everybody.
        let resolver = dns::Resolver::new(&config.dns.options())
            .map_err(|fault| std::io::Error::other(format!("[dns]: {fault}")))?;
        let inspector = inspector(config, engine, &resolver);
        let doors = match &inspector {
            Some(inspector) => doors.inspected(Arc::clone(inspector)),
            None => doors,
        };

        let relaying = relaying::start(config, engine, &outward, resolver)?;

        let mut registry = Registry::with_prefix("rohrpost");
        doors.metrics().register(&mut registry);
        imap.metrics().register(&mut registry);
        pop3.metrics().register(&mut registry);
        managesieve.metrics().register(&mut registry);
        registry.register_collector(Box::new(Figures {
            engine: Arc::clone(engine),
            dispatch: Arc::clone(&dispatch),
            relaying: Box::new(relaying.gauge()),
        }));
        registry.register_collector(Box::new(QueueFigures(Arc::clone(engine))));
        let web_metrics = web::Metrics::default();
        web_metrics.register(&mut registry);
        let acme_metrics = acme::Metrics::default();
        if let Some(tls) = &tls {
            registry.register_collector(Box::new(Lifetimes(Arc::clone(tls))));
        }
        if config.acme.is_some() {
            acme_metrics.register(&mut registry);
        }
        let web = pages::context(config, bound, engine, proofs, registry, web_metrics);
        let (stop, _) = watch::channel(false);
        let keeper = match config.acme.as_ref().zip(tls.as_ref()) {
            None => None,
            Some((settings, tls)) => {
                let directory = engine.directory.clone();
                let stopping = stop.subscribe();
                let keeper = acme::Keeper::new(config, settings, tls, proofs, directory, acme_metrics, stopping);
                Some(tokio::spawn(
                    keeper.map_err(|e| std::io::Error::other(e.message))?.run(),
                ))
            }
        };
        let housekeeping = tokio::spawn(housekeeping::run(Arc::clone(engine), config.delivery.history));
        let inspection = inspector
            .clone()
            .map(|inspector| tokio::spawn(inspection::run(Arc::clone(&outward), inspector)));
        let indexer = tokio::spawn(indexer::run(Arc::clone(engine)));
        Ok(Services {
            tls,
            doors: Arc::new(doors),
            imap: Arc::new(imap),
            pop3: Arc::new(pop3),
            managesieve: Arc::new(managesieve),
            web: Arc::new(web),
            dispatch,
            stop,
            listeners: Vec::new(),
            housekeeping,
            keeper,
            indexer,
            inspector,
            inspection,
            relaying,
        })
    }

    /// Serves one listener from now on.
    pub fn listen(&mut self, listener: &Listener, socket: tokio::net::TcpListener) {
        let stopping = self.stop.subscribe();
        let task = match listener.protocol {
            Protocol::Smtp | Protocol::Submission | Protocol::Submissions | Protocol::Lmtp => {
                let role = match listener.protocol {
                    Protocol::Smtp => smtp::Role::Mx,
                    Protocol::Lmtp => smtp::Role::Lmtp,
                    _ => smtp::Role::Submission,
                };
                let config = door::ListenerConfig {
                    name: listener.protocol.name().to_owned(),
                    role,
                    tls: self.door_tls(listener),
                    plaintext: listener.plaintext,
                    proxies: proxies(listener),
                };
                tokio::spawn(door::serve(socket, Arc::clone(&self.doors), config, stopping))
            }
            Protocol::Imap | Protocol::Imaps => {
                let config = self.access_config(listener);
                tokio::spawn(access::imap::serve(socket, Arc::clone(&self.imap), config, stopping))
            }
            Protocol::Pop3 | Protocol::Pop3s => {
                let config = self.access_config(listener);
                tokio::spawn(access::pop3::serve(socket, Arc::clone(&self.pop3), config, stopping))
            }
            Protocol::ManageSieve => {
                let config = self.access_config(listener);
                let context = Arc::clone(&self.managesieve);
                tokio::spawn(access::managesieve::serve(socket, context, config, stopping))
            }
            Protocol::Http | Protocol::Https => {
                let config = self.access_config(listener);
                tokio::spawn(web::serve(socket, Arc::clone(&self.web), config, stopping))
            }
        };
        self.listeners.push(task);
    }

    /// Where the listeners get their TLS settings, and how TLS comes about on this one.
    fn tls_for(&self, listener: &Listener) -> Option<(door::TlsProvider, TlsMode)> {
        let tls = Arc::clone(self.tls.as_ref()?);
        let provider: door::TlsProvider = match listener.protocol {
            Protocol::Smtp | Protocol::Lmtp => Arc::new(move || tls.server_config()),
            Protocol::Http | Protocol::Https => Arc::new(move || tls.web_config()),
            _ => Arc::new(move || tls.people_config()),
        };
        Some((provider, listener.tls_mode(true)))
    }

    fn door_tls(&self, listener: &Listener) -> door::Tls {
        match self.tls_for(listener) {
            None | Some((_, TlsMode::Off)) => door::Tls::Off,
            Some((provider, TlsMode::Offer)) => door::Tls::Offer(provider),
            Some((provider, TlsMode::Immediate)) => door::Tls::Immediate(provider),
        }
    }

    fn access_config(&self, listener: &Listener) -> access::ListenerConfig {
        access::ListenerConfig {
            name: listener.protocol.name().to_owned(),
            tls: self.imap_tls(listener),
            plaintext: listener.plaintext,
            proxies: proxies(listener),
        }
    }

    fn imap_tls(&self, listener: &Listener) -> access::Tls {
        match self.tls_for(listener) {
            None | Some((_, TlsMode::Off)) => access::Tls::Off,
            Some((provider, TlsMode::Offer)) => access::Tls::Offer(provider),
            Some((provider, TlsMode::Immediate)) => access::Tls::Immediate(provider),
        }
    }

    /// Takes no more connections, lets sessions finish for at most `patience`, then delivery what it has in hand. What is still open then
    /// stays due in the ledger.
    pub async fn stop(self, patience: Duration) {
        let _ = self.stop.send(true);
        self.housekeeping.abort();
        self.indexer.abort();
        if let Some(inspection) = &self.inspection {
            inspection.abort();
        }
        let ended = async {
            for listener in self.listeners {
                let _ = listener.await;
            }
            // It takes away what it has put into the DNS.
            if let Some(keeper) = self.keeper {
                let _ = keeper.await;
            }
        };
        // The doors cut their sessions at this bound themselves; this one is for whatever does not.
        if tokio::time::timeout(patience + Duration::from_secs(1), ended)
            .await
            .is_err()
        {
            tracing::warn!("some sessions did not end in time");
        }
        if let Some(inspector) = &self.inspector
            && let Err(error) = net::blocking(|| inspector.tidy(net::now()))
        {
            tracing::warn!(%error, "what inspection has seen in the last minute is lost");
        }
        self.relaying.stop(patience).await;
        let dispatch = self.dispatch.lock().take();
        if let Some(dispatch) = dispatch {
            let _ = tokio::task::spawn_blocking(move || dispatch.stop()).await;
        }
    }
}

fn door_options(config: &Config) -> door::Options {
    let limits = &config.limits;
    let mut options = door::Options::new(config.hostname.as_str());
    options.spool.clone_from(&config.data);
    options.session = smtp::Limits {
        command_line: whole(limits.smtp_command_line),
        login_failures: short(limits.login_failures),
        recipients: whole(limits.recipients),
        message_size: limits.message_size,
        header_size: limits.header_size,
        hops: short(limits.hops),
        errors: short(limits.smtp_errors),
        refused_recipients: short(limits.smtp_refused_recipients),
        idle: limits.smtp_idle,
        session: limits.smtp_session,
        ..smtp::Limits::default()
    };
    options.connections = whole(limits.connections);
    options.connections_per_address = whole(limits.connections_per_address);
    options.bad_recipient_delay = limits.bad_recipient_delay;
    options.login_failure_delay = limits.login_failure_delay;
    options.shutdown = limits.shutdown;
    options.handshake = limits.handshake;
    let submission = &config.submission;
    options.own_senders_only = submission.own_senders_only;
    options.future_release = submission.future_release;
    options.sending = door::SendingLimits {
        messages: short(submission.account_messages),
        recipients: short(submission.account_recipients),
        networks: short(submission.account_networks),
        unlimited: submission.unlimited_accounts.clone(),
    };
    options.languages.clone_from(&config.languages);
    options.relay_domains = config
        .routes
        .iter()
        .filter(|route| route.accept)
        .flat_map(|route| route.domains.clone())
        .collect();
    options.over_quota = match config.delivery.over_quota {
        OverQuota::Defer => door::OverQuota::Defer,
        OverQuota::Refuse => door::OverQuota::Refuse,
    };
    options
}

/// Who looks at mail from outside, where that is wanted.
fn inspector(config: &Config, engine: &Engine, resolver: &dns::Resolver) -> Option<Arc<Inspector>> {
    let set = &config.inspect;
    if !set.enabled {
        return None;
    }
    let mut options = inspect::Options::new(config.hostname.as_str());
    let trusted = set.trusted.clone();
    options.trusted = Arc::new(move |address| trusted.iter().any(|network| network.contains(address)));
    options.greeting_delay = set.greeting_delay;
    options.early_talker = set.early_talker;
    options.helo = set.helo;
    options.reverse = set.reverse;
    options.spf_fail = set.spf_fail;
    options.dmarc = set.dmarc;
    options.reports = set.dmarc_reports;
    options.sealers.clone_from(&set.sealers);
    options.block_lists.clone_from(&set.block_lists);
    options.block_list = set.block_list;
    options.allow_lists.clone_from(&set.allow_lists);
    options.greylist = set.greylist;
    options.greylist_wait = set.greylist_wait;
    options.network_rate = short(set.network_rate);
    options.sender_rate = short(set.sender_rate);
    options.patience = set.patience;
    Some(Arc::new(Inspector::new(
        resolver.clone(),
        Arc::clone(&engine.database),
        options,
    )))
}

fn imap_options(config: &Config) -> access::imap::Options {
    let limits = &config.limits;
    let mut options = access::imap::Options::new(config.hostname.as_str());
    options.protocol.line = whole(limits.imap_line);
    options.message_size = limits.message_size;
    options.errors = short(limits.imap_errors);
    options.messages_per_command = Some(short(limits.imap_messages)).filter(|most| *most > 0);
    options.contexts = whole(limits.imap_contexts);
    options.login_failures = short(limits.login_failures);
    options.sieve_url = sieve_url(config);
    options.connection = connection_limits(limits, limits.imap_idle);
    options
}

/// Where people's programs find their scripts (RFC 6785 §2.1), if these run on events.
fn sieve_url(config: &Config) -> Option<String> {
    let listener = config.listeners.iter().find(|l| l.protocol == Protocol::ManageSieve);
    let port = listener.filter(|_| config.sieve.events)?.bind.port();
    Some(if port == 4190 {
        format!("sieve://{}", config.hostname)
    } else {
        format!("sieve://{}:{port}", config.hostname)
    })
}

fn pop3_options(config: &Config) -> access::pop3::Options {
    let limits = &config.limits;
    let mut options = access::pop3::Options::new(config.hostname.as_str());
    options.protocol.errors = short(limits.imap_errors);
    options.protocol.login_failures = short(limits.login_failures);
    options.connection = connection_limits(limits, limits.pop3_idle);
    options
}

fn managesieve_options(config: &Config) -> access::managesieve::Options {
    let limits = &config.limits;
    let mut options = access::managesieve::Options::new(config.hostname.as_str());
    options.login_failures = short(limits.login_failures);
    options.connection = connection_limits(limits, limits.imap_idle);
    options
}

fn connection_limits(limits: &Limits, idle: Duration) -> access::ConnectionLimits {
    access::ConnectionLimits {
        connections: whole(limits.connections),
        connections_per_address: whole(limits.connections_per_address),
        login_failure_delay: limits.login_failure_delay,
        login_idle: limits.imap_login_idle,
        idle,
        stall: limits.imap_stall,
        handshake: limits.handshake,
        shutdown: limits.shutdown,
        ..access::ConnectionLimits::default()
    }
}

fn proxies(listener: &Listener) -> Option<door::Proxies> {
    let networks = listener.proxy_protocol.clone();
    (!networks.is_empty())
        .then(|| -> door::Proxies { Arc::new(move |address| networks.iter().any(|n| n.contains(address))) })
}

pub fn whole(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn short(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Figures that are asked for when somebody looks.
struct Figures {
    engine: Arc<Engine>,
    dispatch: Arc<Mutex<Option<Dispatch>>>,
    relaying: Box<dyn Fn() -> delivery::relay::Statistics + Send + Sync>,
}

impl std::fmt::Debug for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Figures")
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let statistics = self
            .dispatch
            .lock()
            .as_ref()
            .map(Dispatch::statistics)
            .unwrap_or_default();
        let relaying = (self.relaying)();
        for (name, help, value) in [
            ("relay_relayed", "Recipients taken by other servers", relaying.relayed),
            (
                "relay_failed",
                "Recipients elsewhere that were given up",
                relaying.failed,
            ),
            (
                "relay_deferred",
                "Attempts elsewhere that failed for now",
                relaying.deferred,
            ),
            (
                "relay_doubtful",
                "Attempts elsewhere of which nobody knows",
                relaying.doubtful,
            ),
            (
                "relay_connected",
                "Connections made to other servers",
                relaying.connected,
            ),
            (
                "relay_not_connected",
                "Destinations that were not reached",
                relaying.not_connected,
            ),
            ("delivery_delivered", "Recipients delivered", statistics.delivered),
            (
                "delivery_deferred",
                "Attempts to deliver that failed",
                statistics.deferred,
            ),
            (
                "delivery_expanded",
                "Recipients replaced by others",
                statistics.expanded,
            ),
        ] {
            let metric = ConstCounter::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        let mut gauges = vec![
            (
                "delivery_waiting",
                "Recipients that wait for a worker",
                statistics.waiting,
            ),
            (
                "relay_connections",
                "Connections to other servers",
                relaying.connections,
            ),
            (
                "relay_waiting",
                "Recipients elsewhere that wait in memory",
                relaying.waiting,
            ),
            ("relay_destinations", "Destinations with mail", relaying.destinations),
            (
                "relay_unreachable",
                "Destinations that cannot be reached",
                relaying.unreachable,
            ),
        ];
        match self.engine.ledger.totals() {
            Ok(totals) => gauges.extend([
                ("ledger_open_local", "Recipients of ours not settled yet", totals.local),
                (
                    "ledger_open_remote",
                    "Recipients elsewhere not settled yet",
                    totals.remote,
                ),
                ("ledger_held", "Recipients held back by an administrator", totals.held),
            ]),
            Err(e) => tracing::warn!(error = %e, "the ledger's figures cannot be read"),
        }
        for (name, help, value) in gauges {
            let metric = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            metric.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}
