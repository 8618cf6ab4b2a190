//! DNS: does the world find this server, and will it believe its mail. What must be there, and what is, says [`crate::zone`].

use super::{Findings, Verdict};
use crate::config::Config;
use crate::zone::{self, Facts, Level, Row, State};

pub(super) fn look(config: &Config, facts: &Facts, findings: &mut Findings) {
    match zone::look(config, facts) {
        Ok(rows) => tell(&rows, findings),
        Err(e) => findings.warning("DNS", format!("not asked: {}", e.message)),
    }
}

/// Faults and warnings one by one; what is in order, and what would only be nice, in a line for each part.
fn tell(rows: &[Row], findings: &mut Findings) {
    // Keys that are not made yet are missed without asking anybody.
    let unasked = |row: &Row| row.wanted.is_empty() && row.state == State::Missing;
    if rows
        .iter()
        .all(|row| matches!(row.state, State::Unknown | State::Unused) || unasked(row))
    {
        let reason = rows.iter().map(|row| row.what.as_str()).find(|what| !what.is_empty());
        findings.warning(
            "DNS",
            format!(
                "cannot be asked from here; nothing about it was checked. {}",
                reason.unwrap_or_default()
            ),
        );
        return;
    }
    for part in rows.chunk_by(|a, b| a.domain == b.domain) {
        let (mut good, mut nice) = (0, 0);
        for row in part {
            let about = format!("{} {}", row.name, row.kind.name());
            let advice = || match row.wanted.is_empty() {
                true => row.what.clone(),
                false => format!("{} Write: {}", row.what, row.wanted),
            };
            match (row.state, row.level) {
                (State::Ok, _) => good += 1,
                (State::Unused, _) => {}
                (State::Missing, Level::Optional) => nice += 1,
                (State::Unknown, _) => findings.warning("DNS", format!("{about}: not known: {}", row.what)),
                (state, level) => {
                    let word = if state == State::Missing {
                        "missing"
                    } else {
                        "different"
                    };
                    let verdict = if level == Level::Needed {
                        Verdict::Fault
                    } else {
                        Verdict::Warning
                    };
                    findings.add(verdict, "DNS", format!("{about} is {word}. {}", advice()));
                }
            }
        }
        let whose = part.first().and_then(|row| row.domain.as_deref());
        let more = match (nice, whose) {
            (0, _) => String::new(),
            (n, None) => format!("; {n} more could be added: rohrpost dns"),
            (n, Some(domain)) => format!("; {n} more could be added: rohrpost dns {domain}"),
        };
        findings.ok(
            "DNS",
            format!("{}: {good} records are right{more}", whose.unwrap_or("the host")),
        );
    }
}
