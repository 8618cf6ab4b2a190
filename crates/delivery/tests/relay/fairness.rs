//! Who gets through, and when.

use crate::world::{House, Network, Site, Weather};
use delivery::relay::Options;
use ledger::{Order, Selection};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

fn site(weather: Vec<(i64, Weather)>) -> Site {
    Site {
        weather,
        ..Site::default()
    }
}

fn network(sites: &[(&str, Site)]) -> Network {
    Network::new(
        sites
            .iter()
            .map(|(name, site)| ((*name).to_owned(), site.clone()))
            .collect(),
    )
}

#[tokio::test(start_paused = true)]
async fn connections_become_more_with_success_and_are_used_again() {
    let network = network(&[]);
    let house = House::open(network.clone(), Options::default());
    for n in 0..600 {
        house.accept(&format!("u{n}@our.test"), &["x@far.test"]).await;
    }
    let seconds = house.drained(Duration::from_secs(600)).await;
    let log = network.log.lock();
    assert_eq!(log.taken.len(), 600);
    let most = log.most["far.test"];
    assert!((10..=20).contains(&most), "{most} at once");
    assert!(
        log.connections <= 40,
        "{} connections for 600 messages",
        log.connections
    );
    // 600 messages of 50 ms each, over twenty connections: 1.5 s, and a little for the start.
    assert!(seconds < 10, "{seconds} s");
}

#[tokio::test(start_paused = true)]
async fn a_peer_with_few_seats_gets_no_more_connections_than_it_takes() {
    let narrow = Site {
        seats: 3,
        ..Site::default()
    };
    let network = network(&[("far.test", narrow)]);
    let house = House::open(network.clone(), Options::default());
    for n in 0..300 {
        house.accept(&format!("u{n}@our.test"), &["x@far.test"]).await;
    }
    house.drained(Duration::from_secs(600)).await;
    let log = network.log.lock();
    assert_eq!(log.taken.len(), 300);
    assert!(
        log.tried["far.test"].len() < 60,
        "{} attempts",
        log.tried["far.test"].len()
    );
}

#[tokio::test(start_paused = true)]
async fn recipients_of_one_message_share_a_transaction() {
    let network = network(&[]);
    let house = House::open(network.clone(), Options::default());
    let far: Vec<String> = (0..250).map(|n| format!("u{n}@far.test")).collect();
    let mut to: Vec<&str> = far.iter().map(String::as_str).collect();
    to.push("x@other.test");
    house.accept("ada@our.test", &to).await;
    house.drained(Duration::from_secs(60)).await;
    let mut transactions = network.log.lock().transactions.clone();
    transactions.sort_unstable();
    assert_eq!(transactions, [1, 50, 100, 100]);
}

#[tokio::test(start_paused = true)]
async fn much_mail_for_a_dead_destination_slows_nobody() {
    const DEAD: usize = 5000;
    let network = network(&[("dead.test", site(vec![(7200, Weather::Dead)]))]);
    let house = House::open(network.clone(), Options::default());
    for n in 0..DEAD / 50 {
        let to: Vec<String> = (0..50).map(|r| format!("r{r}@dead.test")).collect();
        let to: Vec<&str> = to.iter().map(String::as_str).collect();
        house.accept(&format!("u{n}@our.test"), &to).await;
    }
    for n in 0..50 {
        house.accept("ada@our.test", &[&format!("x@live{n}.test")]).await;
    }
    let began = tokio::time::Instant::now();
    while network.log.lock().taken.len() < 50 {
        assert!(began.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // An hour later it has been tried a few times, and not once for each.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let tried = network.log.lock().tried["dead.test"].len();
    assert!((3..=8).contains(&tried), "{tried} attempts");
    let depths = house.ledger.depths().unwrap();
    assert_eq!(depths[0].rows, DEAD as u64);
    assert!(depths[0].unreachable.is_some());
    // An administrator's order is a probe at once; when it is back, everything goes.
    let everything = Selection::default();
    assert_eq!(house.order(Order::Retry, everything).await, DEAD as u64);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(network.log.lock().tried["dead.test"].len(), tried + 1);
    assert!(network.log.lock().wanted.iter().all(|name| name == "dead.test"));
    assert!(!network.log.lock().wanted.is_empty());
    house.drained(Duration::from_secs(3 * 3600)).await;
    assert_eq!(network.log.lock().taken.len(), DEAD + 50);
    assert_eq!(house.ledger.depths().unwrap().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_people_come_before_bulk_and_each_sender_gets_a_turn() {
    let network = network(&[("far.test", site(vec![(1000, Weather::Dead)]))]);
    let house = House::open(network.clone(), Options::default());
    for n in 0..400 {
        let to = format!("n{n}@far.test");
        house.accept_as("newsletter@our.test", &[&to], |a| a.bulk = true).await;
    }
    for n in 0..400 {
        house.accept("busy@our.test", &[&format!("b{n}@far.test")]).await;
    }
    for n in 0..10 {
        house.accept(&format!("person{n}@our.test"), &["x@far.test"]).await;
    }
    house.drained(Duration::from_secs(7200)).await;
    let log = network.log.lock();
    let order: Vec<&str> = log.taken.iter().map(|(sender, _, _)| sender.as_str()).collect();
    assert_eq!(order.len(), 810);
    let first: HashSet<&str> = order
        .iter()
        .take(80)
        .copied()
        .filter(|s| s.starts_with("person"))
        .collect();
    assert_eq!(first.len(), 10, "{:?}", &order[..80]);
    let last_person = order.iter().rposition(|s| !s.starts_with("newsletter")).unwrap();
    let bulk_before = order[..last_person]
        .iter()
        .filter(|s| s.starts_with("newsletter"))
        .count();
    assert!(
        bulk_before <= 25,
        "{bulk_before} newsletters went before somebody's mail"
    );
}

#[tokio::test(start_paused = true)]
async fn a_few_connections_in_all_serve_everybody() {
    let network = network(&[]);
    let options = Options {
        connections: 4,
        ..Options::default()
    };
    let house = House::open(network.clone(), options);
    for n in 0..400 {
        house.accept(&format!("u{n}@our.test"), &["x@big.test"]).await;
    }
    for n in 0..40 {
        house.accept("ada@our.test", &[&format!("x@small{n}.test")]).await;
    }
    house.drained(Duration::from_secs(600)).await;
    let log = network.log.lock();
    let small = log
        .taken
        .iter()
        .rposition(|(_, to, _)| to.starts_with("x@small"))
        .unwrap();
    assert!(small < 420, "the last of the small ones came as number {small}");
    let sum: HashMap<_, _> = log.most.iter().collect();
    assert!(sum.values().all(|most| **most <= 4));
}

#[tokio::test(start_paused = true)]
async fn what_waits_survives_a_restart_with_its_destinations_state() {
    let sites = [("far.test", site(vec![(4000, Weather::Dead)]))];
    let network = network(&sites);
    let house = House::open(network.clone(), Options::default());
    for n in 0..20 {
        house.accept(&format!("u{n}@our.test"), &["x@far.test"]).await;
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let before = network.log.lock().tried["far.test"].len();
    let House {
        folder,
        ledger,
        blobs,
        relay,
        ..
    } = house;
    relay.stop(Duration::from_secs(5)).await;
    ledger.close();
    blobs.close().unwrap();
    drop((ledger, blobs));
    let house = House::open_in(folder, network.clone(), Options::default());
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(
        network.log.lock().tried["far.test"].len(),
        before,
        "its time has not come"
    );
    house.drained(Duration::from_secs(3 * 3600)).await;
    assert_eq!(network.log.lock().taken.len(), 20);
}
