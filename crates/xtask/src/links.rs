//! Links between our pages: every relative link names a file that is there, every `#part` a heading of it.

use crate::tree::Tree;
use anyhow::Result;
use std::path::Path;

pub fn resolve(tree: &Tree) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for page in tree.files(&tree.root, "md")? {
        let text = std::fs::read_to_string(&page)?;
        let folder = page.parent().unwrap_or(&tree.root);
        for (line, target) in targets(&text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, part) = target.split_once('#').unwrap_or((target, ""));
            let file = if path.is_empty() {
                page.clone()
            } else {
                folder.join(path)
            };
            if !file.exists() {
                faults.push(format!("{}:{line}: {target} leads nowhere", tree.shown(&page)));
            } else if !part.is_empty() && !has_heading(&file, part) {
                faults.push(format!("{}:{line}: {target}: no such heading", tree.shown(&page)));
            }
        }
    }
    faults.extend(modules(tree)?);
    Ok(faults)
}

/// The modules that `docs/standards.md` names are there.
fn modules(tree: &Tree) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(tree.root.join("docs/standards.md"))?;
    let mut faults = Vec::new();
    for (line, number) in text.lines().zip(1..).filter(|(line, _)| line.starts_with('|')) {
        for name in line.split('`').skip(1).step_by(2) {
            let mut segments = name.split("::");
            let crate_name = segments.next().unwrap_or_default();
            let Some(package) = tree.packages.iter().find(|p| p.name == crate_name) else {
                continue;
            };
            let mut path = package.folder.join("src");
            path.extend(segments);
            if !path.is_dir() && !path.with_extension("rs").exists() {
                faults.push(format!("docs/standards.md:{number}: there is no module {name}"));
            }
        }
    }
    Ok(faults)
}

/// Targets of `[text](target)` outside code, with their line.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (line, number) in text.lines().zip(1..) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("](") {
            let in_code = before.matches('`').count() % 2 == 1 && after.contains('`') && !before.ends_with('`');
            let Some((target, later)) = after.split_once(')') else {
                break;
            };
            if !in_code {
                found.push((number, target.split_whitespace().next().unwrap_or_default()));
            }
            rest = later;
        }
    }
    found
}

fn has_heading(file: &Path, part: &str) -> bool {
    let Ok(text) = std::fs::read_to_string(file) else {
        return false;
    };
    // A line of a source file, as in `#L10`.
    if let Some(line) = part.strip_prefix('L').and_then(|n| n.parse::<usize>().ok()) {
        return line <= text.lines().count();
    }
    text.lines()
        .filter(|l| l.starts_with('#'))
        .any(|l| anchor(l.trim_start_matches('#')) == part)
}

/// The anchor that a heading gets: lower case, punctuation dropped, spaces to hyphens.
fn anchor(heading: &str) -> String {
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_links() {
        let text = "see [a](b.md) and [c](d.md#e)\n```\n[no](x)\n```\n`[no](y)` [`yes`](z.md \"title\")\n";
        assert_eq!(targets(text), [(1, "b.md"), (1, "d.md#e"), (5, "z.md")]);
        assert_eq!(anchor(" What it's *for*, in `short`"), "what-its-for-in-short");
    }
}
