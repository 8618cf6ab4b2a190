//! Output for a person's eyes, and for programs: aligned tables, coloured on a terminal only; JSON on request.

use serde_json::Value;
use std::io::{IsTerminal, Write};

/// Where a column's values stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// A column of a table: the field of each row it shows, under which heading, how it is written.
#[derive(Clone, Copy)]
pub struct Column {
    /// The field of the row.
    pub field: &'static str,
    /// What stands above it.
    pub heading: &'static str,
    /// Where its values stand.
    pub align: Align,
    /// How a value is written for people.
    pub write: fn(&Value) -> String,
}

impl Column {
    /// Text as it is.
    pub const fn text(field: &'static str, heading: &'static str) -> Column {
        Column {
            field,
            heading,
            align: Align::Left,
            write: text,
        }
    }

    /// A number.
    pub const fn number(field: &'static str, heading: &'static str) -> Column {
        Column {
            field,
            heading,
            align: Align::Right,
            write: text,
        }
    }

    /// A number of octets.
    pub const fn size(field: &'static str, heading: &'static str) -> Column {
        Column {
            field,
            heading,
            align: Align::Right,
            write: size,
        }
    }

    /// Seconds since 1970, shown in local time.
    pub const fn time(field: &'static str, heading: &'static str) -> Column {
        Column {
            field,
            heading,
            align: Align::Left,
            write: time,
        }
    }
}

/// A value as text: strings without quotes, lists with commas, null as nothing. Control characters never reach the terminal.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(s) => s.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(all) => all.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn size(value: &Value) -> String {
    value
        .as_u64()
        .map_or_else(String::new, crate::config::units::size_rounded)
}

/// A time as lists show it.
pub fn time(value: &Value) -> String {
    value
        .as_i64()
        .and_then(|s| jiff::Timestamp::from_second(s).ok())
        .map_or_else(String::new, |t| {
            t.to_zoned(jiff::tz::TimeZone::system())
                .strftime("%Y-%m-%d %H:%M:%S")
                .to_string()
        })
}

/// Rows as they come, printed as a table at the end or as JSON at once.
pub struct Listing<'w> {
    columns: &'static [Column],
    json: bool,
    out: &'w mut dyn Write,
    colour: bool,
    below: fn(&Value) -> Vec<String>,
    rows: Vec<(Vec<String>, Vec<String>)>,
    printed: usize,
}

impl<'w> Listing<'w> {
    /// Starts a listing.
    pub fn new(columns: &'static [Column], json: bool, out: &'w mut dyn Write, colour: bool) -> Self {
        Listing {
            columns,
            json,
            out,
            colour,
            below: |_| Vec::new(),
            rows: Vec::new(),
            printed: 0,
        }
    }

    /// The same; what is told of each row in lines of their own below it, for people.
    #[must_use]
    pub fn below(self, below: fn(&Value) -> Vec<String>) -> Self {
        Listing { below, ..self }
    }

    /// Takes one row.
    pub fn row(&mut self, row: &Value) -> std::io::Result<()> {
        if self.json {
            self.out
                .write_all(if self.printed == 0 { b"[\n  " } else { b",\n  " })?;
            serde_json::to_writer(&mut *self.out, row)?;
        } else {
            let cells = self.columns.iter();
            let cells = cells.map(|c| (c.write)(row.get(c.field).unwrap_or(&Value::Null)));
            self.rows.push((cells.collect(), (self.below)(row)));
            // Widths settle on the first screenfuls; a long list need not be held whole.
            if self.rows.len() == 5000 {
                self.flush_rows()?;
            }
        }
        self.printed += 1;
        Ok(())
    }

    /// Ends the listing; `empty` is said when there was no row.
    pub fn end(mut self, empty: &str) -> std::io::Result<()> {
        match (self.json, self.printed) {
            (true, 0) => self.out.write_all(b"[]\n")?,
            (true, _) => self.out.write_all(b"\n]\n")?,
            (false, 0) if self.colour => writeln!(self.out, "{empty}")?,
            (false, 0) => {}
            (false, _) => self.flush_rows()?,
        }
        self.out.flush()
    }

