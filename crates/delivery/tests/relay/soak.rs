//! A week of outages.

use crate::world::{BEGIN, Dice, House, Network, Site, Weather};
use delivery::relay::Options;
use ledger::{Fate, Filter, Lane, Selection, State};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const SITES: usize = 1000;
const MESSAGES: usize = 4000;
/// The longest wait, spread included, and how long a look takes at most.
const LONGEST: i64 = HOUR * 6 / 5 + 60;

/// A week: most sites have an outage of hours, some of days, some are gone for good, some only ever put off.
fn sites(dice: &mut Dice) -> HashMap<String, Site> {
    let week = 8 * DAY;
    let outage = |begin: i64, length: i64, weather| vec![(begin, Weather::Fine), (begin + length, weather)];
    (0..SITES)
        .map(|n| {
            let weather = match n % 20 {
                0..=7 => Vec::new(),
                8..=13 => outage(dice.below(DAY), HOUR + dice.below(8 * HOUR), Weather::Dead),
                14 => outage(dice.below(DAY), HOUR + dice.below(8 * HOUR), Weather::Later),
                15 => outage(dice.below(DAY), HOUR + dice.below(8 * HOUR), Weather::Breaks),
                16 | 17 => outage(dice.below(DAY), DAY + dice.below(2 * DAY), Weather::Dead),
                18 => vec![(week, Weather::Dead)],
                _ => vec![(week, if n % 40 == 19 { Weather::Later } else { Weather::Dead })],
            };
            let site = Site {
                weather,
                ..Site::default()
            };
            (format!("d{n}.test"), site)
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_week_of_outages() {
    let mut dice = Dice(2026);
    let sites = sites(&mut dice);
    let network = Network::new(sites.clone());
    let house = House::open(network.clone(), Options::default());
    // Mail comes in for two days.
    let mut times: Vec<(i64, usize)> = (0..MESSAGES).map(|n| (dice.below(2 * DAY), n)).collect();
    times.sort_unstable();
    let began = tokio::time::Instant::now();
    for (at, n) in times {
        let at = began + Duration::from_secs(at.cast_unsigned());
        tokio::time::sleep_until(at).await;
        let site = n % SITES;
        let to = [format!("a@d{site}.test"), format!("b@d{site}.test")];
        let to: Vec<&str> = to.iter().take(1 + n % 2).map(String::as_str).collect();
        house.accept(&format!("u{n}@our.test"), &to).await;
    }
    // At every moment, everything open has a time when it is tried, and that is not far.
    let mut looks = 0;
    while house.open_remote() > 0 {
        let now = house.ledger.now();
        let mut after = None;
        loop {
            let selection = Selection {
                lane: Some(Lane::Remote),
                ..Selection::default()
            };
            let page = house.ledger.open_rows(&selection, after, 1000).unwrap();
            let Some(last) = page.last() else { break };
            after = Some((last.id, last.number));
            for row in &page {
                assert!(
                    row.due_at <= now + LONGEST,
                    "{}: due {}, now {now}",
                    row.address,
                    row.due_at
                );
                assert!(
                    row.due_at >= now - 120,
                    "{}: it was due at {}, now {now}",
                    row.address,
                    row.due_at
                );
            }
        }
        looks += 1;
        assert!(looks < 100, "a week has an end");
        tokio::time::sleep(Duration::from_secs(3 * HOUR.cast_unsigned())).await;
    }
    let lost: Vec<_> = house.faults();
    assert_eq!(lost, Vec::<String>::new());

    let log = network.log.lock();
    let mut taken: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (sender, to, _) in &log.taken {
        *taken.entry((sender.clone(), to.clone())).or_default() += 1;
    }
    assert!(taken.values().all(|n| *n == 1), "nobody gets anything twice");
    let (mut relayed, mut failed, mut late) = (0, 0, 0);
    let filter = Filter::default();
    for record in house.ledger.trace(&filter, u32::MAX).unwrap() {
        let a = &record.acceptance;
        if a.sender.is_empty() {
            continue;
        }
        for r in record.recipients {
            assert_eq!(r.state, State::Settled);
            let got = taken.contains_key(&(a.sender.clone(), r.address.clone()));
            let age = r.settled_at.unwrap() - a.received_at;
            match r.fate.unwrap() {
                Fate::Relayed => {
                    relayed += 1;
                    assert!(got);
                }
                Fate::Failed => {
                    failed += 1;
                    assert!(!got);
                    assert!(age >= 5 * DAY, "given up after {age} s");
                    assert!(age <= 5 * DAY + LONGEST, "given up after {age} s");
                }
                other => panic!("{other:?}"),
            }
            // Who waits for more than four hours is told, once; nobody else is.
            let told = record.offspring.len();
            let expected = usize::from(r.delay_told) + usize::from(r.fate == Some(Fate::Failed));
            if age < 4 * HOUR {
                assert!(!r.delay_told, "told after {age} s");
            } else if age > 4 * HOUR + LONGEST {
                assert!(r.delay_told, "not told after {age} s");
                late += 1;
            }
            assert!(
                told >= expected.min(1) && told <= 4,
                "{told} notices, {expected} expected"
            );
        }
    }
    assert_eq!(relayed, taken.len());
    assert!(failed > 100 && late > 500, "{failed} {late}");

    // The schedule: waits double from five minutes to an hour, a fifth up or down, and there is one attempt at a time.
    let mut checked = 0;
    for (name, tried) in &log.tried {
        let site = &sites[name];
        if site.weather.len() != 1 || site.weather[0].1 != Weather::Dead {
            continue;
        }
        let waits: Vec<i64> = tried.windows(2).map(|pair| pair[1] - pair[0]).collect();
        for (n, wait) in waits.iter().enumerate() {
            let middle = (300 << n.min(10)).min(HOUR);
            assert!(
                *wait >= middle * 4 / 5 - 2,
                "{name}: attempt {n} came after {wait} s: {waits:?}"
            );
        }
        // From the first message to the end of the last one's life, an attempt an hour.
        let span = tried.last().unwrap() - tried.first().unwrap();
        assert!(
            i64::try_from(tried.len()).unwrap() <= span / (HOUR * 4 / 5) + 8,
            "{name}: {} in {span} s",
            tried.len()
        );
        checked += 1;
    }
    assert!(checked >= 50, "{checked}");
    assert!(house.ledger.now() - BEGIN < 8 * DAY);
}
