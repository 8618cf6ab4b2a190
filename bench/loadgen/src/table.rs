//! Many measurements on one page: a row for each work and figure, a column for each server, the median of its repeats.

use crate::imap::operations::GOALS;
use crate::record::{Record, rounded};
use std::fmt::Write;

/// The page. Servers and works come in the order in which they were measured first. What IMAP operations take has a table of its own.
pub fn table(records: &[Record]) -> String {
    let (operations, others): (Vec<Record>, Vec<Record>) = records.iter().cloned().partition(is_operation);
    let mut page = String::new();
    if !others.is_empty() {
        page.push_str(&figures(&others));
    }
    if !operations.is_empty() {
        if !page.is_empty() {
            page.push('\n');
        }
        page.push_str(&times(&operations));
    }
    page
}

fn is_operation(record: &Record) -> bool {
    record.work.starts_with("IMAP, ") && record.work.contains(": ")
}

/// Milliseconds, and how many times faster the first server is than each other one, beside what we mean to reach.
fn times(records: &[Record]) -> String {
    let mut servers: Vec<&str> = Vec::new();
    let mut works: Vec<&str> = Vec::new();
    for record in records {
        if !servers.contains(&record.server.as_str()) {
            servers.push(&record.server);
        }
        if !works.contains(&record.work.as_str()) {
            works.push(&record.work);
        }
    }
    let others: Vec<&str> = servers.iter().skip(1).copied().collect();
    let mut page = String::from("| operation |");
    for server in &servers {
        let _ = write!(page, " {server}, ms |");
    }
    for other in &others {
        let _ = write!(page, " faster than {other} |");
    }
    let _ = writeln!(
        page,
        " goal |\n|---|{}--:|",
        "--:|".repeat(servers.len() + others.len())
    );
    for work in works {
        let medians: Vec<Option<f64>> = servers.iter().map(|s| median(records, s, work, "ms")).collect();
        let _ = write!(page, "| {work} |");
        for value in &medians {
            let _ = write!(page, " {} |", value.map_or(String::new(), fine));
        }
        let ours = medians.first().copied().flatten();
        for other in medians.iter().skip(1) {
            let faster = match (ours, other) {
                (Some(ours), Some(other)) if ours > 0.0 => format!("{:.1} ×", other / ours),
                _ => String::new(),
            };
            let _ = write!(page, " {faster} |");
        }
        let name = work.split(": ").nth(1).unwrap_or_default();
        // What growth costs is compared with itself.
        let goal = GOALS
            .iter()
            .find(|(operation, _)| *operation == name && !work.contains("growth"));
        let _ = writeln!(
            page,
            " {} |",
            goal.map_or(String::new(), |(_, times)| format!("{times} ×"))
        );
    }
    page
}

/// Milliseconds, also very few.
fn fine(ms: f64) -> String {
    if ms < 1.0 { format!("{ms:.3}") } else { rounded(ms) }
}

/// A row for each work and figure.
fn figures(records: &[Record]) -> String {
    let mut servers: Vec<&str> = Vec::new();
    let mut rows: Vec<(&str, &str)> = Vec::new();
    for record in records {
        if !servers.contains(&record.server.as_str()) {
            servers.push(&record.server);
        }
        for figure in record.figures.keys() {
            let row = (record.work.as_str(), figure.as_str());
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
    }
    // Figures of one work stand together, also where one server has more of them.
    let first = |work: &str| rows.iter().position(|(w, _)| *w == work);
    let mut sorted = rows.clone();
    sorted.sort_by_key(|(work, _)| first(work));
    let others: Vec<&str> = servers.iter().skip(1).copied().collect();
    let mut page = String::from("| work | figure |");
    for server in &servers {
        let _ = write!(page, " {server} |");
    }
    for other in &others {
        let _ = write!(page, " {} : {other} |", servers.first().unwrap_or(&""));
    }
    let _ = writeln!(page, "\n|---|---|{}", "--:|".repeat(servers.len() + others.len()));
    for (work, figure) in sorted {
        let medians: Vec<Option<f64>> = servers.iter().map(|s| median(records, s, work, figure)).collect();
        let _ = write!(page, "| {work} | {figure} |");
        for value in &medians {
            let _ = write!(page, " {} |", value.map_or(String::new(), rounded));
        }
        let ours = medians.first().copied().flatten();
        for other in medians.iter().skip(1) {
            let ratio = match (ours, other) {
                (Some(ours), Some(other)) if *other > 0.0 && figure != "failed" => format!("{:.2}", ours / other),
                _ => String::new(),
            };
            let _ = write!(page, " {ratio} |");
        }
        page.push('\n');
    }
    page
}

fn median(records: &[Record], server: &str, work: &str, figure: &str) -> Option<f64> {
    let mut values: Vec<f64> = records
        .iter()
        .filter(|r| r.server == server && r.work == work)
        .filter_map(|r| r.figures.get(figure).copied())
        .collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => values.get(middle).copied(),
        _ => Some((values.get(middle)? + values.get(middle - 1)?) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ratios() {
        let of = |server: &str, value| Record::new(server, "accept").with("per second", value);
        let records = [
            of("we", 300.0),
            of("they", 30.0),
            of("we", 100.0),
            of("they", 50.0),
            of("we", 200.0),
        ];
        assert_eq!(
            table(&records),
            "| work | figure | we | they | we : they |\n|---|---|--:|--:|--:|\n| accept | per second | 200 | 40.0 | 5.00 |\n"
        );
    }

    #[test]
    fn operations_are_compared_by_time() {
        let of = |server: &str, ms| Record::new(server, "IMAP, 10 messages: FETCH flags").with("ms", ms);
        assert_eq!(
            table(&[of("we", 0.5), of("they", 2.0)]),
            "| operation | we, ms | they, ms | faster than they | goal |\n|---|--:|--:|--:|--:|\n\
             | IMAP, 10 messages: FETCH flags | 0.500 | 2.00 | 4.0 × | 1.5 × |\n"
        );
    }
}