    fn flush_rows(&mut self) -> std::io::Result<()> {
        let first = self.printed <= 5000;
        let widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(i, c)| {
                let cells = self.rows.iter().filter_map(|(cells, _)| cells.get(i)).map(|c| width(c));
                cells.max().unwrap_or(0).max(c.heading.len())
            })
            .collect();
        if first {
            let headings: Vec<String> = self.columns.iter().map(|c| c.heading.to_owned()).collect();
            let line = self.line(&headings, &widths);
            if self.colour {
                writeln!(self.out, "\x1b[1m{line}\x1b[0m")?;
            } else {
                writeln!(self.out, "{line}")?;
            }
        }
        for (cells, below) in std::mem::take(&mut self.rows) {
            let line = self.line(&cells, &widths);
            writeln!(self.out, "{line}")?;
            below.iter().try_for_each(|line| writeln!(self.out, "    {line}"))?;
        }
        Ok(())
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, column), wide) in cells.iter().zip(self.columns).zip(widths) {
            if !line.is_empty() || !std::ptr::eq(column, &self.columns[0]) {
                line.push_str("  ");
            }
            let pad = " ".repeat(wide.saturating_sub(width(cell)));
            match column.align {
                Align::Left => line.extend([cell.as_str(), &pad]),
                Align::Right => line.extend([pad.as_str(), cell]),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// One thing, field by field.
pub fn record(columns: &[Column], row: &Value, json: bool, out: &mut dyn Write, colour: bool) -> std::io::Result<()> {
    if json {
        serde_json::to_writer_pretty(&mut *out, row)?;
        return writeln!(out);
    }
    let wide = columns.iter().map(|c| c.heading.len()).max().unwrap_or(0);
    for column in columns {
        let value = (column.write)(row.get(column.field).unwrap_or(&Value::Null));
        if value.is_empty() {
            continue;
        }
        let heading = format!("{:wide$}", column.heading);
        if colour {
            writeln!(out, "\x1b[1m{heading}\x1b[0m  {value}")?;
        } else {
            writeln!(out, "{heading}  {value}")?;
        }
    }
    Ok(())
}

/// Whether standard output is a terminal that wants colours (<https://no-color.org>).
pub fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// Columns a text takes on a terminal, near enough for addresses and names.
fn width(text: &str) -> usize {
    text.chars().filter(|c| !('\u{300}'..'\u{370}').contains(c)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    static COLUMNS: [Column; 3] = [
        Column::text("who", "WHO"),
        Column::size("size", "SIZE"),
        Column::text("flags", "FLAGS"),
    ];

    fn listing(json: bool, rows: &[Value]) -> String {
        let mut out = Vec::new();
        let mut listing = Listing::new(&COLUMNS, json, &mut out, false);
        for row in rows {
            listing.row(row).unwrap();
        }
        listing.end("nothing").unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn tables_are_aligned_and_json_is_json() {
        let rows = [
            json!({"who": "ada@phys.example", "size": 1_234_567, "flags": ["a", "b"]}),
            json!({"who": "jürgen", "size": 12, "flags": []}),
            json!({"who": "\u{1b}[31mred", "size": null}),
        ];
        assert_eq!(
            listing(false, &rows),
            "WHO                 SIZE  FLAGS\n\
             ada@phys.example  1.2 MB  a, b\n\
             jürgen              12 B\n\
             \u{fffd}[31mred\n"
        );
        let back: Vec<Value> = serde_json::from_str(&listing(true, &rows)).unwrap();
        assert_eq!(back, rows);
        assert_eq!(listing(true, &[]), "[]\n");
        assert_eq!(listing(false, &[]), "");
    }
}
